// A sweep under the launchers themselves: torchrun of the real torch, and a Slurm of two pretended
// nodes. Skipped, and the reason said, where they are not installed.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/files.h"
#include "support/paths.h"
#include "support/rank_processes.h"
#include "support/rank_sweep.h"
#include "support/run_program.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

class Launchers : public RankSweep {
 protected:
  static std::string torchrun() {
    const char* home = std::getenv("HOME");
    const char* cache = std::getenv("ELASTIKV_CACHE");
    const fs::path folder = cache != nullptr
                                ? fs::path(cache)
                                : fs::path(home == nullptr ? "" : home) / ".cache/elastikv";
    return (folder / "oracle/bin/torchrun").string();
  }
  std::vector<std::string> under_torchrun(const std::string& output) const {
    return {source_path("scripts/cluster/torchrun.sh"), at("sweep.yaml"), "--output", at(output)};
  }
  static RankProcess::Variables torchrun_variables() {
    return {{"TORCHRUN", torchrun()}, {"ELASTIKV", program_path()}, {"RANKS", "2"}};
  }
  static std::vector<pid_t> children_of(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/task/" + std::to_string(process) +
                       "/children");
    std::vector<pid_t> children;
    for (pid_t child = 0; file >> child;) children.push_back(child);
    return children;
  }
};

TEST_F(Launchers, TorchrunsRanksShareASweepAndGoOnAfterAKill) {
  if (!fs::exists(torchrun())) GTEST_SKIP() << torchrun() << " is not there";
  const Tables expected = of_one_process();
  RankProcess run(under_torchrun("out"), torchrun_variables());
  wait_for_records("out", kSamples * kCells / 2);
  // The script has become torchrun, whose children are the ranks.
  std::vector<pid_t> ranks = children_of(run.process());
  ASSERT_EQ(ranks.size(), 2U);
  kill(ranks[1], SIGKILL);
  EXPECT_EQ(run.wait(), 0) << run.errors();
  expect_tables("out", expected);
  EXPECT_TRUE(fs::exists(at("out/records.0.2.jsonl")) || fs::exists(at("out/records.1.2.jsonl")))
      << "the ranks were not started again";
}

/// A Slurm that lives as long as this does.
class Slurm {
 public:
  explicit Slurm(fs::path folder) : folder_(std::move(folder)) {
    const ProgramResult started = run_command({script(), "start", folder_.string()});
    why_not_ = started.exit_code == 0 ? "" : started.output + started.errors;
    if (why_not_.empty()) setenv("SLURM_CONF", (folder_ / "slurm.conf").c_str(), /*overwrite=*/1);
  }
  ~Slurm() {
    run_command({script(), "stop", folder_.string()});
    unsetenv("SLURM_CONF");
  }
  Slurm(const Slurm&) = delete;
  Slurm& operator=(const Slurm&) = delete;

  const std::string& why_not() const { return why_not_; }

 private:
  static std::string script() { return source_path("tests/support/pretended_slurm.sh"); }

  fs::path folder_;
  std::string why_not_;
};

TEST_F(Launchers, SlurmsTasksShareASweepAndItsArraysDoShards) {
  const Slurm slurm(folder_.path() / "slurm");
  if (!slurm.why_not().empty()) GTEST_SKIP() << slurm.why_not();
  const Tables expected = of_one_process();
  setenv("ELASTIKV", program_path().c_str(), 1);
  // The nodes' names are pretended, too.
  setenv("MASTER_ADDR", "127.0.0.1", 1);
  const std::string script = source_path("scripts/cluster/slurm.sbatch");
  setenv("OUTPUT", at("ranks").c_str(), 1);
  const ProgramResult ranks =
      run_command({"sbatch", "--wait", "--nodes", "2", "--ntasks-per-node", "2", "--output",
                   at("ranks.log"), script, at("sweep.yaml")});
  EXPECT_EQ(ranks.exit_code, 0) << ranks.errors << read_file(at("ranks.log"));
  expect_tables("ranks", expected);
  EXPECT_NE(read_file(at("ranks.log"))
                .find("4 ranks (Slurm), " + std::to_string(2 * kSamples) + " of " +
                      std::to_string(2 * kSamples) + " samples to do"),
            std::string::npos)
      << read_file(at("ranks.log"));
  for (const char* rank : {"1", "2", "3"})
    EXPECT_TRUE(fs::exists(at("ranks/logs/rank." + std::string(rank) + ".log")));

  setenv("OUTPUT", at("shards").c_str(), 1);
  const ProgramResult array = run_command({"sbatch", "--wait", "--array", "1-3", "--output",
                                           at("array-%a.log"), script, at("sweep.yaml")});
  EXPECT_EQ(array.exit_code, 0) << array.errors << read_file(at("array-1.log"));
  const ProgramResult merged = run_elastikv({"merge", at("shards/shard-1"), at("shards/shard-2"),
                                             at("shards/shard-3"), "--output", at("merged")});
  EXPECT_EQ(merged.exit_code, 0) << merged.errors;
  expect_tables("merged", expected);
  for (const char* name : {"ELASTIKV", "MASTER_ADDR", "OUTPUT"}) unsetenv(name);
}

}  // namespace
}  // namespace elastikv
