// Conversations in a sweep: turns that go on from each other beside the same run anew, beside
// single questions, and beside a fresh prefill of all that was said.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "runtime/conversation_tokens.h"
#include "runtime/evaluation.h"
#include "runtime/loading.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/expect_error.h"
#include "support/families.h"
#include "support/paths.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"
#include "sweep/choices.h"
#include "sweep/config.h"
#include "sweep/preparation.h"
#include "sweep/records.h"
#include "sweep/runner.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;
using Texts = std::vector<std::string>;
using Place = std::pair<std::string, std::string>;

// As in late_tokens_test.cc, of log likelihoods.
constexpr double kTolerance = 1e-4;

SweepOutcome run(const SweepConfig& config, bool resume = false) {
  RunOptions options;
  options.resume = resume;
  return run_quietly(config, options, *torch_engines());
}

void expect_same(const std::map<Place, Json>& ours, const std::map<Place, Json>& theirs,
                 const std::string& what) {
  EXPECT_EQ(ours.size(), theirs.size()) << what;
  for (const auto& [place, record] : theirs) {
    const auto found = ours.find(place);
    ASSERT_NE(found, ours.end()) << place.first << ", " << place.second;
    EXPECT_TRUE(found->second == record)
        << what << ": " << place.first << ", " << place.second << "\n"
        << Json::diff(record, found->second).dump();
  }
}

class ConversationSweep : public testing::TestWithParam<std::string> {
 protected:
  ConversationSweep() : model_(folder_.path() / "model") {
    if (GetParam() == "tiny_llava" || GetParam() == "tiny_llama") {
      write_tiny_checkpoint(folder_, "model", /*images=*/GetParam() == "tiny_llava");
    } else {
      model_ = families_folder() / GetParam();
    }
    Json items = Json::array();
    for (int i = 0; i < 2; ++i) {
      Json turns = Json::array();
      const Texts said{"What is it?", "A cat.", "Is it red?", "No.", "Why so?", "It is old."};
      // The second one is shorter.
      for (size_t t = 0; t < (i == 0 ? 6U : 4U); ++t)
        turns.push_back({{"from", t % 2 == 0 ? "human" : "gpt"}, {"value", said[t]}});
      Json item{{"id", fmt::format("c{}", i)}, {"conversations", turns}};
      if (images())
        item["image"] =
            source_path(fmt::format("datasets/stamp-scenes/test/images/test_000{}.png", i));
      items.push_back(item);
    }
    data_ = folder_.write("data.json", items.dump());
  }

  bool images() const { return GetParam() != "tiny_llama"; }
  SweepConfig config(const std::string& output, const std::string& data,
                     const std::string& more) const {
    SweepOverrides overrides;
    overrides.output = folder_.path() / output;
    return parse_sweep(
        fmt::format(
            "models: {{path: {}}}\ndata: {{path: {}, name: d, {}}}\n"
            "strategies: [full, elastic, h2o, snapkv, streaming-llm, random, keydiff, d2o]\n"
            "budgets: {{keep: [0.3, 0.6]}}\n"
            "generation: {{max_new_tokens: 5}}\ndetails: {{samples: 1}}\n{}",
            model_.string(), data_.string(), data, more),
        "s.yaml", overrides);
  }
  std::map<Place, Json> run_in(const std::string& output, const std::string& data,
                               const std::string& more = "") const {
    std::filesystem::remove_all(folder_.path() / output);
    EXPECT_EQ(run(config(output, data, more)).exit_code(), 0) << data << more;
    return records_without_seconds(folder_.path() / output);
  }

  /// Holds the full cache's log likelihoods against a prefill of each whole conversation.
  void expect_whole_conversations(const std::map<Place, Json>& records) const {
    const SweepConfig sweep = config("none", "turn: conversation", "");
    const std::unique_ptr<Engines> engines = torch_engines();
    const Preparation preparation(sweep, {}, *engines);
    const PreparedGroup& prepared = preparation.prepared().at(0);
    const PromptReader reader = make_reader(prepared.group.model);
    const std::unique_ptr<Model> model =
        open_model(model_, c10::Device(c10::DeviceType::CPU), at::kFloat);
    const auto full = make_strategy("full");
    for (const Sample& sample : prepared.set->samples) {
      const ConversationTokens tokens = conversation_of(reader, sample);
      // Piece by piece it is the whole.
      std::vector<int64_t> pieces = tokens.first.ids;
      for (const LaterTurn& turn : tokens.later) {
        pieces.insert(pieces.end(), turn.answer.begin(), turn.answer.end());
        pieces.insert(pieces.end(), turn.question.ids.begin(), turn.question.ids.end());
      }
      EXPECT_EQ(pieces, tokens.whole.ids) << sample.id;
      const EncodedPrompt prompt =
          encode_prompt(*model, reader, tokens.whole, sample.images, {}, /*seed=*/0);
      Sequence sequence(model->language(), prompt, *full, Budget::unlimited());
      const std::vector<int64_t> answer = answer_of(reader, sample, sweep.evaluation());
      const ForcedScores scores =
          teacher_force(model->language(), {&sequence}, answer, ForcedOptions()).front();
      const Json& record = records.at({prepared.group.cells.front().id, sample.id});
      EXPECT_EQ(record.at("prompt_tokens"), std::ssize(tokens.whole.ids));
      const std::vector<double> nll = record.at("nll");
      ASSERT_EQ(nll.size(), scores.nll.size());
      for (size_t i = 0; i < nll.size(); ++i)
        EXPECT_NEAR(nll[i], scores.nll[i], kTolerance) << sample.id << ", token " << i;
    }
  }

  TemporaryFolder folder_;
  std::filesystem::path model_;
  std::filesystem::path data_;
};

INSTANTIATE_TEST_SUITE_P(Models, ConversationSweep,
                         testing::Values("tiny_llava", "tiny_llama", "qwen2_vl"),
                         [](const auto& info) { return info.param; });

TEST_P(ConversationSweep, GoesOnAsIfAllTurnsBeforeWereRunAnew) {
  const std::string at = images() ? "compress_at: before_question\n" : "";
  for (const std::string data : {"turn: conversation", "turn: conversation, history: own",
                                 "turn: conversation, recompress: never"}) {
    for (const std::string& more : Texts{"", at, "metrics: {perplexity: {one_pass: false}}\n"}) {
      const auto together = run_in("together", data, more);
      const auto alone = run_in("alone", data, more + "share_prefix: false\n");
      EXPECT_EQ(alone.size(), 5U * 15U);
      expect_same(together, alone, data + " " + more);
    }
  }
}

TEST_P(ConversationSweep, TheFirstTurnIsASampleByItself) {
  const auto conversation = run_in("conversation", "turn: conversation");
  const auto first = run_in("first", "turn: first");
  for (const auto& [place, record] : first) {
    Json same = conversation.at({place.first, place.second + "#1"});
    same["sample"] = place.second;
    EXPECT_EQ(same, record);
  }
  EXPECT_EQ(first.size(), 2U * 15U);
}

TEST_P(ConversationSweep, ResumesInTheMiddle) {
  for (const std::string data : {"turn: conversation", "turn: conversation, history: own"}) {
    const auto whole = run_in("whole", data);
    // What is left of another one are its first and its last turn.
    run_in("part", data);
    const std::filesystem::path file = folder_.path() / "part" / "records.jsonl";
    std::string kept;
    std::ifstream lines(file);
    for (std::string line; std::getline(lines, line);) {
      if (Json::parse(line).at("sample") != "c0#2") kept += line + "\n";
    }
    lines.close();
    std::ofstream(file) << kept;
    EXPECT_EQ(run(config("part", data, ""), /*resume=*/true).exit_code(), 0);
    expect_same(records_without_seconds(folder_.path() / "part"), whole, data);
  }
}

// At every turn the full cache says what a fresh prefill of the whole conversation says.
TEST_P(ConversationSweep, TheFullCacheIsThatOfTheWholeConversation) {
  expect_whole_conversations(run_in("full", "turn: conversation"));
}

TEST_P(ConversationSweep, NewImagesComeInLaterTurns) {
  if (!images()) GTEST_SKIP() << "a model without images";
  const auto picture = [](int number) {
    return source_path(fmt::format("datasets/stamp-scenes/test/images/test_000{}.png", number));
  };
  const auto turn = [](const char* question, const char* answer) {
    return Json::array(
        {{{"from", "user"}, {"value", question}}, {{"from", "assistant"}, {"value", answer}}});
  };
  Json turns = Json::array();
  for (const Json& pair :
       {turn("<ImageHere>What is it?", "A cat."), turn("And <ImageHere> beside it?", "No."),
        turn("Why?", "It is."), turn("Last: <ImageHere><ImageHere>", "Yes.")})
    turns.insert(turns.end(), pair.begin(), pair.end());
  std::ofstream(data_) << Json{{"m",
                                {{"image", {picture(0), picture(1), picture(2), picture(3)}},
                                 {"conversations", turns}}}}
                              .dump();
  if (GetParam() == "qwen2_vl") {
    EXPECT_ERROR_CONTAINS(run(config("out", "turn: conversation", "")),
                          "the prompt of sample 'm#2' shows an image in a later turn, which a "
                          "cache of Qwen2VLForConditionalGeneration cannot go on with");
    return;
  }
  const auto together = run_in("together", "turn: conversation");
  expect_whole_conversations(together);
  expect_same(together, run_in("alone", "turn: conversation", "share_prefix: false\n"), "images");
  EXPECT_EQ(together.at({together.begin()->first.first, "m#4"}).at("image_tokens"), 4 * 9);
}

TEST_P(ConversationSweep, OwnAnswersAreWhatStaysInTheCache) {
  const auto reference = run_in("reference", "turn: conversation");
  const auto own = run_in("own", "turn: conversation, history: own");
  for (const auto& [place, record] : own) {
    const Json& other = reference.at(place);
    if (place.second.ends_with("#1")) {
      EXPECT_EQ(record, other);
      continue;
    }
    EXPECT_NE(record.at("key"), other.at("key"));
    if (!place.second.ends_with("#2")) continue;
    // What was written before stands there.
    const Json& first = own.at({place.first, place.second.substr(0, 3) + "1"});
    const int64_t prompt = first.at("prompt_tokens");
    EXPECT_EQ(record.at("compressed_tokens"), prompt + std::ssize(first.at("token_ids")));
  }
}

TEST_P(ConversationSweep, WithoutRecompressionLaterTurnsStayWhole) {
  const auto first = run_in("first", "turn: conversation");
  const auto never = run_in("never", "turn: conversation, recompress: never");
  for (const auto& [place, record] : never) {
    const Json& full =
        never.at({place.first.substr(0, place.first.find("/d/")) + "/d/full", place.second});
    EXPECT_NE(record.at("key"), first.at(place).at("key"));
    const auto entries = [](const Json& of) { return of.at("cache_bytes_prefill").get<int64_t>(); };
    // What a cell evicted of the first prompt is all that it lacks.
    const Json& one = never.at({place.first, place.second.substr(0, 3) + "1"});
    const Json& full_one = never.at({full.at("cell"), one.at("sample")});
    EXPECT_EQ(entries(full) - entries(record), entries(full_one) - entries(one)) << place.first;
  }
}

TEST_P(ConversationSweep, ATurnThatDoesNotFitFailsByItself) {
  if (GetParam() == "qwen2_vl") GTEST_SKIP() << "its context is long";
  Json items = Json::parse(std::ifstream(data_));
  items[0]["conversations"][4]["value"] = std::string(600, 'x');
  std::ofstream(data_) << items.dump();
  const SweepConfig refused = config("out", "turn: conversation", "");
  EXPECT_ERROR_CONTAINS(run(refused), "the prompt of sample 'c0#3' has ");
  EXPECT_EQ(run(config("out", "turn: conversation, on_problem: record", "")).exit_code(), 2);
  const auto records = records_without_seconds(folder_.path() / "out");
  for (const auto& [place, record] : records)
    EXPECT_EQ(record.contains("error"), place.second == "c0#3") << place.second;
}

}  // namespace
}  // namespace elastikv
