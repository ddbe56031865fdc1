// A sweep of several processes, each told by its environment which rank it is.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/files.h"
#include "support/rank_processes.h"
#include "support/rank_sweep.h"
#include "support/run_program.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

class RanksTest : public RankSweep {};

TEST_F(RanksTest, GiveTheTablesOfOneProcess) {
  const Tables expected = of_one_process();
  for (const int64_t world : {2, 4}) {
    const std::string output = "ranks-" + std::to_string(world);
    RankProcesses ranks(world, all(output));
    const std::string codes = ranks.wait();
    EXPECT_EQ(codes, world == 2 ? "0 0" : "0 0 0 0") << ranks.errors();
    expect_tables(output, expected);
    // Every sample was evaluated once.
    EXPECT_EQ(lines_of(output), 2 * kSamples * kCells);
    EXPECT_NE(ranks[0].output().find("model-fp32"), std::string::npos);
    EXPECT_EQ(ranks[1].output(), "");
    EXPECT_EQ(ranks[1].errors(), "");
    const std::string all_samples = std::to_string(2 * kSamples);
    EXPECT_NE(ranks[0].errors().find(all_samples + "/" + all_samples + " samples"),
              std::string::npos)
        << ranks[0].errors();
    // On a busy machine the others may have done all before rank 1 has begun.
    const std::string records = at(output + "/records.1.jsonl");
    if (fs::exists(records) && fs::file_size(records) > 0) {
      EXPECT_NE(read_file(at(output + "/logs/rank.1.log")).find("rank 1: loading "),
                std::string::npos);
    }
    // Nothing is left to be done, by however many.
    RankProcesses again(3, all(output, {"--resume"}));
    EXPECT_EQ(again.wait(), "0 0 0") << again.errors();
    EXPECT_EQ(lines_of(output), 2 * kSamples * kCells);
    expect_tables(output, expected);
  }
  RankProcesses refused(2, all("ranks-2"));
  EXPECT_EQ(refused.wait(), "1 1");
  const std::string why = at("ranks-2") +
                          ": holds records of this sweep; use --resume to continue it, or another "
                          "--output\n";
  EXPECT_EQ(refused[0].errors(), "error: " + why);
  EXPECT_EQ(refused[1].errors(), "rank 1: error: rank 0 refuses the sweep: " + why);
}

// How many rounds a night may take is for ELASTIKV_RANK_ROUNDS to say.
TEST_F(RanksTest, AKilledRankCostsNothing) {
  const Tables expected = of_one_process();
  const char* asked = std::getenv("ELASTIKV_RANK_ROUNDS");
  const int rounds = asked == nullptr ? 3 : std::atoi(asked);
  std::mt19937_64 generator(std::random_device{}());
  for (int round = 0; round < rounds; ++round) {
    const std::string output = "round-" + std::to_string(round);
    RankProcesses ranks(3, all(output, {"--rank-timeout", "2"}));
    const auto victim = static_cast<int64_t>(1 + generator() % 2);
    const auto moment = static_cast<int64_t>(generator() % (2 * kSamples * kCells * 3 / 4));
    wait_for_records(output, moment);
    ranks[victim].send(SIGKILL);
    const std::string codes = ranks.wait();
    const bool in_time = ranks[victim].wait() == 137;
    EXPECT_EQ(codes, !in_time      ? "0 0 0"
                     : victim == 1 ? "0 137 0"
                                   : "0 0 137")
        << "at " << moment << "\n"
        << ranks.errors();
    expect_tables(output, expected);
  }
}

TEST_F(RanksTest, WhenRankZeroIsKilledTheOthersSaySoAndResumingFinishes) {
  // Long enough for all of them to take part.
  const std::vector<std::string> longer{"--set", "generation.max_new_tokens=200"};
  std::vector<std::string> resume = longer;
  resume.emplace_back("--resume");
  const Tables expected = of_one_process(longer);
  RankProcesses ranks(3, all("killed", longer));
  while (ranks[0].runs() &&
         !(fs::exists(at("killed/records.1.jsonl")) && fs::exists(at("killed/records.2.jsonl"))))
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  ranks[0].send(SIGKILL);
  EXPECT_EQ(ranks.wait(), "137 1 1");
  for (const int64_t rank : {1, 2}) {
    const std::string errors = ranks[rank].errors();
    EXPECT_TRUE(errors.starts_with("rank " + std::to_string(rank) +
                                   ": error: the store of the sweep's ranks at 127.0.0.1:"))
        << errors;
    EXPECT_NE(errors.find("does not answer any more: rank 0 or its machine has ended"),
              std::string::npos)
        << errors;
    EXPECT_NE(errors.find("; what is recorded in " + at("killed") +
                          " is kept, --resume with any number of ranks goes on\n"),
              std::string::npos)
        << errors;
  }
  const int64_t before = lines_of("killed");
  ASSERT_LT(before, 2 * kSamples * kCells);
  fs::copy(folder_.path() / "killed", folder_.path() / "alone", fs::copy_options::recursive);
  RankProcesses resumed(2, all("killed", resume));
  EXPECT_EQ(resumed.wait(), "0 0") << resumed.errors();
  expect_tables("killed", expected);
  const ProgramResult alone = run_command(command("alone", resume));
  EXPECT_EQ(alone.exit_code, 0) << alone.errors;
  expect_tables("alone", expected);
}

TEST_F(RanksTest, ARankThatStoodStillMayGoOn) {
  const Tables expected = of_one_process();
  RankProcesses ranks(2, all("stopped", {"--rank-timeout", "1"}));
  wait_for_records("stopped", kSamples * kCells / 2);
  ranks[1].send(SIGSTOP);
  wait_for_records("stopped", 2 * kSamples * kCells);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  ranks[1].send(SIGCONT);
  EXPECT_EQ(ranks[0].wait(), 0) << ranks.errors();
  ranks[1].wait();  // it may find the store gone
  expect_tables("stopped", expected);

  // Rank 0, too: the others' questions wait.
  RankProcesses first(2, all("first", {"--rank-timeout", "1"}));
  wait_for_records("first", kSamples * kCells / 2);
  first[0].send(SIGSTOP);
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  first[0].send(SIGCONT);
  EXPECT_EQ(first.wait(), "0 0") << first.errors();
  expect_tables("first", expected);
}

TEST_F(RanksTest, ADiskThatIsFullForOneRankEndsThatRank) {
  const Tables expected = of_one_process();
  const auto fill = [](int64_t rank) {
    if (rank != 1) return;
    signal(SIGXFSZ, SIG_IGN);
    const rlimit small{6000, 6000};
    setrlimit(RLIMIT_FSIZE, &small);
  };
  std::string codes = "0 0";
  std::string errors;
  // On a busy machine one rank may be done before the other one has begun.
  for (int attempt = 0; attempt < 5 && codes == "0 0"; ++attempt) {
    fs::remove_all(at("full"));
    RankProcesses ranks(2, all("full"), fill);
    codes = ranks.wait();
    errors = ranks.errors();
  }
  EXPECT_EQ(codes, "0 1") << errors;
  EXPECT_NE(errors.find("rank 1: error: rank 1 on "), std::string::npos) << errors;
  EXPECT_NE(errors.find(": cannot write: File too large"), std::string::npos) << errors;
  expect_tables("full", expected);
}

TEST_F(RanksTest, TwoSweepsDoNotMixInOneFolder) {
  RankProcesses ranks(2, all("out"));
  wait_for_records("out", 1);
  ranks[0].send(SIGSTOP);
  ranks[1].send(SIGSTOP);
  ASSERT_TRUE(ranks[0].runs());
  const std::string why = at("out") + ": another process is writing a sweep there\n";
  RankProcesses second(2, all("out", {"--resume"}));
  EXPECT_EQ(second.wait(), "1 1");
  EXPECT_EQ(second[0].errors(), "error: " + why);
  EXPECT_EQ(second[1].errors(), "rank 1: error: rank 0 refuses the sweep: " + why);
  const ProgramResult alone = run_command(command("out", {"--resume"}));
  EXPECT_EQ(alone.exit_code, 1);
  EXPECT_EQ(alone.errors, "error: " + why);
  ranks[0].send(SIGCONT);
  ranks[1].send(SIGCONT);
  EXPECT_EQ(ranks.wait(), "0 0") << ranks.errors();
}

TEST_F(RanksTest, RanksThatDoNotFitAreRefused) {
  const auto second = [&](const std::vector<std::string>& more, const std::string& difference) {
    fs::remove_all(at("out"));
    RankProcesses ranks(2, [&](int64_t rank) {
      return command("out", rank == 1 ? more : std::vector<std::string>());
    });
    EXPECT_EQ(ranks.wait(), "0 1") << ranks.errors();
    const std::string errors = ranks[1].errors();
    EXPECT_TRUE(errors.starts_with("rank 1: error: rank 1 on ")) << errors;
    EXPECT_TRUE(errors.ends_with(" does not fit to rank 0: it has " + difference + "\n")) << errors;
  };
  second({"--set", "generation.max_new_tokens=5"}, "other settings (generation)");
  second({"--limit", "4"}, "other samples of data");

  // Other weights under the same name, as machines may have them.
  fs::remove_all(at("out"));
  for (const char* place : {"here", "there"}) {
    fs::create_directories(folder_.path() / place);
    fs::copy(folder_.path() / "model", folder_.path() / place / "model",
             fs::copy_options::recursive);
  }
  std::string weights = read_file(at("there/model/model.safetensors"));
  weights.back() = static_cast<char>(weights.back() ^ 1);
  folder_.write("there/model/model.safetensors", weights);
  std::string codes = "0 0";
  std::string errors;
  // On a busy machine one rank may be done before the other one has begun.
  for (int attempt = 0; attempt < 5 && codes == "0 0"; ++attempt) {
    fs::remove_all(at("out"));
    RankProcesses ranks(
        2, all("out", {"--set", "models={path: model}", "--set", "generation.max_new_tokens=200"}),
        [&](int64_t rank) {
          const std::string place = at(rank == 0 ? "here" : "there");
          if (chdir(place.c_str()) != 0) _exit(126);
        });
    codes = ranks.wait();
    errors = ranks.errors();
  }
  // Whoever opens the model first says what it is.
  EXPECT_TRUE(codes == "0 1" || codes == "1 0") << codes << errors;
  EXPECT_NE(errors.find("it has other weights of model 'model-fp32' than the ranks before it\n"),
            std::string::npos)
      << errors;
}

TEST_F(RanksTest, WrongSurroundingsAreNamed) {
  RankProcess half(command("out"), {{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", ""}});
  EXPECT_EQ(half.wait(), 1);
  EXPECT_NE(half.errors().find("MASTER_ADDR and MASTER_PORT do not say where rank 0 is"),
            std::string::npos)
      << half.errors();
  // Alone all the same.
  RankProcess off(command("off", {"--distributed", "off", "--limit", "1"}),
                  {{"RANK", "1"}, {"WORLD_SIZE", "2"}});
  EXPECT_EQ(off.wait(), 0) << off.errors();
  EXPECT_TRUE(fs::exists(at("off/records.jsonl")));

  RankProcesses gpus(2, all("out", {"--device", "cuda"}));
  EXPECT_EQ(gpus.wait(), "1 1");
  EXPECT_NE(gpus[1].errors().find("rank 1: error: device 'cuda:1' was asked for, but "),
            std::string::npos)
      << gpus[1].errors();
  EXPECT_NE(gpus[1].errors().find("; rank 1 is the 2. of 2 on its machine and takes the GPU of "
                                  "that number: start no more ranks there than it has GPUs"),
            std::string::npos)
      << gpus[1].errors();
  EXPECT_FALSE(fs::exists(at("out")));
}

TEST_F(RanksTest, InterruptedRanksKeepWhatTheyHave) {
  const Tables expected = of_one_process();
  RankProcesses ranks(2, all("out"));
  wait_for_records("out", kSamples * kCells / 2);
  ranks[0].send(SIGINT);
  ranks[1].send(SIGINT);
  const std::string codes = ranks.wait();
  // Rank 1 may hear from rank 0 that the sweep has ended before it has looked at its own signal.
  EXPECT_TRUE(codes == "130 130" || codes == "130 0") << codes << ranks.errors();
  RankProcesses resumed(2, all("out", {"--resume"}));
  EXPECT_EQ(resumed.wait(), "0 0") << resumed.errors();
  expect_tables("out", expected);
}

}  // namespace
}  // namespace elastikv
