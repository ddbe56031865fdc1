#include <filesystem>

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "sweep/config.h"
#include "sweep/plan.h"
#include "sweep/ranges.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

constexpr const char* kSweep =
    "models:\n"
    "  - {path: a/one}\n"
    "  - {path: a/two}\n"
    "data:\n"
    "  - {path: x.json}\n"
    "  - {path: y.json}\n"
    "strategies: [full, elastic, {preset: h2o, name: hh, set: {selection.sinks: 1}}]\n"
    "budgets: {keep: [0.2, 0.5]}\n";

SweepConfig with(const std::vector<std::string>& settings, const std::string& text = kSweep) {
  SweepOverrides overrides;
  for (const std::string& setting : settings) overrides.set.push_back(parse_set_option(setting));
  return parse_sweep(text, "s.yaml", overrides);
}

Texts strategies_of(const SweepConfig& config) {
  Texts labels;
  for (const StrategyChoice& strategy : config.strategies) labels.push_back(strategy.label);
  return labels;
}
Texts models_of(const SweepConfig& config) {
  Texts names;
  for (const ModelChoice& model : config.models) names.push_back(model_name(model));
  return names;
}
Texts data_of(const SweepConfig& config) {
  Texts names;
  for (const DataOptions& data : config.data) names.push_back(data.name);
  return names;
}
Texts cells_of(const SweepConfig& config) {
  Texts ids;
  for (const CellGroup& group : plan_cells(config)) {
    for (const Cell& cell : group.cells) ids.push_back(cell.id + (cell.hidden ? " hidden" : ""));
  }
  return ids;
}
using Overrides = std::vector<std::pair<std::string, std::string>>;

TEST(SweepSettings, ListsOfModelsAndDataMakeMoreOfThem) {
  EXPECT_EQ(models_of(with({"models.dtype=fp32,bf16"})),
            (Texts{"one-fp32", "one-bf16", "two-fp32", "two-bf16"}));
  EXPECT_EQ(models_of(with({"models.1.dtype=fp32,bf16"})),
            (Texts{"one-fp32", "two-fp32", "two-bf16"}));
  EXPECT_EQ(models_of(with({"models={path: [b/x, b/y, b/z]}"})),
            (Texts{"x-fp32", "y-fp32", "z-fp32"}));
  EXPECT_EQ(models_of(with(
                {"models={path: m}", "models.0.path=p,q", "models.prompt_format=auto,vicuna"})),
            (Texts{"p-prompt_format-auto-fp32", "p-prompt_format-vicuna-fp32",
                   "q-prompt_format-auto-fp32", "q-prompt_format-vicuna-fp32"}));
  EXPECT_EQ(data_of(with({"data={path: t.txt}", "data.context_words=64-256*2"})),
            (Texts{"t-context_words64", "t-context_words128", "t-context_words256"}));
  EXPECT_EQ(data_of(with({"data={path: t.json}", "data.turn=first,2"})),
            (Texts{"t-turn-first", "t-turn2"}));
  EXPECT_ERROR(with({"models={path: [x, y], label: z}"}),
               "s.yaml:1: key 'models.label' names one, but 'path' lists 2; leave it out (with "
               "--set models={path: [x, y], label: z})");
}

TEST(SweepSettings, KeysWithoutAnIndexGoToEveryEntry) {
  const SweepConfig all = with({"data.limit=4"});
  EXPECT_EQ(all.data[0].limit, 4);
  EXPECT_EQ(all.data[1].limit, 4);
  const SweepConfig one = with({"data.1.limit=4"});
  EXPECT_FALSE(one.data[0].limit);
  EXPECT_EQ(one.data[1].limit, 4);
  // Index 0 of what is no list is the thing itself.
  EXPECT_EQ(with({"data={path: z.json}", "data.0.limit=3"}).data[0].limit, 3);
  EXPECT_ERROR(with({"data.2.limit=4"}),
               "--set data.2.limit: '2' is no index of a list of 2 in s.yaml");
}

TEST(SweepSettings, AStrategysNameLeadsToItsParameters) {
  const SweepConfig config = with({"elastic.selection.sinks=1-4+1"});
  EXPECT_EQ(strategies_of(config), (Texts{"full", "elastic-sinks1", "elastic-sinks2",
                                          "elastic-sinks3", "elastic-sinks4", "hh"}));
  EXPECT_EQ(config.strategies[2].preset, "elastic");
  EXPECT_EQ(config.strategies[2].overrides, (Overrides{{"selection.sinks", "2"}}));
  EXPECT_EQ(strategies_of(with({"strategies.1.set.selection.sinks=1,2,4"})),
            (Texts{"full", "elastic-sinks1", "elastic-sinks2", "elastic-sinks4", "hh"}));
  // A setting replaces the file's, which was written with a dotted key.
  const SweepConfig replaced = with({"hh.selection.sinks=3"});
  EXPECT_EQ(strategies_of(replaced), (Texts{"full", "elastic", "hh"}));
  EXPECT_EQ(replaced.strategies[2].overrides, (Overrides{{"selection.sinks", "3"}}));
  EXPECT_EQ(strategies_of(with({"strategies=elastic", "elastic.selection.sinks=1,2"})),
            (Texts{"elastic-sinks1", "elastic-sinks2"}));
  EXPECT_ERROR(with({"elastci.selection.sinks=1"}),
               "--set elastci.selection.sinks: 'elastci' is neither a key of a sweep nor a "
               "strategy of s.yaml; did you mean 'elastic'?");
  EXPECT_ERROR(with({"strategies.7.set.selection.sinks=1"}),
               "--set strategies.7.set.selection.sinks: '7' is no index of a list of 3 in s.yaml");
}

TEST(SweepSettings, SeveralListsMakeEveryCombination) {
  const SweepConfig config =
      with({"elastic.selection.sinks=1,2", "elastic.granularity=layer,shared"});
  EXPECT_EQ(strategies_of(config),
            (Texts{"full", "elastic-sinks1-granularity-layer", "elastic-sinks1-granularity-shared",
                   "elastic-sinks2-granularity-layer", "elastic-sinks2-granularity-shared", "hh"}));
  // Keys that end alike are written whole.
  EXPECT_EQ(
      strategies_of(with({"strategies=elastic", "elastic.a.share=1,2", "elastic.b.share=0.5,1"})),
      (Texts{"elastic-a.share1-b.share0.5", "elastic-a.share1-b.share1",
             "elastic-a.share2-b.share0.5", "elastic-a.share2-b.share1"}));
}

TEST(SweepSettings, ListsInTheFileMakeVariantsToo) {
  const SweepConfig config =
      with({},
           "models: {path: m}\ndata: {path: d.json}\nstrategies:\n"
           "  - preset: elastic\n    name: e\n    set:\n      selection: {sinks: [1, 2]}\n"
           "      compaction: [{kind: evict}, {kind: merge_nearest, share: [0.5, 1]}]\n"
           "budgets: {keep: 0.5}\ncompare_with: e\n");
  EXPECT_EQ(strategies_of(config)[0], "e-sinks1-compaction-evict");
  ASSERT_EQ(config.strategies.size(), 4U);
  EXPECT_EQ(config.strategies[3].overrides[0],
            (std::pair<std::string, std::string>{"selection.sinks", "2"}));
  // The name stands for all that it became.
  EXPECT_EQ(config.compare_with, strategies_of(config));
  // What sweep.json keeps reads back as the same sweep.
  EXPECT_EQ(parse_sweep(config.json(), "sweep.json").json(), config.json());

  const SweepConfig component =
      with({},
           "models: {path: m}\ndata: {path: d.json}\nstrategies:\n"
           "  - {preset: elastic, set: {compaction: {kind: merge_nearest, share: [0.5, 1]}}}\n"
           "budgets: {keep: 0.5}\n");
  EXPECT_EQ(strategies_of(component), (Texts{"elastic-share0.5", "elastic-share1"}));
}

TEST(SweepSettings, WhatIsTheWholeSweepsTakesOneValue) {
  const std::string why =
      " takes one value for the whole sweep; for several, run it once for each with its own "
      "--output";
  EXPECT_ERROR(with({"seed=1,2"}), "s.yaml:1: key 'seed'" + why + " (with --set seed=1,2)");
  EXPECT_ERROR(with({"generation.max_new_tokens=16,32"}),
               "s.yaml:1: key 'generation.max_new_tokens'" + why +
                   " (with --set generation.max_new_tokens=16,32)");
}

TEST(SweepSettings, MalformedListsAndRangesAreNamed) {
  const auto keep = [](const std::string& value) { return with({"budgets.keep=" + value}); };
  const auto range = [](const std::string& value, const std::string& why) {
    return "s.yaml:8: key 'budgets.keep' is not usable: range '" + value + "' " + why +
           " (with --set budgets.keep=" + value + ")";
  };
  EXPECT_ERROR(keep("0.1,,0.3"), "--set budgets.keep=0.1,,0.3: the list has an empty entry");
  EXPECT_ERROR(keep("0.1,"), "--set budgets.keep=0.1,: the list has an empty entry");
  EXPECT_ERROR(keep("0.1-0.9+"),
               range("0.1-0.9+", "has the step '', needs a number after its '+'"));
  EXPECT_ERROR(keep("64-512*two"),
               range("64-512*two", "has the step 'two', needs a number after its '*'"));
  EXPECT_ERROR(keep("0.1-0.9"), range("0.1-0.9", "needs a step, for example 0.1-0.9+0.1"));
  EXPECT_ERROR(
      keep("0.9-0.1+0.2"),
      range("0.9-0.1+0.2", "needs first <= last and a step that leads from one to the other"));
  EXPECT_ERROR(
      keep("64-512*1"),
      range("64-512*1", "needs first <= last and a step that leads from one to the other"));
  EXPECT_ERROR(keep("1-2-3"),
               "s.yaml:8: key 'budgets.keep' needs a number, not '1-2-3' (with "
               "--set budgets.keep=1-2-3)");
  EXPECT_EQ(expand_range("1e-3-1e-1*10"), (std::vector<double>{0.001, 0.01, 0.1}));
  EXPECT_EQ(expand_range("1e+1-3e+1+1e+1"), (std::vector<double>{10, 20, 30}));
  EXPECT_TRUE(expand_range("").empty());
}

std::string excluding(const std::string& exclude) {
  return std::string(kSweep) + "matrix:\n  exclude:\n" + exclude;
}

TEST(Exclusions, LeaveOutWhatFitsAllTheirParts) {
  const SweepConfig config =
      with({}, excluding("    - {model: one, data: x, strategy: [elastic, hh], budget: 0.20}\n"
                         "    - {model: t*-fp32, data: y}\n"
                         "    - {model: two, strategy: '*l*', data: x, budget: '0.*'}\n"));
  EXPECT_EQ(
      cells_of(config),
      (Texts{"one-fp32/x/full", "one-fp32/x/elastic/0.5", "one-fp32/x/hh/0.5", "one-fp32/y/full",
             "one-fp32/y/elastic/0.2", "one-fp32/y/elastic/0.5", "one-fp32/y/hh/0.2",
             "one-fp32/y/hh/0.5", "two-fp32/x/full", "two-fp32/x/hh/0.2", "two-fp32/x/hh/0.5"}));
  EXPECT_EQ(parse_sweep(config.json(), "sweep.json").json(), config.json());
  EXPECT_NE(config.records_hash(), with({}).records_hash());
  EXPECT_EQ(cells_of(with({"matrix.exclude=[]"}, excluding("    - {model: one}\n"))),
            cells_of(with({})));
  EXPECT_EQ(cells_of(with({"matrix.exclude={model: two}", "data.1.path=z.json"})).size(), 10U);
}

TEST(Exclusions, TheFullCacheStaysAsAHiddenReference) {
  EXPECT_EQ(cells_of(with({}, excluding("    - {strategy: full, data: x}\n    - {data: y}\n"
                                        "    - {model: two}\n"))),
            (Texts{"one-fp32/x/(full) hidden", "one-fp32/x/elastic/0.2", "one-fp32/x/elastic/0.5",
                   "one-fp32/x/hh/0.2", "one-fp32/x/hh/0.5"}));
}

TEST(Exclusions, WhatFitsNothingIsNamed) {
  EXPECT_ERROR(with({}, excluding("    - {strategy: elastc}\n")),
               "s.yaml:11: key 'matrix.exclude[0].strategy' names no strategy of this sweep: "
               "'elastc'; did you mean 'elastic'?");
  EXPECT_ERROR(with({}, excluding("    - {model: one}\n    - {data: none*}\n")),
               "s.yaml:12: key 'matrix.exclude[1].data' names no data set of this sweep: 'none*'; "
               "known: x, y");
  EXPECT_ERROR(with({}, excluding("    - {budget: [0.2, 0.3]}\n")),
               "s.yaml:11: key 'matrix.exclude[0].budget[1]' names no budget of this sweep: "
               "'0.3'; did you mean '0.2'?");
  EXPECT_ERROR(with({}, excluding("    - {strategy: full, budget: 0.2}\n")),
               "s.yaml:11: key 'matrix.exclude[0]' fits no cell: no model, data set and strategy "
               "has all that");
  EXPECT_ERROR(with({}, excluding("    - {budgt: 0.2}\n")),
               "s.yaml:11: unknown key 'matrix.exclude[0].budgt'; did you mean 'budget'?");
  EXPECT_ERROR(with({}, excluding("    - {}\n")),
               "s.yaml:11: key 'matrix.exclude[0]' needs a model, data, strategy or budget");
  EXPECT_ERROR(with({}, excluding("    - {model: one}\n    - {model: two}\n")),
               "s.yaml:10: key 'matrix.exclude' leaves no cell of the sweep");
  EXPECT_ERROR(with({}, std::string(kSweep) + "matrix: {exlude: []}\n"),
               "s.yaml:9: unknown key 'matrix.exlude'; did you mean 'exclude'?");
}

TEST(Exclusions, PatternsStandForAnyCharacters) {
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("a*c*", "abbcd"));
  EXPECT_TRUE(matches_pattern("*-bf16", "llava-bf16"));
  EXPECT_FALSE(matches_pattern("a*c", "abcd"));
  EXPECT_FALSE(matches_pattern("", "a"));
  EXPECT_FALSE(matches_pattern("a.c", "abc"));
}

}  // namespace
}  // namespace elastikv
