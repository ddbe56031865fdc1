#include "bench/bench_keys.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/fields.h"
#include "base/keys.h"
#include "base/yaml_values.h"
#include "bench/shapes.h"
#include "sweep/labels.h"
#include "sweep/ranges.h"
#include "sweep/shared_keys.h"

namespace elastikv {
namespace {

constexpr int64_t kMostRows = 65536;
constexpr int64_t kMostRuns = 100000;
constexpr int64_t kMostThreads = 4096;

/// A list of whole numbers, or ranges of them, each once.
ValueForm<std::vector<int64_t>> counts_form(int64_t most) {
  return {
      [most](const YamlFields& list) {
        std::vector<int64_t> counts;
        read_numbers(list, [&](const YamlFields& node, double value) {
          if (!(value >= 1 && value <= static_cast<double>(most)) || value != std::floor(value)) {
            node.fail_here(fmt::format("is {}, needs a whole number from 1 to {}", value, most));
          }
          const auto count = static_cast<int64_t>(value);
          if (std::find(counts.begin(), counts.end(), count) != counts.end())
            node.fail_here(fmt::format("has {} twice", count));
          counts.push_back(count);
        });
        return counts;
      },
      [](const std::vector<int64_t>& counts) { return OrderedJson(counts); },
      or_list(integers_between(1, most), /*ranges=*/true)};
}

/// "1024+512".
BenchLengths lengths_at(const YamlFields& node) {
  const std::string text = node.as_string();
  const size_t plus = text.find('+');
  BenchLengths lengths;
  const bool fits = plus != std::string::npos &&
                    parse_int(std::string_view(text).substr(0, plus), lengths.prompt_tokens) &&
                    parse_int(std::string_view(text).substr(plus + 1), lengths.new_tokens) &&
                    lengths.prompt_tokens >= 1 && lengths.prompt_tokens <= kMostNewTokens &&
                    lengths.new_tokens >= 1 && lengths.new_tokens <= kMostNewTokens;
  if (!fits) {
    node.fail_here(fmt::format("is '{}', needs prompt and new tokens, such as 1024+512", text));
  }
  return lengths;
}

void read_lengths(const YamlFields& list, BenchConfig& config) {
  for (const YamlFields& node : one_or_list(list)) config.lengths.push_back(lengths_at(node));
  require_unique(
      config.lengths, list, [](const BenchLengths& l) { return l.text(); }, "each is timed once");
}

OrderedJson lengths_json(const BenchConfig& config) {
  OrderedJson list = OrderedJson::array();
  for (const BenchLengths& lengths : config.lengths) list.push_back(lengths.text());
  return list;
}

/// Every pair of prompt and new tokens.
void pair_lengths(const YamlFields& root, BenchConfig& config) {
  const ValueForm<std::vector<int64_t>> form = counts_form(kMostNewTokens);
  const std::vector<int64_t> prompts = form.read(root.at("prompt_tokens"));
  const std::vector<int64_t> news = form.read(root.at("new_tokens"));
  for (const int64_t prompt : prompts) {
    for (const int64_t fresh : news) config.lengths.push_back({prompt, fresh});
  }
}

void add_work_keys(Keys<BenchConfig>& keys) {
  keys.add("batch", &BenchConfig::batch, counts_form(kMostRows), "Rows that decode together.",
           {.otherwise = "`1`"});
  keys.add("shared_prompt", &BenchConfig::shared_prompt, boolean_form(),
           "Whether the rows of a batch share one prompt, as the cells of a sweep do.",
           {.written = Written::kWhereSet});
  keys.custom("lengths", {.read = read_lengths, .write = lengths_json, .otherwise = pair_lengths},
              or_list("`PROMPT+NEW`", /*ranges=*/false), "Prompt and new tokens: `1024+512`.",
              {.otherwise = "the next two"});
  for (const auto& [name, help] :
       {std::pair("prompt_tokens", "Tokens of a prompt; every pair with `new_tokens` is timed."),
        std::pair("new_tokens", "Tokens that follow, the first from the prefill.")}) {
    keys.custom(name, {}, counts_form(kMostNewTokens).takes, help,
                {.written = Written::kNever, .otherwise = "see `lengths`"});
  }
}

/// The full cache, where a benchmark lists no strategies.
void full_cache_alone(const YamlFields& root, BenchConfig& config) {
  StrategyChoice full;
  full.preset = full.label = "full";
  full.origin = place_of(root);
  config.strategies.push_back(std::move(full));
}

}  // namespace

const Keys<BenchModel>& bench_model_keys() {
  static const Keys<BenchModel> keys([](Keys<BenchModel>& keys) {
    keys.add("path", &BenchModel::path, filled_path_form(),
             "A checkpoint's folder, whose decoder is timed on random token ids.",
             {.written = Written::kWhereSet, .otherwise = "or `shape`"});
    keys.group("shape",
               {.read =
                    [](const YamlFields& node, BenchModel& model) {
                      model.shape = read_shape(node);
                      model.shape_name = node.is_scalar() ? node.as_string() : "custom";
                    },
                .write =
                    [](const BenchModel& model) {
                      return model.random_weights() ? shape_keys().write(model.shape)
                                                    : OrderedJson();
                    }},
               shape_keys(), "name, or mapping",
               "Random weights of a decoder: one of `configs/bench/shapes.yaml`, or sizes.",
               {.otherwise = "or `path`"});
    add_placement<BenchModel>(keys, "the shape's or the folder's",
                              [](const YamlFields&, BenchModel& model) {
                                if (model.random_weights()) {
                                  model.label = model.shape_name;
                                  return;
                                }
                                model.label = folder_label(model.path);
                                // Most checkpoints lie in a folder "assembled" of a folder with
                                // their name.
                                if (model.label == "assembled" && model.path.has_parent_path())
                                  model.label = folder_label(model.path.parent_path());
                              });
  });
  return keys;
}

const Keys<BenchConfig>& bench_keys() {
  static const Keys<BenchConfig> keys([](Keys<BenchConfig>& keys) {
    add_name(keys, label_form(), "The heading.");
    keys.entries(
        "models",
        {.write = [](const BenchConfig& c) { return bench_model_keys().write_all(c.models); }},
        bench_model_keys(), "mapping, or a list of them", "What is timed.", {.required = true});
    add_work_keys(keys);
    add_strategies(keys, {.otherwise = "`full`"}, full_cache_alone);
    add_plugin_files(keys);
    add_budgets(keys);
    keys.add("runs", &BenchConfig::runs, integer_form(1, kMostRuns), "Timed rounds of all cells.",
             {.hashed = false});
    keys.add("warmup", &BenchConfig::warmup, integer_form(0, kMostRuns),
             "Rounds before them, of at most 9 new tokens each.");
    keys.add("threads", &BenchConfig::threads, integer_form(1, kMostThreads), "Of the CPU.",
             {.written = Written::kWhereSet, .otherwise = "as for `sweep`"});
    keys.add("graphs", &BenchConfig::graphs, boolean_form(),
             "Whether decode steps on a GPU run as CUDA graphs.", {.written = Written::kWhereSet});
    keys.add("too_large", &BenchConfig::too_large,
             choice_form<BenchConfig::TooLarge>({{"refuse", BenchConfig::TooLarge::kRefuse},
                                                 {"skip", BenchConfig::TooLarge::kSkip}}),
             "A cell that does not fit the memory: refuse the file, or skip and name the cell.");
    keys.add("seed", &BenchConfig::seed, integer_form<uint64_t>(0),
             "Of the prompts, the random weights and strategies that draw.");
    keys.add(
        "output", &BenchConfig::output, filled_path_form(), "The folder for tables.",
        {.written = Written::kWhereSet, .hashed = false, .otherwise = "none: they are only shown"});
  });
  return keys;
}

std::string bench_keys_markdown() { return keys_markdown(bench_keys(), "**The whole benchmark**"); }

}  // namespace elastikv
