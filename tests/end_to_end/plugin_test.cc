// Components of a library that the program loads: the example's, and some that are wrong.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"
#include "sweep/records.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

std::string hostile_plugin() { return program_path("libhostile_plugin.so"); }
std::string example_plugin() { return program_path("libkey_distance.so"); }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

class Plugins : public testing::Test {
 protected:
  Plugins() {
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    write_tiny_checkpoint(folder_, "model", /*images=*/false);
    folder_.write("data.jsonl",
                  R"({"id": "a", "question": "Which letters come first of all of them?", )"
                  R"("answer": "It is the letter a, and then comes b."})"
                  "\n");
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }

  /// A sweep's file with these strategies, and what is to be said beside them.
  std::string sweep(const std::string& strategies, const std::string& more = "") const {
    return folder_
        .write("sweep.yaml", "models: {path: " + at("model") + "}\ndata: {path: " +
                                 at("data.jsonl") + ", name: d}\nstrategies: " + strategies +
                                 "\nbudgets: {keep: 0.3}\ngeneration: {max_new_tokens: 4}\n" + more)
        .string();
  }
  StoredSweep stored(const std::string& output) const {
    return read_stored_sweep(folder_.path() / output);
  }
  ProgramResult run(const std::string& file, const std::string& output,
                    const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"sweep", file, "--output", at(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_elastikv(arguments);
  }

  /// A copy of a library with other text in it.
  std::string altered(const std::string& from, const std::string& to) const {
    return folder_.write("altered.so", replaced(read_file(hostile_plugin()), from, to)).string();
  }

  TemporaryFolder folder_;
};

void expect_same_records(const CellOutcome& a, const CellOutcome& b) {
  EXPECT_EQ(a.error, "");
  EXPECT_EQ(a.nll, b.nll);
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(a.mean_kl, b.mean_kl);
  EXPECT_EQ(a.cache_bytes_end, b.cache_bytes_end);
}

TEST_F(Plugins, TheExampleIsTheBuiltInMethodToTheLastBit) {
  const std::string preset = source_path("examples/plugins/key-distance.yaml");
  const std::string file =
      sweep("[keydiff, " + preset + "]", "plugins: " + example_plugin() + "\n");
  const ProgramResult result = run(file, "out");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const StoredSweep sweep = stored("out");
  const CellOutcome& own = sweep.records.find("model-fp32/d/keydiff/0.3", "a")->outcome;
  const CellOutcome& plugin = sweep.records.find("model-fp32/d/key-distance/0.3", "a")->outcome;
  expect_same_records(plugin, own);
  ASSERT_FALSE(own.nll.empty());
  const std::string header = read_file(folder_.path() / "out/sweep.json");
  EXPECT_NE(header.find("importance/key_distance of " + example_plugin()), std::string::npos);
  // The file's plugins are known to whoever goes on, and to the report, which loads none.
  const ProgramResult resumed = run(file, "out", {"--resume"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.errors;
  EXPECT_EQ(run_elastikv({"report", at("out")}).exit_code, 0);
}

TEST_F(Plugins, TheCommandLineNamesThemToo) {
  const std::string preset = source_path("examples/plugins/key-distance.yaml");
  const std::string file = sweep("[" + preset + "]");
  const ProgramResult without = run(file, "out");
  EXPECT_EQ(without.exit_code, 1);
  EXPECT_NE(without.errors.find("key-distance.yaml:3: key 'importance.kind' names no importance: "
                                "'key_distance'"),
            std::string::npos)
      << without.errors;
  const ProgramResult with = run(file, "out", {"--plugin", example_plugin()});
  EXPECT_EQ(with.exit_code, 0) << with.errors;
  const ProgramResult explained = run_elastikv(
      {"generate", "--model", at("model"), "-p", "Hello, which letters are there?", "--plugin",
       example_plugin(), "--strategy", preset, "--keep", "0.3", "-n", "4", "--json"});
  EXPECT_EQ(explained.exit_code, 0) << explained.errors;
  EXPECT_NE(explained.output.find(" plugins=importance/key_distance:"), std::string::npos);
  const std::string listed =
      run_elastikv({"list", "components", "--plugin", example_plugin()}).output;
  EXPECT_NE(listed.find("\n  importance/attention\n"), std::string::npos);
  EXPECT_NE(listed.find("\ncomponents of plugins:\n  importance/key_distance\n"),
            std::string::npos);
}

TEST_F(Plugins, TheExampleKeepsItsPromises) {
  const ProgramResult result =
      run_elastikv({"check-strategy", source_path("examples/plugins/key-distance.yaml"), "--plugin",
                    example_plugin()});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
  EXPECT_EQ(result.output.find("BROKEN"), std::string::npos) << result.output;
}

/// A wrong component, and what is said of it by name and by the cell that it is in.
struct Hostile {
  std::string set;
  std::string says;
};
const std::vector<Hostile> kHostile{
    {"importance: throws", "importance 'throws' fails: my_method.cc:12: no such thing"},
    {"importance: throws-an-integer",
     "importance 'throws-an-integer' fails: it throws what is no std::exception"},
    {"importance: wrong-shape", "importance 'wrong-shape' layer 1: gives scores of shape [1, "},
    {"importance: wrong-type",
     "importance 'wrong-type' layer 1: gives scores of type Double, Float is needed"},
    {"importance: nan", "importance 'nan' layer 1: gives scores that are not finite"},
    {"importance: too-few-layers",
     "importance 'too-few-layers' gives scores of 1 layers, the model has 2"},
    {"importance: changes-its-input",
     "importance 'changes-its-input' changes its input: layer 1's keys"},
    {"importance: reads-what-it-did-not-ask-for",
     "importance 'reads-what-it-did-not-ask-for' fails: "},
    {"selection: out-of-range", "selection 'out-of-range' keeps slot "},
    {"selection: twice", "selection 'twice' keeps slot "},
    {"selection: too-many", "selection 'too-many' keeps "},
    {"selection: drops-its-sink",
     "selection 'drops-its-sink' drops entry 0, which it protects itself"},
    {"allocation: greedy", "allocation 'greedy' gives "},
    {"compaction: other-entries", "compaction 'other-entries' layer "},
    {"generation: never-evicts", "generation 'never-evicts' layer 0: leaves "},
    {"generation: wrong-slot", "generation 'wrong-slot' layer 0: evicts slot 1048576 of "},
    {"generation: wrong-rank", "generation 'wrong-rank' fails: "},
};

TEST_F(Plugins, AWrongOneFailsItsCellAndTheRestGoesOn) {
  std::string strategies = "[tova";
  for (size_t i = 0; i < kHostile.size(); ++i) {
    const bool generates = kHostile[i].set.starts_with("generation");
    strategies += fmt::format(", {{preset: tova, name: hostile-{}, set: {{{}{}}}}}", i,
                              generates ? "" : "generation: oldest, ", kHostile[i].set);
  }
  const std::string file = sweep(strategies + "]", "plugins: [" + hostile_plugin() + "]\n");
  const ProgramResult result = run(file, "out");
  EXPECT_EQ(result.exit_code, 2) << result.errors;
  const ProgramResult alone = run(sweep("[tova]"), "alone");
  ASSERT_EQ(alone.exit_code, 0) << alone.errors;
  const StoredSweep all = stored("out");
  expect_same_records(all.records.find("model-fp32/d/tova/0.3", "a")->outcome,
                      stored("alone").records.find("model-fp32/d/tova/0.3", "a")->outcome);
  for (size_t i = 0; i < kHostile.size(); ++i) {
    const Record* record = all.records.find(fmt::format("model-fp32/d/hostile-{}/0.3", i), "a");
    ASSERT_NE(record, nullptr) << kHostile[i].set << "\n" << result.errors;
    EXPECT_EQ(record->outcome.error.find(hostile_plugin() + ": " + kHostile[i].says), 0U)
        << kHostile[i].set << ": " << record->outcome.error;
  }
}

TEST_F(Plugins, CheckStrategySaysWhatIsBroken) {
  for (const Hostile& hostile : kHostile) {
    const size_t colon = hostile.set.find(": ");
    const ProgramResult result = run_elastikv(
        {"check-strategy", "tova", "--plugin", hostile_plugin(), "--set", "generation=oldest",
         "--set", hostile.set.substr(0, colon) + "=" + hostile.set.substr(colon + 2)});
    EXPECT_EQ(result.exit_code, 1) << hostile.set << "\n" << result.output << result.errors;
    EXPECT_NE(result.output.find("BROKEN"), std::string::npos) << hostile.set << result.output;
    const std::string where = hostile.says.substr(0, hostile.says.find('\'') + 1);
    EXPECT_NE(result.output.find(hostile_plugin() + ": " + where), std::string::npos)
        << hostile.set << "\n"
        << result.output;
  }
}

TEST_F(Plugins, LibrariesThatDoNotFitAreRefused) {
  const auto refusal = [&](const std::string& library) {
    const ProgramResult result = run_elastikv({"list", "components", "--plugin", library});
    EXPECT_EQ(result.exit_code, 1);
    return replaced(result.errors, library, "FILE");
  };
  const std::string other =
      refusal(altered("elastikv plugin for: elastikv ", "elastikv plugin for: elastikv 9"));
  EXPECT_EQ(other.find("error: FILE: was built for elastikv 9"), 0U) << other;
  EXPECT_NE(other.find(", but this program is elastikv "), std::string::npos) << other;
  EXPECT_EQ(refusal(altered("elastikv plugin for: ", "elastikv thing for: ")),
            "error: FILE: is a library, but no plugin of elastikv: ELASTIKV_PLUGIN "
            "(strategies/plugin.h) is missing in it\n");
  EXPECT_EQ(refusal(altered("elastikv_register_plugin", "elastikv_register_nothin")),
            "error: FILE: has no 'elastikv_register_plugin', which ELASTIKV_PLUGIN writes\n");
  const std::string bytes = read_file(hostile_plugin());
  const std::string cut = folder_.write("cut.so", bytes.substr(0, bytes.size() / 2)).string();
  EXPECT_NE(refusal(cut).find("error: FILE: "), std::string::npos);
  setenv("ELASTIKV_HOSTILE_PLUGIN", "1", /*overwrite=*/1);
  EXPECT_EQ(refusal(hostile_plugin()),
            "error: FILE: fails while it registers its components: not today\n");
  unsetenv("ELASTIKV_HOSTILE_PLUGIN");
}

TEST_F(Plugins, TheInstalledHeadersBuildTheExample) {
  const fs::path build = fs::path(program_path("elastikv")).parent_path().parent_path();
  const auto cmake = [](std::vector<std::string> words) {
    words.insert(words.begin(), "cmake");
    const ProgramResult result = run_command(words);
    EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
    return result.exit_code == 0;
  };
  ASSERT_TRUE(
      cmake({"--install", build.string(), "--component", "development", "--prefix", at("prefix")}));
  ASSERT_TRUE(cmake({"-S", source_path("examples/plugins"), "-B", at("build"),
                     "-DCMAKE_PREFIX_PATH=" + at("prefix"), "-DCMAKE_BUILD_TYPE=Release"}));
  ASSERT_TRUE(cmake({"--build", at("build")}));
  const ProgramResult listed =
      run_elastikv({"list", "strategies", "--plugin", at("build/libkey_distance.so")});
  EXPECT_EQ(listed.exit_code, 0) << listed.errors;
  EXPECT_NE(listed.output.find("importance/key_distance"), std::string::npos);
}

}  // namespace
}  // namespace elastikv
