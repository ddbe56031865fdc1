#include "sweep/sweep_keys.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/keys.h"
#include "base/nearest_name.h"
#include "base/yaml_values.h"
#include "sweep/data_choice.h"
#include "sweep/exclusions.h"
#include "sweep/labels.h"
#include "sweep/metric_keys.h"
#include "sweep/model_choice.h"
#include "sweep/shared_keys.h"
#include "sweep/strategy_choice.h"

namespace elastikv {
namespace {

/// The same values; a list of them would change the whole sweep, not its cells.
template <typename V>
ValueForm<V> one_for_all(ValueForm<V> form) {
  form.read = [read = std::move(form.read)](const YamlFields& node) {
    if (!node.is_scalar()) {
      node.fail_here(
          "takes one value for the whole sweep; for several, run it once for each with its own "
          "--output");
    }
    return read(node);
  };
  return form;
}

const Keys<SweepConfig>& matrix_keys() {
  static const Keys<SweepConfig> keys([](Keys<SweepConfig>& keys) {
    keys.entries(
        "exclude",
        {.read = [](const YamlFields& node,
                    SweepConfig& config) { config.exclude = read_exclusions(node, config); },
         .write =
             [](const SweepConfig& config) {
               return config.exclude.empty() ? OrderedJson()
                                             : exclusion_keys().write_all(config.exclude);
             }},
        exclusion_keys(), "mapping, or a list of them",
        "Cells that are left out: those that fit every part of an entry.");
  });
  return keys;
}

const Keys<SweepConfig>& generation_keys() {
  static const Keys<SweepConfig> keys([](Keys<SweepConfig>& keys) {
    keys.add("max_new_tokens", &SweepConfig::max_new_tokens,
             one_for_all(integer_form(1, kMostNewTokens)),
             "Where generated texts end at the latest.");
  });
  return keys;
}

const Keys<BootstrapChoice>& bootstrap_keys() {
  static const Keys<BootstrapChoice> keys([](Keys<BootstrapChoice>& keys) {
    keys.add("iterations", &BootstrapChoice::iterations, integer_form(1, 1000000),
             "Resamples that an interval is made of.");
    keys.add("seed", &BootstrapChoice::seed, integer_form<uint64_t>(0), "Of the resamples.");
  });
  return keys;
}

const Keys<SweepConfig>& detail_keys() {
  static const Keys<SweepConfig> keys([](Keys<SweepConfig>& keys) {
    keys.add("samples", &SweepConfig::detail_samples, integer_form(0),
             "Of so many first samples of each model and data set, `details.jsonl` keeps attention "
             "and kept entries.");
  });
  return keys;
}

/// The labels that `compare_with` names.
void read_comparisons(const YamlFields& list, SweepConfig& config) {
  std::vector<std::string> labels;
  labels.reserve(config.strategies.size());
  for (const StrategyChoice& strategy : config.strategies) labels.push_back(strategy.label);
  // An empty list is a choice: no comparison.
  for (const YamlFields& node : any_or_none(list)) {
    const std::string name = node.as_string();
    if (std::find(labels.begin(), labels.end(), name) != labels.end()) {
      config.compare_with.push_back(name);
      continue;
    }
    // The name of a strategy that a list made several of means all of them.
    const size_t before = config.compare_with.size();
    for (const StrategyChoice& strategy : config.strategies) {
      if (strategy.name == name) config.compare_with.push_back(strategy.label);
    }
    if (config.compare_with.size() == before) {
      node.fail_here(
          fmt::format("names no strategy of this sweep: '{}'{}", name, suggestion(name, labels)));
    }
  }
}

void compare_with_elastic(const YamlFields&, SweepConfig& config) {
  for (const StrategyChoice& strategy : config.strategies) {
    const CompressionMoment& moment = strategy.moment;
    const bool late = moment.at != CompressAt::kPromptEnd;
    if (strategy.label == (late ? "elastic-" + moment.name() : "elastic"))
      config.compare_with.push_back(strategy.label);
  }
}

/// Makes strategies of all moments of those whose entries do not say when they compress.
void spread_over_moments(const YamlFields& fields, QuestionEntries question, SweepConfig& config) {
  std::vector<StrategyChoice> all;
  for (const StrategyChoice& strategy : config.strategies) {
    if (strategy.says_moment) {
      all.push_back(strategy);
      continue;
    }
    for (StrategyChoice& one : at_moments(strategy, config.compress_at, question))
      all.push_back(std::move(one));
  }
  require_unique(
      all, fields, [](const StrategyChoice& s) { return s.label; }, "give them different names");
  config.strategies = std::move(all);
}

/// What each strategy's entry keeps, once they are spread: nothing of their own.
void add_moments(Keys<SweepConfig>& keys) {
  keys.custom("compress_at",
              {.read = [](const YamlFields& node,
                          SweepConfig& config) { config.compress_at = read_moments(node); }},
              or_list(compress_at_form().takes, /*ranges=*/false),
              "When prompts are compressed; a list makes of each strategy one for each moment.",
              {.otherwise = "`prompt_end`"});
  keys.custom("question",
              {.read =
                   [](const YamlFields& node, SweepConfig& config) {
                     const auto& moments = config.compress_at;
                     if (std::find(moments.begin(), moments.end(), CompressAt::kBeforeQuestion) ==
                         moments.end())
                       node.fail_here("needs compress_at: before_question beside it");
                     spread_over_moments(node, question_entries_form().read(node), config);
                   },
               .otherwise =
                   [](const YamlFields& fields, SweepConfig& config) {
                     spread_over_moments(fields, QuestionEntries::kKeep, config);
                   }},
              question_entries_form().takes,
              "Under `before_question`: keep the question's entries on top of the budget, or leave "
              "them to the generation policy.",
              {.otherwise = "`keep`"});
}

/// Where sharing changes no number, nothing is noted of it.
void add_sharing(Keys<SweepConfig>& keys) {
  const ValueForm<ContextSharing> form =
      one_for_all(choice_form<ContextSharing>({{"true", ContextSharing::kExact},
                                               {"false", ContextSharing::kNone},
                                               {"all", ContextSharing::kAll}},
                                              "; true, false or all is needed"));
  keys.custom(
      "share_prefix",
      {.read = [form](const YamlFields& node,
                      SweepConfig& config) { config.sharing = form.read(node); },
       .write =
           [](const SweepConfig& config) {
             return config.sharing == ContextSharing::kAll ? OrderedJson("all") : OrderedJson();
           }},
      form.takes,
      "Under `before_question`: one image encoding, one prefill and one compression for samples "
      "that ask about the same, which changes no result; `all`: one prefill of what they share "
      "under any moment, which rounds differently and counts as another measurement.",
      {.tag = "share_prefix", .otherwise = "`true`"});
}

void add_outcome_keys(Keys<SweepConfig>& keys) {
  keys.section("bootstrap", &SweepConfig::bootstrap, bootstrap_keys(), "", {.hashed = false});
  keys.section("details", kItself, detail_keys(), "", {.hashed = false});
  keys.custom("compare_with",
              {.read = read_comparisons,
               .write = [](const SweepConfig& config) { return OrderedJson(config.compare_with); },
               .otherwise = compare_with_elastic},
              "one name or several",
              "Strategies that the others are compared with at the same budget, a table each; "
              "`[]`: none.",
              {.hashed = false, .otherwise = "`elastic`, where there is one"});
  keys.add("output", &SweepConfig::output, one_for_all(filled_path_form()), "The folder.",
           {.hashed = false, .otherwise = "`results/NAME`"},
           [](const YamlFields&, SweepConfig& config) {
             config.output = std::filesystem::path("results") / config.name;
           });
}

}  // namespace

const Keys<SweepConfig>& sweep_keys() {
  static const Keys<SweepConfig> keys([](Keys<SweepConfig>& keys) {
    add_name(keys, one_for_all(label_form()), "The heading of its tables.");
    keys.entries("models",
                 {.write = [](const SweepConfig& c) { return model_keys().write_all(c.models); }},
                 model_keys(), "mapping, or a list of them", "What is run.", {.required = true});
    keys.entries(
        "data", {.write = [](const SweepConfig& c) { return data_keys().write_all(c.data); }},
        data_keys(), "mapping, or a list of them", "What it is asked.", {.required = true});
    add_strategies(keys, {.required = true});
    add_plugin_files(keys);
    add_budgets(keys);
    add_moments(keys);
    keys.section("matrix", kItself, matrix_keys());
    keys.section("metrics", &SweepConfig::metrics, metric_keys());
    keys.section("generation", kItself, generation_keys());
    keys.add("predict_only", &SweepConfig::predict_only, boolean_form(),
             "Generate texts and measure nothing: `metrics` are switched off.",
             {.written = Written::kWhereSet});
    keys.add("cells", &SweepConfig::cells_together,
             one_for_all(choice_form<bool>({{"together", true}, {"one-by-one", false}},
                                           "; 'together' or 'one-by-one' is needed")),
             "One batch for all cells of a sample, or each by itself, which times perplexity alone "
             "(`text: []`, `agreement: false`).",
             {.written = Written::kWhereSet});
    add_sharing(keys);
    keys.add("seed", &SweepConfig::seed, one_for_all(integer_form<uint64_t>(0)),
             "Of strategies that draw at random.");
    add_outcome_keys(keys);
  });
  return keys;
}

std::string sweep_keys_markdown() {
  return keys_markdown(sweep_keys(), "**The whole sweep**", "changes records");
}

}  // namespace elastikv
