#include "strategies/registry.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

/// A preset with one line of `full` replaced.
std::string preset_with(const std::string& line) {
  return "summary: s\ncitation: c\nallocation: uniform\n" + line +
         "\ncompaction: evict\npositions: original\n";
}

void make(const std::string& text) { make_strategy(YamlFields::parse(text, "p.yaml")); }

TEST(Registry, DescribesAStrategyInOneLine) {
  EXPECT_EQ(
      make_strategy("full")->description(),
      "importance=none allocation=uniform heads=uniform selection=everything compaction=evict "
      "generation=none positions=original");
  EXPECT_EQ(make_strategy("elastic")->description(),
            "importance=attention(granularity=layer,heads=mean,reduce=sum) allocation=uniform "
            "heads=uniform "
            "selection=top(sinks=1,recent=1,recent_share=0,text_first=false) "
            "compaction=merge_nearest(sources=dropped,weights=uniform,key_space=rotated) "
            "generation=fixed_point(distance=25) "
            "positions=original");
  EXPECT_EQ(make_strategy("elastic-released")->description(),
            "importance=attention(granularity=layer,heads=mean,reduce=sum) allocation=uniform "
            "heads=uniform "
            "selection=elastic_released(start_size=1) "
            "compaction=merge_nearest(sources=shifted,weights=uniform,key_space=rotated) "
            "generation=elastic_released(distance=-25) positions=cache_length");
}

TEST(Registry, StrategiesAskForWhatTheyRead) {
  const auto asks = [](const char* name) { return make_strategy(name)->needs(); };
  for (const char* name : {"full", "streaming-llm", "local-released", "random", "stride"}) {
    EXPECT_FALSE(asks(name).prefill.column_sums) << name;
    EXPECT_FALSE(asks(name).decode_rows) << name;
  }
  for (const char* name : {"elastic", "elastic-released"}) {
    EXPECT_TRUE(asks(name).prefill.column_sums) << name;
    EXPECT_FALSE(asks(name).decode_rows) << name;
  }
  for (const char* name : {"h2o", "h2o-released"}) {
    EXPECT_TRUE(asks(name).prefill.column_sums) << name;
    EXPECT_TRUE(asks(name).decode_rows) << name;
  }
}

TEST(Registry, PositionModesFollowTheSources) {
  EXPECT_EQ(make_strategy("elastic")->positions(), PositionMode::kOriginal);
  EXPECT_EQ(make_strategy("streaming-llm")->positions(), PositionMode::kRerotated);
  for (const char* name : {"elastic-released", "h2o-released", "local-released"}) {
    EXPECT_EQ(make_strategy(name)->positions(), PositionMode::kCacheLength) << name;
  }
}

TEST(Registry, OverridesReplaceComponentsAndParameters) {
  EXPECT_EQ(make_strategy("elastic", {"generation={kind: fixed_point, distance: 7}",
                                      "compaction=evict", "selection.sinks=4"})
                ->description(),
            "importance=attention(granularity=layer,heads=mean,reduce=sum) allocation=uniform "
            "heads=uniform "
            "selection=top(sinks=4,recent=1,recent_share=0,text_first=false) compaction=evict "
            "generation=fixed_point(distance=7) positions=original");
}

TEST(Registry, OffersTheNearestName) {
  EXPECT_ERROR(make_strategy("elastci"), "strategy 'elastci' is unknown; did you mean 'elastic'?");
  EXPECT_ERROR_CONTAINS(make_strategy("zzzzzz"), "strategy 'zzzzzz' is unknown; known: adakv, ");
  EXPECT_ERROR(make_strategy("elastic", {"compaction"}),
               "strategy 'elastic': 'compaction' is no component.parameter=value");
  EXPECT_ERROR_CONTAINS(make_strategy("elastic", {"compaction=evcit"}),
                        "key 'compaction' names no compaction: 'evcit'; did you mean 'evict'?");
  EXPECT_ERROR_CONTAINS(make_strategy("elastic", {"compaktion=evict"}),
                        "unknown key 'compaktion'; did you mean 'compaction'?");
  EXPECT_ERROR_CONTAINS(make_strategy("elastic", {"selection.sink=2"}),
                        "unknown key 'selection.sink'; did you mean 'sinks'?");
}

TEST(Registry, PresetErrorsNameTheirLine) {
  EXPECT_ERROR(make(preset_with("selection: {kind: tpo}\ngeneration: none")),
               "p.yaml:4: key 'selection.kind' names no selection: 'tpo'; did you mean 'top'?");
  EXPECT_ERROR(make(preset_with("selection: everything")), "p.yaml:1: key 'generation' is missing");
  EXPECT_ERROR(make(preset_with("selection: {kind: recent, sinks: -1}\ngeneration: none")),
               "p.yaml:4: key 'selection.sinks' is -1, at least 0 is needed");
  EXPECT_ERROR(make(preset_with("importance: attention\nselection: {kind: top, recent_share: 2}\n"
                                "generation: none")),
               "p.yaml:5: key 'selection.recent_share' is 2, a share from 0 to 1 is needed");
  EXPECT_ERROR(make(preset_with("importance: {kind: attention, granularity: head}\n"
                                "selection: top\ngeneration: none")),
               "p.yaml:4: key 'importance.granularity' is unknown: 'head'; known: model, layer, "
               "kv_head");
  EXPECT_ERROR(make("summary: s\ncitation: c\nallocation: uniform\nselection: everything\n"
                    "compaction: evict\ngeneration: none\npositions: orignal\n"),
               "p.yaml:7: key 'positions' names no position mode: 'orignal'; did you mean "
               "'original'?");
}

TEST(Registry, ComponentsHaveToFit) {
  EXPECT_ERROR(make(preset_with("selection: top\ngeneration: none")),
               "p.yaml:4: key 'selection' reads scores, so an 'importance' is needed");
  EXPECT_ERROR(make(preset_with("selection: recent\ngeneration: lowest_score")),
               "p.yaml:5: key 'generation' goes on scoring entries, so an 'importance' is needed");
  EXPECT_ERROR(make(preset_with("importance: random\nselection: top\ngeneration: lowest_score")),
               "p.yaml:6: key 'generation' accumulates attention, so the 'importance' has to be "
               "'attention' with reduce sum or mean and heads mean");
  EXPECT_ERROR(make(preset_with("importance: {kind: attention, granularity: kv_head}\n"
                                "selection: elastic_released\ngeneration: none")),
               "p.yaml:4: key 'importance' has granularity kv_head, but released code shares slots "
               "between heads");
  EXPECT_ERROR(make(preset_with("importance: attention\nselection: h2o_released\n"
                                "generation: h2o_released")),
               "p.yaml:4: key 'importance' needs granularity model: released H2O has one score for "
               "all layers");
}

TEST(Registry, ComponentsOfTheAnswerHaveToFit) {
  EXPECT_ERROR_CONTAINS(
      make_strategy("elastic", {"generation={kind: recompress}", "importance.reduce=mean"}),
      "key 'generation' compresses again while generating, where it is not known how many queries "
      "saw an entry, so the 'importance' needs another 'reduce' than mean");
  EXPECT_ERROR_CONTAINS(make_strategy("vl-cache", {"generation=recompress"}),
                        "key 'generation' compresses again while generating, where only keys, "
                        "values, accumulated attention and the last attention rows are known, but "
                        "the strategy reads more of the prompt");
  EXPECT_ERROR_CONTAINS(
      make_strategy("d2o", {"compaction.key_space=unrotated", "positions=cache_length"}),
      "key 'compaction' merges un-rotated keys while generating, which needs positions 'original' "
      "or 'rerotated'");
  EXPECT_ERROR_CONTAINS(make_strategy("elastic", {"heads=adaptive"}),
                        "key 'heads' shares slots between heads, so an 'importance' of granularity "
                        "kv_head is needed");
  EXPECT_ERROR_CONTAINS(make_strategy("streaming-llm", {"heads=adaptive"}),
                        "key 'heads' compares scores, so an 'importance' is needed");
  EXPECT_ERROR_CONTAINS(make_strategy("snapkv", {"importance.kernel=4"}),
                        "has an even kernel (4), but one with a middle is needed");
}

TEST(Registry, PresetsMayLieElsewhere) {
  const TemporaryFolder folder;
  folder.write("strategies/mine.yaml",
               "summary: mine\ncitation: none\nallocation: uniform\nselection: {kind: recent}\n"
               "compaction: evict\ngeneration: oldest\npositions: original\n");
  setenv("ELASTIKV_CONFIGS", folder.path().c_str(), /*replace=*/1);
  const auto presets = list_presets();
  const std::string description = make_strategy("mine")->description();
  setenv("ELASTIKV_CONFIGS", (folder.path() / "none").c_str(), /*replace=*/1);
  EXPECT_ERROR(list_presets(), (folder.path() / "none" / "strategies").string() +
                                   ": the strategy presets cannot be read: No such file or "
                                   "directory");
  unsetenv("ELASTIKV_CONFIGS");
  ASSERT_EQ(presets.size(), 1U);
  EXPECT_EQ(presets[0].summary, "mine");
  EXPECT_EQ(
      description,
      "importance=none allocation=uniform heads=uniform selection=recent(sinks=4) compaction=evict "
      "generation=oldest positions=original");
}

TEST(Registry, APresetMayBeAnyFile) {
  const TemporaryFolder folder;
  const std::string file =
      folder.write("mine.yaml", preset_with("selection: {kind: recent}\ngeneration: oldest"));
  EXPECT_TRUE(is_preset_path(file));
  EXPECT_TRUE(is_preset_path("mine.yaml"));
  EXPECT_FALSE(is_preset_path("elastic"));
  EXPECT_EQ(preset_name(file), "mine");
  EXPECT_EQ(
      make_strategy(file, {"selection.sinks=2"})->description(),
      "importance=none allocation=uniform heads=uniform selection=recent(sinks=2) compaction=evict "
      "generation=oldest positions=original");
  EXPECT_ERROR(make_strategy("../../x"), "../../x: cannot open: No such file or directory");
  folder.write("mine.yaml", preset_with("selection: {kind: recnt}\ngeneration: oldest"));
  EXPECT_ERROR(make_strategy(file), file +
                                        ":4: key 'selection.kind' names no selection: 'recnt'; "
                                        "did you mean 'recent'?");
}

}  // namespace
}  // namespace elastikv
