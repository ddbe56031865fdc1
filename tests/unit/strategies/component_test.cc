// What components say of themselves, asked of every kind that is registered.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "strategies/components.h"
#include "strategies/registry.h"

namespace elastikv {
namespace {

/// The registered kinds of a role.
std::vector<std::string> kinds_of(const std::string& role) {
  std::vector<std::string> kinds;
  for (const std::string& part : component_parts()) {
    if (part.starts_with(role + "/")) kinds.push_back(part.substr(role.size() + 1));
  }
  return kinds;
}

/// The names of a table of promises, to be held against kinds_of.
template <typename Promise>
std::vector<std::string> names_of(const std::map<std::string, Promise>& promises) {
  std::vector<std::string> names;
  for (const auto& [name, promise] : promises) names.push_back(name);
  return names;
}

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return names;
}

/// A component of a kind, with more parameters such as ", key_space: unrotated".
template <typename Component>
std::shared_ptr<const Component> made(
    std::shared_ptr<const Component> (&make)(const Parameters& parameters), const std::string& kind,
    const std::string& more = "") {
  return make(Parameters(YamlFields::parse(fmt::format("{{kind: {}{}}}", kind, more), "p.yaml")));
}

TEST(Components, CompactionsSayWhetherTheyMerge) {
  struct Answers {
    bool merges;
    bool has_key_space;
  };
  const std::map<std::string, Answers> expected{
      {"evict", {false, false}},       {"merge_clusters", {true, true}},
      {"merge_nearest", {true, true}}, {"merge_runs", {true, true}},
      {"merge_similar", {true, true}}, {"merge_threshold", {true, true}},
      {"merge_values", {true, false}},
  };
  ASSERT_EQ(sorted(kinds_of("compaction")), names_of(expected));
  for (const auto& [kind, answers] : expected) {
    const auto plain = made(make_compaction, kind);
    EXPECT_EQ(plain->merges(), answers.merges) << kind;
    EXPECT_FALSE(plain->merges_unrotated_keys()) << kind;
    if (!answers.has_key_space) continue;
    EXPECT_FALSE(made(make_compaction, kind, ", key_space: rotated")->merges_unrotated_keys())
        << kind;
    EXPECT_TRUE(made(make_compaction, kind, ", key_space: unrotated")->merges_unrotated_keys())
        << kind;
  }
}

TEST(Components, StrategiesMergeWhereTheirCompactionDoes) {
  EXPECT_FALSE(make_strategy("full")->merges());
  EXPECT_FALSE(make_strategy("streaming-llm")->merges());
  EXPECT_FALSE(make_strategy("elastic", {"compaction=evict"})->merges());
  EXPECT_TRUE(make_strategy("elastic")->merges());
  EXPECT_TRUE(make_strategy("cam")->merges());
}

TEST(Components, SelectionsOfReleasedCodeShareSlotsBetweenHeads) {
  const std::map<std::string, Granularity> expected{
      {"elastic_released", Granularity::kLayer}, {"everything", Granularity::kKvHead},
      {"h2o_released", Granularity::kLayer},     {"local_released", Granularity::kLayer},
      {"recent", Granularity::kKvHead},          {"runs", Granularity::kKvHead},
      {"stride", Granularity::kKvHead},          {"top", Granularity::kKvHead},
  };
  ASSERT_EQ(sorted(kinds_of("selection")), names_of(expected));
  for (const auto& [kind, finest] : expected) {
    EXPECT_EQ(made(make_selection, kind)->finest_granularity(), finest) << kind;
  }
}

TEST(Components, GenerationsOfReleasedCodeShareSlotsBetweenHeads) {
  const std::map<std::string, Granularity> expected{
      {"elastic_released", Granularity::kLayer},
      {"fixed_point", Granularity::kKvHead},
      {"h2o_released", Granularity::kModel},
      {"local_released", Granularity::kLayer},
      {"lowest_row", Granularity::kKvHead},
      {"lowest_score", Granularity::kKvHead},
      {"none", Granularity::kKvHead},
      {"oldest", Granularity::kKvHead},
      {"random", Granularity::kKvHead},
      {"recompress", Granularity::kKvHead},
  };
  ASSERT_EQ(sorted(kinds_of("generation")), names_of(expected));
  for (const auto& [kind, finest] : expected) {
    EXPECT_EQ(made(make_generation, kind)->finest_granularity(), finest) << kind;
  }
}

TEST(Components, GenerationsSayWhatTheyReadOfTheAnswer) {
  struct Answers {
    bool needs_rows = false;
    bool accumulates = false;
    bool recompresses = false;
  };
  const std::map<std::string, Answers> expected{
      {"elastic_released", {}},
      {"fixed_point", {}},
      {"h2o_released", {.needs_rows = true, .accumulates = true}},
      {"local_released", {}},
      {"lowest_row", {.needs_rows = true}},
      {"lowest_score", {.needs_rows = true, .accumulates = true}},
      {"none", {}},
      {"oldest", {}},
      {"random", {}},
      {"recompress", {.needs_rows = true, .recompresses = true}},
  };
  ASSERT_EQ(sorted(kinds_of("generation")), names_of(expected));
  for (const auto& [kind, answers] : expected) {
    const auto generation = made(make_generation, kind);
    EXPECT_EQ(generation->needs_rows(), answers.needs_rows) << kind;
    EXPECT_EQ(generation->accumulates(), answers.accumulates) << kind;
    EXPECT_EQ(generation->recompresses(), answers.recompresses) << kind;
  }
}

TEST(Components, GranularitiesCompareFromCoarseToFine) {
  EXPECT_LT(Granularity::kModel, Granularity::kLayer);
  EXPECT_LT(Granularity::kLayer, Granularity::kKvHead);
}

}  // namespace
}  // namespace elastikv
