#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "explain_subject.h"
#include "image/drawing.h"
#include "image/picture.h"
#include "models/registry.h"
#include "prompt_options.h"
#include "report/explanation.h"
#include "report/explanation_pictures.h"
#include "report/table.h"
#include "runtime/loading.h"
#include "runtime/prompt_encoder.h"
#include "strategies/finite.h"
#include "strategy_options.h"
#include "sweep/choices.h"
#include "text/json_text.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

Json head_json(const HeadDecision& head) {
  Json groups = Json::array();
  for (const MergedGroup& group : head.groups) {
    groups.push_back({{"anchor", group.anchor},
                      {"sources", group.sources},
                      {"anchor_weight", group.anchor_weight},
                      {"source_weights", group.source_weight}});
  }
  return {{"tokens", head.kept.size()},
          {"attention_lost", head.attention_lost},
          {"kept", head.kept},
          {"groups", std::move(groups)}};
}

Json explanation_json(const Explanation& explanation, const CacheShape& shape) {
  const auto element = static_cast<int64_t>(c10::elementSize(shape.dtype));
  Json layers = Json::array();
  for (const LayerDecision& layer : explanation.layers) {
    Json heads = Json::array();
    for (const HeadDecision& head : layer.heads) heads.push_back(head_json(head));
    layers.push_back({{"layer", layer.layer},
                      {"shared_by_heads", layer.shared},
                      {"attention_lost", layer.attention_lost},
                      {"heads", std::move(heads)}});
  }
  return {{"name", explanation.name},
          {"description", explanation.description},
          {"requested_tokens", explanation.requested},
          {"tokens", explanation.tokens},
          {"bytes", explanation.bytes(shape.head_dim, element)},
          {"attention_lost", explanation.attention_lost},
          {"layers", std::move(layers)}};
}

void print_json(const Subject& subject, const TokenizedPrompt& prompt,
                const PromptStatistics& statistics, const CacheShape& shape,
                const std::vector<int64_t>& layers, const std::vector<Explanation>& explanations) {
  Json out{{"model", subject.model.path.string()},
           {"budget", subject.budget.name()},
           {"prompt_tokens", statistics.prompt_tokens},
           {"image_begin", statistics.image_begin},
           {"image_end", statistics.image_end},
           {"prompt_token_ids", prompt.ids},
           {"query_heads", statistics.query_heads},
           {"kv_heads", statistics.kv_heads},
           {"head_dim", shape.head_dim},
           {"layers", layers}};
  if (subject.sample) out["sample"] = subject.sample->id;
  Json strategies = Json::array();
  for (const Explanation& explanation : explanations)
    strategies.push_back(explanation_json(explanation, shape));
  out["strategies"] = std::move(strategies);
  out["kept_agreement"] = kept_agreement(explanations);
  fmt::print("{}\n", json_text(std::move(out)));
}

Table agreement_table(const std::vector<Explanation>& explanations) {
  Table table;
  table.header.emplace_back("kept in common");
  for (const Explanation& explanation : explanations) table.header.push_back(explanation.name);
  const auto matrix = kept_agreement(explanations);
  for (size_t row = 0; row < matrix.size(); ++row) {
    std::vector<std::string> fields{explanations[row].name};
    for (const double value : matrix[row]) fields.push_back(fmt::format("{:.3f}", value));
    table.rows.push_back(std::move(fields));
  }
  return table;
}

Table agreement_csv(const std::vector<Explanation>& explanations) {
  Table table;
  table.header = {"layer", "strategy", "other", "jaccard"};
  const auto add = [&](const std::string& layer, const std::vector<std::vector<double>>& matrix) {
    for (size_t a = 0; a < matrix.size(); ++a) {
      for (size_t b = a + 1; b < matrix.size(); ++b) {
        table.rows.push_back(
            {layer, explanations[a].name, explanations[b].name, long_number(matrix[a][b])});
      }
    }
  };
  for (size_t i = 0; i < explanations.front().layers.size(); ++i) {
    add(std::to_string(explanations.front().layers[i].layer), kept_agreement(explanations, i));
  }
  add("mean", kept_agreement(explanations));
  return table;
}

Table lost_csv(const std::vector<Explanation>& explanations) {
  Table table;
  table.header = {"strategy", "layer", "kv_head", "kept", "attention_lost"};
  for (const Explanation& explanation : explanations) {
    for (const LayerDecision& layer : explanation.layers) {
      const std::string number = std::to_string(layer.layer);
      size_t kept = 0;
      for (size_t head = 0; head < layer.heads.size(); ++head) {
        const HeadDecision& decision = layer.heads[head];
        kept += decision.kept.size();
        table.rows.push_back({explanation.name, number, std::to_string(head),
                              std::to_string(decision.kept.size()),
                              long_number(decision.attention_lost)});
      }
      table.rows.push_back({explanation.name, number, "all", std::to_string(kept),
                            long_number(layer.attention_lost)});
    }
  }
  return table;
}

Table lost_table(const std::vector<Explanation>& explanations) {
  Table table;
  table.header = {"strategy", "kept entries", "attention given up", "least in a layer",
                  "most in a layer"};
  const auto percent = [](double share) { return fmt::format("{:.1f} %", 100 * share); };
  for (const Explanation& explanation : explanations) {
    const auto [least, most] = std::minmax_element(
        explanation.layers.begin(), explanation.layers.end(),
        [](const auto& a, const auto& b) { return a.attention_lost < b.attention_lost; });
    table.rows.push_back({explanation.name, std::to_string(explanation.tokens),
                          percent(explanation.attention_lost), percent(least->attention_lost),
                          percent(most->attention_lost)});
  }
  return table;
}

/// Pictures and tables; returns the names of the files.
std::vector<std::string> write_files(const std::filesystem::path& folder,
                                     const std::vector<Explanation>& explanations,
                                     const ShownPrompt& prompt) {
  std::vector<std::string> files;
  const auto draw = [&](const std::string& name, const Picture& picture) {
    write_png(folder / name, picture);
    files.push_back(name);
  };
  const auto write = [&](const std::string& name, const Table& table) {
    write_file_atomically(folder / name, table.csv());
    files.push_back(name);
  };
  for (const Explanation& explanation : explanations) {
    draw(explanation.name + "-kept.png", kept_sheet(explanation, prompt));
    if (explanation.layers.front().importance.defined())
      draw(explanation.name + "-importance.png", importance_sheet(explanation, prompt));
  }
  write("attention_lost.csv", lost_csv(explanations));
  if (explanations.size() > 1) {
    draw("agreement.png", agreement_sheet(explanations, prompt.title));
    write("agreement.csv", agreement_csv(explanations));
  }
  return files;
}

int explain_prompt(const ExplainOptions& options) {
  // Everything that can be wrong is looked at before the weights.
  const Subject subject = read_subject(options);
  const c10::Device device = parse_device(subject.model.device);
  require_available(device);
  const c10::ScalarType dtype = parse_dtype(subject.model.dtype);
  require_loadable(subject.model.path);
  // Ids are a prompt as they are: they need no tokenizer and no prompt format.
  const bool of_ids = !subject.sample && !options.prompt_ids.empty();
  std::optional<PromptReader> reader;
  if (!of_ids) reader.emplace(make_reader(subject.model));
  const ModelSummary summary = summarize_model(subject.model.path);
  const TokenizedPrompt prompt = subject.sample ? prompt_of(*reader, *subject.sample)
                                 : of_ids ? prompt_of_ids(options.prompt_ids, summary.vocab_size)
                                          : reader->tokenize(options.prompt, subject.pictures);
  require_room(prompt, /*new_tokens=*/0, summary.max_positions, "the prompt");
  const auto tokens = static_cast<int64_t>(prompt.ids.size());
  const TokenSpan span = prompt.image_span();
  PictureSize grid;
  if (!options.json) {
    if (prompt.images.empty()) {
      fail("the prompt has no picture to draw on; --json prints what is kept without one");
    }
    grid = reader->grid(subject.pictures);
    require_grid(span.end - span.begin, grid);
  }
  StatisticsRequest request;
  request.prefill.column_sums = true;
  for (const NamedStrategy& named : subject.strategies) {
    const StatisticsRequest needs = named.strategy->needs();
    const std::string missing = missing_for(needs, tokens, span.begin, span.end);
    if (!missing.empty()) fail("strategy '{}': the prompt {}", named.name, missing);
    request = request | needs;
  }
  if (!options.json) {
    std::error_code problem;
    std::filesystem::create_directories(options.out, problem);
    if (problem) fail("--out {}: cannot be made: {}", options.out, problem.message());
  }

  const std::unique_ptr<Model> model = open_model(subject.model.path, device, dtype);
  const CacheShape shape = model->language().cache_shape();
  const std::vector<int64_t> layers = parse_layers(options.layers, shape.layers);
  const EncodedPrompt encoded =
      of_ids ? encode_ids(*model, prompt.ids, request, subject.seed)
             : encode_prompt(*model, *reader, prompt, subject.pictures, request, subject.seed);
  StatisticsRequest attention;
  attention.prefill.column_sums = true;
  require_finite(attention, encoded.non_finite);
  std::vector<Explanation> explanations;
  for (const NamedStrategy& named : subject.strategies) {
    try {
      require_finite(named.strategy->needs(), encoded.non_finite);
      explanations.push_back(
          explain(named.name, *named.strategy, encoded.statistics, subject.budget, layers));
    } catch (const Error& error) {
      fail("strategy '{}': {}", named.name, error.what());
    }
  }
  if (options.json) {
    print_json(subject, prompt, encoded.statistics, shape, layers, explanations);
    return 0;
  }
  ShownPrompt shown;
  shown.picture = reader->image_processor()->crop(read_picture(subject.pictures.front()));
  shown.image_begin = span.begin;
  shown.image_end = span.end;
  shown.grid = grid;
  shown.prompt_tokens = tokens;
  shown.title = subject.title();
  const std::vector<std::string> files = write_files(options.out, explanations, shown);
  fmt::print("{}: {} prompt tokens, {} of the picture\n\n{}", shown.title, tokens,
             span.end - span.begin, lost_table(explanations).markdown());
  if (explanations.size() > 1) fmt::print("\n{}", agreement_table(explanations).markdown());
  std::fflush(stdout);
  inform("\nin {}: {}", options.out, fmt::join(files, ", "));
  return 0;
}

/// What cannot stand together, or is missing.
void require_consistent(const CLI::App& verb, const ExplainOptions& options) {
  const auto given = [&](const char* name) { return verb.get_option(name)->count() > 0; };
  if (given("file")) {
    for (const char* name : {"--model", "--image", "--prompt", "--prompt-ids", "--prompt-format",
                             "--system", "--date", "--template-variable", "--image-aspect-ratio",
                             "--pixels", "--image-place", "--picture-place", "--image-orientation",
                             "--picture-orientation", "--device", "--dtype", "--seed"}) {
      if (given(name))
        throw CLI::ValidationError(name, "takes no sweep file: the file says it (see --set)");
    }
    return;
  }
  if (given("--sample")) throw CLI::ValidationError("--sample", "needs a sweep file");
  if (!given("--prompt") && !given("--prompt-ids"))
    throw CLI::RequiredError("a sweep file, --prompt or --prompt-ids");
  if (given("--prompt-ids") && !options.images.empty())
    throw CLI::ValidationError("--prompt-ids", "takes no --image: the ids are the whole prompt");
  if (given("--prompt-ids") && options.prompt_options.given())
    throw CLI::ValidationError("--prompt-ids", PromptOptions::kNoneWithIds);
  if (!given("--strategy")) throw CLI::RequiredError("--strategy");
  if (!options.budget.given()) throw CLI::RequiredError("--keep or --keep-tokens");
}

}  // namespace

void add_explain_verb(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* verb = app.add_subcommand(
      "explain",
      "Show which tokens of one prompt each layer keeps, merges and drops: pictures and tables, or "
      "JSON");
  verb->add_option("file", options->file,
                   "A sweep's YAML file: explains a sample of its first data set with its first "
                   "model");
  verb->add_option("--sample", options->sample, "Of the sweep's data; default: the first")
      ->check(not_empty());
  verb->add_option("--model", options->model, "Checkpoint folder (Hugging Face layout)")
      ->capture_default_str();
  verb->add_option("--image", options->images,
                   "Picture (PNG, JPEG, WebP, BMP); may be repeated where the model takes several")
      ->allow_extra_args(false)
      ->check(not_empty());
  CLI::Option* prompt = verb->add_option("--prompt,--question,-p", options->prompt,
                                         "The question; <image> in it places the picture");
  prompt->excludes(verb->add_option("--prompt-ids", options->prompt_ids,
                                    "Token ids 1,2,3 instead of a prompt and picture")
                       ->check(not_empty()));
  add_prompt_options(*verb, options->prompt_options);
  verb->add_option(
          "--strategy,-s", options->strategies,
          "Presets of configs/strategies, or strategies of the sweep (default: all but the "
          "full cache); a comma list")
      ->delimiter(',')
      ->check(not_empty());
  verb->add_option("--set", options->set,
                   "component.parameter=value on top of every preset, or with the preset's name "
                   "and a point before it on top of that one; with a sweep file as in 'sweep'")
      ->take_all();
  add_budget_options(*verb, options->budget);
  verb->add_option("--layers", options->layers, "Only these, such as 0,4,8-11")->check(not_empty());
  verb->add_option("--out", options->out, "Folder for pictures and tables")
      ->check(not_empty())
      ->capture_default_str();
  verb->add_option("--device", options->device, "cpu, cuda or cuda:N")->capture_default_str();
  verb->add_option("--dtype", options->dtype, "fp32, bf16 or fp16")->capture_default_str();
  verb->add_option("--seed", options->seed, "Seed of strategies that draw")
      ->check(not_negative())
      ->capture_default_str();
  verb->add_flag("--json", options->json,
                 "Print one JSON object with every kept and merged position instead");
  verb->callback([options, verb, &chosen] {
    require_consistent(*verb, *options);
    chosen = [options] { return explain_prompt(*options); };
  });
}

}  // namespace elastikv
