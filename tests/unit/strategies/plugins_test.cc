// Components that a plugin brings: how they are named, told apart and described.
#include "strategies/plugins.h"

#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "cache/kv_cache.h"
#include "strategies/components.h"
#include "strategies/composition.h"
#include "strategies/registry.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "unit/strategies/support.h"

namespace elastikv {
namespace {

/// The same score for all entries, or for the later ones a larger one.
class FlatImportance final : public Importance {
 public:
  StatisticsRequest needs() const override { return {}; }
  Granularity granularity() const override { return Granularity::kLayer; }
  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    return std::vector<at::Tensor>(prompt.layers.size(),
                                   at::full({1, prompt.prompt_tokens}, 0.5, at::kFloat));
  }
  std::string description() const override { return "flat"; }
};

PluginComponents components_of(const std::string& file, const std::string& hash = "0123") {
  return PluginComponents({file, "/" + file, hash});
}

PluginComponents with_importance(const std::string& file, const std::string& kind,
                                 const std::string& hash = "0123") {
  PluginComponents components = components_of(file, hash);
  components.add_importance(kind, [](const Parameters& parameters) {
    parameters.require_known({});
    return std::make_shared<FlatImportance>();
  });
  return components;
}

std::unique_ptr<Strategy> strategy_with(const std::string& importance) {
  return make_strategy(YamlFields::parse("summary: s\ncitation: c\nimportance: " + importance +
                                             "\nallocation: uniform\nselection: top\n"
                                             "compaction: evict\ngeneration: none\n"
                                             "positions: original\n",
                                         "p.yaml"));
}

TEST(Plugins, AKindIsNamedLikeABuiltInOne) {
  const int64_t before = plugins_revision();
  register_plugin(with_importance("flat.so", "flat"));
  EXPECT_GT(plugins_revision(), before);
  EXPECT_TRUE(is_plugin_part("importance/flat"));
  EXPECT_FALSE(is_plugin_part("importance/attention"));
  const auto strategy = strategy_with("flat");
  EXPECT_EQ(strategy->parts().at(4), "selection/top");
  EXPECT_EQ(strategy->description(),
            "importance=flat allocation=uniform heads=uniform "
            "selection=top(sinks=1,recent=1,recent_share=0,text_first=false) compaction=evict "
            "generation=none positions=original plugins=importance/flat:0123");
  const auto plans = strategy->compress(made_up_prompt(30), Budget::fraction(0.2));
  EXPECT_EQ(plans.size(), 3U);
  EXPECT_ERROR(strategy_with("{kind: flat, sink: 2}"),
               "p.yaml:3: unknown key 'importance.sink'; did you mean 'kind'?");
  EXPECT_ERROR(strategy_with("flatt"),
               "p.yaml:3: key 'importance' names no importance: 'flatt'; did you mean 'flat'?");
}

TEST(Plugins, APluginThatHasChangedTakesTheOldOnesPlace) {
  register_plugin(with_importance("changing.so", "changing", "aaaa"));
  register_plugin(with_importance("changing.so", "changing", "bbbb"));
  EXPECT_TRUE(strategy_with("changing")->description().ends_with("importance/changing:bbbb"));
}

TEST(Plugins, AKindThatThereIsIsRefused) {
  EXPECT_ERROR(register_plugin(with_importance("a.so", "attention")),
               "a.so: registers the importance 'attention', which elastikv has itself");
  register_plugin(with_importance("first.so", "taken"));
  EXPECT_ERROR(
      register_plugin(with_importance("second.so", "taken")),
      "second.so: registers the importance 'taken', which first.so has registered already");
  EXPECT_ERROR(register_plugin(components_of("none.so")), "none.so: registers no component");
  EXPECT_ERROR(
      with_importance("bad.so", "two words"),
      "bad.so: registers the importance 'two words', but a kind may have letters, digits and the "
      "characters _ -");
  PluginComponents twice = with_importance("twice.so", "one");
  EXPECT_ERROR(twice.add_importance("one", [](const Parameters&) { return nullptr; }),
               "twice.so: registers the importance 'one' twice");
}

TEST(Plugins, APolicyBehindItsGuardGoesOnFromTurnToTurn) {
  PluginComponents components = components_of("borrowed.so");
  components.add_generation("borrowed", [](const Parameters& parameters) {
    return make_generation(parameters.child("of"));
  });
  register_plugin(components);
  const PromptStatistics prompt = made_up_prompt(60);
  const Budget budget = Budget::fraction(0.5);
  const auto begin = [&](const std::string& generation) {
    const auto strategy = make_strategy("elastic", {"generation=" + generation});
    return strategy->begin_generation(prompt, strategy->compress(prompt, budget), budget);
  };
  const auto guarded = begin("{kind: borrowed, of: fixed_point}");
  const auto plain = begin("fixed_point");
  const auto guarded_on = guarded->go_on(budget.beside(5));
  const auto plain_on = plain->go_on(budget.beside(5));
  ASSERT_NE(guarded_on, nullptr);
  std::vector<KVCache> caches;
  for (GenerationPolicy* policy : {guarded_on.get(), plain_on.get()}) {
    const auto strategy = make_strategy("elastic");
    const auto plans = strategy->compress(prompt, budget);
    KVCache& cache = caches.emplace_back(made_up_cache(prompt));
    for (size_t layer = 0; layer < plans.size(); ++layer)
      cache.apply(static_cast<int64_t>(layer), plans[layer]);
    std::mt19937 random(5);
    for (int64_t seen = 61; seen <= 80; ++seen) decode_step(cache, policy, prompt, seen, random);
  }
  EXPECT_EQ(caches[0].positions(1, 0), caches[1].positions(1, 0));
  EXPECT_EQ(caches[0].length(1), 42);  // half of 75, and 5 beside
}

TEST(Plugins, FilesAreTakenByTheirEnds) {
  const TemporaryFolder folder;
  const std::string text = folder.write("mine.txt", "");
  EXPECT_ERROR(load_plugin(text),
               text + ": is no plugin, which is a library (.so) or a Python file (.py)");
  const std::string none = (folder.path() / "none.so").string();
  EXPECT_ERROR(load_plugin(none), none + ": cannot open: No such file or directory");
  const std::string library = folder.write("text.so", "#!/bin/sh\n");
  EXPECT_ERROR(load_plugin(library), library + ": is no shared library");
  const std::string python = folder.write("mine.py", "one");
  EXPECT_ERROR(load_plugin(python),
               python +
                   ": a plugin in Python needs the elastikv of the Python package, which has an "
                   "interpreter; this program has none");
}

TEST(Plugins, PythonIsReadByItsLoader) {
  const TemporaryFolder folder;
  const std::string file = folder.write("score.py", "one");
  int loaded = 0;
  set_python_plugin_loader([&](const std::filesystem::path& path, PluginComponents& components) {
    ++loaded;
    EXPECT_EQ(path.string(), file);
    components.add_importance("from-python",
                              [](const Parameters&) { return std::make_shared<FlatImportance>(); });
  });
  load_plugins({file, file});
  EXPECT_EQ(loaded, 1) << "the same text is read once";
  const std::string before = strategy_with("from-python")->description();
  folder.write("score.py", "two");
  load_plugin(file);
  EXPECT_EQ(loaded, 2);
  EXPECT_NE(strategy_with("from-python")->description(), before) << "a hash of the text";
  set_python_plugin_loader(nullptr);
}

TEST(Plugins, WhatAMakerThrowsNamesTheFile) {
  PluginComponents components = components_of("throws.so");
  components.add_importance("throws", [](const Parameters&) -> std::shared_ptr<const Importance> {
    throw std::runtime_error("no luck\nat line 3");
  });
  components.add_importance(
      "nothing", [](const Parameters&) -> std::shared_ptr<const Importance> { return nullptr; });
  register_plugin(components);
  EXPECT_ERROR(strategy_with("throws"), "throws.so: importance 'throws' fails: no luck");
  EXPECT_ERROR(strategy_with("nothing"), "throws.so: importance 'nothing' makes no component");
}

}  // namespace
}  // namespace elastikv
