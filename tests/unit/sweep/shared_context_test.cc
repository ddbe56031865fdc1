// Samples of one context, which a sweep encodes, prefills and compresses once, beside the same
// asked one by one.
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

#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/families.h"
#include "support/paths.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"
#include "support/tiny_models.h"
#include "sweep/cell_batches.h"
#include "sweep/choices.h"
#include "sweep/config.h"
#include "sweep/plan.h"
#include "sweep/preparation.h"
#include "sweep/records.h"
#include "sweep/runner.h"
#include "sweep/torch_evaluator.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;
using Texts = std::vector<std::string>;

SweepOutcome run(const SweepConfig& config, const Engines& engines, bool resume = false) {
  RunOptions options;
  options.resume = resume;
  return run_quietly(config, options, engines);
}

/// A data set of questions about two images, one about none, and cells of many strategies.
class SharedContextSweep : public testing::TestWithParam<std::string> {
 protected:
  SharedContextSweep() : model_(folder_.path() / "model") {
    if (GetParam() == "tiny_llava" || GetParam() == "tiny_llama") {
      write_tiny_checkpoint(folder_, "model", /*images=*/GetParam() == "tiny_llava");
    } else {
      model_ = families_folder() / GetParam();
    }
    const bool images = GetParam() != "tiny_llama";
    const auto picture = [](int number) {
      return source_path(fmt::format("datasets/stamp-scenes/test/images/test_000{}.png", number));
    };
    const Texts questions{"What is it?", "Is it red?", "Which one?", "Why so?",
                          "How many are there?"};
    std::string lines;
    for (size_t i = 0; i < 9; ++i) {
      // Contexts come and go; the last sample is alone with its own.
      const int context = i == 8 ? 2 : static_cast<int>(i % 3 == 1);
      Json item{{"id", fmt::format("s{}", i)},
                {"question", questions[i % questions.size()]},
                {"answer", i % 2 == 0 ? "A red circle." : "No"}};
      if (images) {
        item["image"] = picture(context);
      } else {
        item["hint"] =
            fmt::format("The {} ship came in from the sea, and nobody knew why.", context);
      }
      lines += item.dump() + "\n";
    }
    folder_.write("data.jsonl", lines);
  }

  SweepConfig config(const std::string& output, const std::string& more,
                     const std::string& moments = "before_question") const {
    SweepOverrides overrides;
    overrides.output = folder_.path() / output;
    const std::string columns =
        GetParam() == "tiny_llama"
            ? ", columns: {id: id, question: question, answer: answer, context: hint}"
            : "";
    return parse_sweep(
        fmt::format("models: {{path: {}}}\ndata: {{path: {}, name: d{}}}\n"
                    "strategies: [full, elastic, h2o, snapkv, streaming-llm, random, keydiff, "
                    "{{preset: elastic, name: late, compress_at: before_last_token}}]\n"
                    "budgets: {{keep: [0.3, 0.6]}}\ncompress_at: {}\n"
                    "generation: {{max_new_tokens: 5}}\ndetails: {{samples: 1}}\n{}",
                    model_.string(), (folder_.path() / "data.jsonl").string(), columns, moments,
                    more),
        "s.yaml", overrides);
  }

  TemporaryFolder folder_;
  std::filesystem::path model_;
};

INSTANTIATE_TEST_SUITE_P(Models, SharedContextSweep,
                         testing::Values("tiny_llava", "tiny_llama", "qwen2_vl"),
                         [](const auto& info) { return info.param; });

TEST_P(SharedContextSweep, GivesTheRecordsOfSamplesAskedOneByOne) {
  const std::unique_ptr<Engines> engines = torch_engines();
  for (const std::string more : {"question: keep\n", "question: policy\n",
                                 "metrics: {perplexity: {one_pass: false}, agreement: false}\n"}) {
    EXPECT_EQ(run(config("together", more), *engines).exit_code(), 0);
    EXPECT_EQ(run(config("alone", more + "share_prefix: false\n"), *engines).exit_code(), 0);
    const auto alone = records_without_seconds(folder_.path() / "alone");
    EXPECT_EQ(alone.size(), 9U * 15U);
    const auto together = records_without_seconds(folder_.path() / "together");
    EXPECT_EQ(together.size(), alone.size());
    for (const auto& [place, line] : alone) {
      const auto found = together.find(place);
      ASSERT_NE(found, together.end()) << place.first << ", " << place.second;
      EXPECT_EQ(found->second, line) << more;
    }
    std::filesystem::remove_all(folder_.path() / "together");
    std::filesystem::remove_all(folder_.path() / "alone");
  }
}

// Sums of a shared prefill are taken in another order: fp32 over up to 110 tokens.
TEST_P(SharedContextSweep, SharesThePrefillUnderAnyMomentWhereToldTo) {
  constexpr double kTolerance = 1e-3;
  const std::string kMoments = "[prompt_end, before_last_token, before_question]";
  const std::unique_ptr<Engines> engines = torch_engines();
  const auto with = [&](const std::string& output, const std::string& more) {
    EXPECT_EQ(run(config(output, more, kMoments), *engines).exit_code(), 0);
    return read_stored_sweep(folder_.path() / output);
  };
  const StoredSweep together = with("together", "share_prefix: all\n");
  const StoredSweep alone = with("alone", "share_prefix: false\n");
  EXPECT_EQ(together.records.size(), alone.records.size());
  EXPECT_NE(together.header.records_hash, alone.header.records_hash);
  for (const Record& record : alone.records) {
    const Record* other = together.records.find(record.cell, record.sample);
    ASSERT_NE(other, nullptr);
    ASSERT_EQ(other->outcome.error, "");
    EXPECT_NE(other->key, record.key);
    EXPECT_EQ(other->outcome.kept_tokens, record.outcome.kept_tokens);
    EXPECT_EQ(other->outcome.token_ids, record.outcome.token_ids) << record.cell;
    for (size_t i = 0; i < record.outcome.nll.size(); ++i)
      EXPECT_NEAR(other->outcome.nll[i], record.outcome.nll[i], kTolerance) << record.cell;
  }
}

TEST_P(SharedContextSweep, ContextsAreThoseOfEqualImagesAndTexts) {
  const SweepConfig sweep = config("none", "");
  const std::unique_ptr<Engines> engines = torch_engines();
  const Preparation preparation(sweep, {}, *engines);
  const Texts& contexts = preparation.prepared().at(0).contexts;
  ASSERT_EQ(contexts.size(), 9U);
  EXPECT_EQ(contexts[0], contexts[2]);
  EXPECT_EQ(contexts[1], contexts[4]);
  EXPECT_NE(contexts[0], contexts[1]);
  EXPECT_NE(contexts[8], contexts[0]);
  EXPECT_NE(contexts[8], "");
  const SweepConfig off = config("none", "share_prefix: false\n");
  EXPECT_TRUE(Preparation(off, {}, *engines).prepared().at(0).contexts.empty());
  EXPECT_EQ(off.records_hash(), sweep.records_hash());
}

/// Lets no more than so many cells run together, of all samples.
class Limited final : public SampleEvaluator {
 public:
  Limited(SampleEvaluator& evaluator, size_t most) : evaluator_(evaluator), most_(most) {}
  std::unique_ptr<SampleRun> begin(const Sample& sample, std::span<const Cell> cells) override {
    return evaluator_.begin(sample, cells);
  }
  void begin_context() override { evaluator_.begin_context(); }
  void end_context() override { evaluator_.end_context(); }
  std::vector<SampleOutcome> evaluate_together(std::span<const Sample* const> samples,
                                               std::span<const Cell> cells) override {
    sizes.push_back(samples.size());
    if (samples.size() * cells.size() > most_) throw OutOfMemory("out of memory");
    return evaluator_.evaluate_together(samples, cells);
  }
  void release_memory() override { evaluator_.release_memory(); }

  std::vector<size_t> sizes;  // samples that were tried together

 private:
  SampleEvaluator& evaluator_;
  size_t most_;
};

TEST_P(SharedContextSweep, SplitsSamplesWhereMemoryDoesNotSuffice) {
  const SweepConfig sweep = config("none", "");
  const std::unique_ptr<Engines> engines = torch_engines();
  const Preparation preparation(sweep, {}, *engines);
  const PreparedGroup& prepared = preparation.prepared().at(0);
  std::vector<const Sample*> samples;
  for (const size_t place : {0, 2, 3, 5, 6}) samples.push_back(&prepared.set->samples[place]);
  const std::vector<Cell>& cells = prepared.group.cells;
  const std::unique_ptr<SampleEvaluator> evaluator =
      open_torch_evaluator(prepared.group.model, sweep.evaluation(), RunWatch());
  const auto outcomes_with = [&](size_t most, std::vector<size_t> tried) {
    Limited limited(*evaluator, most);
    CellBatches batches(limited, cells, /*needs_full=*/true);
    std::vector<SampleOutcome> all;
    limited.begin_context();
    while (all.size() < samples.size()) {
      const std::span<const Sample* const> rest = std::span(samples).subspan(all.size());
      std::vector<SampleOutcome> some = batches.evaluate(rest);
      if (some.empty()) some.push_back(batches.evaluate(*rest.front()));
      for (SampleOutcome& outcome : some) all.push_back(std::move(outcome));
    }
    limited.end_context();
    EXPECT_EQ(limited.sizes, tried);
    return all;
  };
  const std::vector<SampleOutcome> whole = outcomes_with(SIZE_MAX, {5});
  const std::vector<SampleOutcome> pairs = outcomes_with(2 * cells.size(), {5, 2, 2});
  const std::vector<SampleOutcome> single = outcomes_with(cells.size(), {5, 2});
  for (size_t s = 0; s < samples.size(); ++s) {
    for (size_t i = 0; i < cells.size(); ++i) {
      for (const auto* other : {&pairs, &single}) {
        const CellOutcome& outcome = other->at(s).cells.at(i);
        EXPECT_EQ(outcome.error, "");
        EXPECT_EQ(outcome.nll, whole[s].cells[i].nll) << cells[i].id;
        EXPECT_EQ(outcome.token_ids, whole[s].cells[i].token_ids) << cells[i].id;
        EXPECT_EQ(outcome.mean_kl, whole[s].cells[i].mean_kl) << cells[i].id;
        EXPECT_EQ(outcome.kept_tokens, whole[s].cells[i].kept_tokens) << cells[i].id;
        EXPECT_EQ(outcome.cache_bytes_end, whole[s].cells[i].cache_bytes_end) << cells[i].id;
      }
    }
  }
}

/// What a cache holds: positions, and keys, which merging changes.
bool same_content(const KVCache& a, const KVCache& b) {
  for (int64_t layer = 0; layer < a.shape().layers; ++layer) {
    if (a.groups(layer) != b.groups(layer)) return false;
    for (int64_t group = 0; group < a.groups(layer); ++group) {
      if (a.positions(layer, group) != b.positions(layer, group)) return false;
    }
    for (int64_t head = 0; head < a.shape().kv_heads; ++head) {
      if (!a.head_keys(layer, head).equal(b.head_keys(layer, head))) return false;
    }
  }
  return true;
}

// One compression serves all samples of a context unless something is drawn by their seeds.
TEST(SharedCompression, IsTheSameForEverySeedUnlessTheStrategyDraws) {
  const TinyModel tiny("tiny_llava_a");
  const EncodedPrompt prompt = tiny.encode();
  for (const PresetInfo& preset : list_presets()) {
    StrategyChoice choice;
    choice.preset = preset.name;
    const Strategy& strategy = strategy_of(choice);
    if (!can_run(strategy, prompt)) continue;
    bool same = true;
    const EncodedPrompt first = prompt.fork(1);
    for (uint64_t seed = 2; seed < 6; ++seed) {
      const EncodedPrompt other = prompt.fork(seed);
      same = same && same_content(
                         Sequence(tiny.language(), first, strategy, Budget::fraction(0.3)).cache(),
                         Sequence(tiny.language(), other, strategy, Budget::fraction(0.3)).cache());
    }
    EXPECT_TRUE(same || draws(choice)) << preset.name;
    EXPECT_EQ(draws(choice), preset.name == "random" || preset.name == "cam") << preset.name;
  }
}

/// A sweep of the fake engine over six samples of two contexts and one without.
class ContextRunner : public testing::Test {
 protected:
  ContextRunner() {
    std::string lines;
    for (int i = 0; i < 7; ++i) {
      lines +=
          Json{{"id", fmt::format("s{}", i)}, {"question", "q"}, {"answer", "a"}}.dump() + "\n";
      if (i != 3) plan_.contexts[fmt::format("s{}", i)] = i % 2 == 0 ? "even" : "odd";
    }
    data_ = folder_.write("data.jsonl", lines);
  }
  SweepConfig config() const {
    SweepOverrides overrides;
    overrides.output = folder_.path() / "out";
    return parse_sweep("models: {path: m}\ndata: {path: " + data_.string() +
                           ", name: d}\nstrategies: [full, h2o]\nbudgets: {keep: 0.5}\n"
                           "details: {samples: 0}\n",
                       "s.yaml", overrides);
  }
  SweepOutcome run(bool resume = false) {
    return elastikv::run(config(), FakeEngines(plan_), resume);
  }
  /// Ids of the samples in the order of their records.
  Texts order() const {
    Texts ids;
    std::ifstream file(folder_.path() / "out" / "records.jsonl");
    for (std::string line; std::getline(file, line);) {
      std::string id = Json::parse(line).at("sample");
      if (ids.empty() || ids.back() != id) ids.push_back(std::move(id));
    }
    return ids;
  }

  TemporaryFolder folder_;
  std::filesystem::path data_;
  FakePlan plan_;
};

TEST_F(ContextRunner, SamplesOfAContextFollowEachOther) {
  EXPECT_EQ(run().exit_code(), 0);
  EXPECT_EQ(plan_.together, (Texts{"s0 s2 s4 s6", "s1 s5"}));
  EXPECT_EQ(order(), (Texts{"s0", "s2", "s4", "s6", "s1", "s5", "s3"}));
  const StoredSweep stored = read_stored_sweep(folder_.path() / "out");
  EXPECT_EQ(stored.records.size(), 14U);
  // Tables go by the data set's order.
  EXPECT_EQ(stored.header.data.at("d").samples, (Texts{"s0", "s1", "s2", "s3", "s4", "s5", "s6"}));
}

TEST_F(ContextRunner, PrefillsAreCountedByContext) {
  plan_.too_long = {{"m", "s2"}};
  SweepConfig sweep = config();
  for (DataOptions& data : sweep.data) data.on_problem = OnProblem::kRecord;
  const FakeEngines engines(plan_);
  const Preparation preparation(sweep, {}, engines);
  const PreparedGroup& prepared = preparation.prepared().at(0);
  const GroupCost cost =
      cost_of(prepared.group, *prepared.set, prepared.problems, sweep, prepared.contexts);
  EXPECT_EQ(cost.contexts, 2);
  EXPECT_EQ(cost.asking, 5);
  EXPECT_EQ(cost.prefills, 3);  // and one of the sample without
}

TEST_F(ContextRunner, ASampleThatFailsFailsAlone) {
  plan_.failing_samples = {"s4"};
  EXPECT_EQ(run().exit_code(), 2);
  const StoredSweep stored = read_stored_sweep(folder_.path() / "out");
  for (int i = 0; i < 7; ++i) {
    const Record* record = stored.records.find("m-fp32/d/full", fmt::format("s{}", i));
    ASSERT_NE(record, nullptr);
    EXPECT_EQ(record->outcome.error, i == 4 ? "s4: the image is torn" : "");
  }
  // Once it is mended, it is the only one that is evaluated again.
  plan_.failing_samples.clear();
  plan_.evaluated.clear();
  plan_.together.clear();
  EXPECT_EQ(run(/*resume=*/true).exit_code(), 0);
  EXPECT_EQ(plan_.evaluated, Texts{"s4"});
  EXPECT_TRUE(plan_.together.empty());
}

TEST_F(ContextRunner, OneThatCannotBeAskedIsNotAmongThem) {
  plan_.too_long = {{"m", "s2"}};
  SweepConfig sweep = config();
  for (DataOptions& data : sweep.data) data.on_problem = OnProblem::kRecord;
  EXPECT_EQ(elastikv::run(sweep, FakeEngines(plan_)).exit_code(), 2);
  EXPECT_EQ(plan_.together, (Texts{"s0 s4 s6", "s1 s5"}));
}

TEST_F(ContextRunner, AreResumedWithTheSamplesThatAreOpen) {
  plan_.crash_at = 5;
  EXPECT_THROW(run(), Crash);
  EXPECT_EQ(order(), (Texts{"s0", "s2", "s4", "s6"}));
  plan_.crash_at = -1;
  plan_.together.clear();
  EXPECT_EQ(run(/*resume=*/true).exit_code(), 0);
  EXPECT_EQ(plan_.together, Texts{"s1 s5"});
  EXPECT_EQ(read_stored_sweep(folder_.path() / "out").records.size(), 14U);
}

TEST_F(ContextRunner, RunTogetherAsFarAsMemoryGoes) {
  plan_.memory = 2 * 2;
  EXPECT_EQ(run().exit_code(), 0);
  // Two samples of two cells each; that they fit is remembered.
  EXPECT_EQ(plan_.together, (Texts{"s0 s2 s4 s6", "s0 s2", "s4 s6", "s1 s5"}));
  EXPECT_EQ(order(), (Texts{"s0", "s2", "s4", "s6", "s1", "s5", "s3"}));
}

}  // namespace
}  // namespace elastikv
