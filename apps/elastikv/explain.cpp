#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/device.h"
#include "base/error.h"
#include "base/log.h"
#include "examples.h"
#include "explain_subject.h"
#include "image/image.h"
#include "models/registry.h"
#include "prompt_options.h"
#include "report/explanation.h"
#include "report/explanation_drawings.h"
#include "report/explanation_files.h"
#include "report/explanation_tables.h"
#include "runtime/loading.h"
#include "runtime/prompt_encoder.h"
#include "runtime/prompt_split.h"
#include "strategies/finite.h"
#include "strategy_options.h"
#include "sweep/choices.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

std::vector<ImageSize> sizes_of(const std::vector<ImageFile>& images) {
  std::vector<ImageSize> sizes;
  sizes.reserve(images.size());
  for (const ImageFile& image : images) sizes.push_back(check_image(image));
  return sizes;
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
  const AskedText asked = options.moment.asked(options.prompt);
  const TokenizedPrompt whole = subject.sample ? prompt_of(*reader, *subject.sample)
                                : of_ids ? prompt_of_ids(options.prompt_ids, summary.vocab_size)
                                         : reader->tokenize(asked.text, subject.images);
  require_room(whole, /*new_tokens=*/0, summary.max_positions, "the prompt");
  // Strategies see no more than what is prefilled before they compress.
  const TokenizedPrompt prompt = first_tokens(
      whole, subject.sample ? compressed_tokens(*reader, *subject.sample, whole, subject.at)
             : of_ids       ? tokens_before(subject.at, whole, "the prompt")
                      : tokens_before(subject.at, *reader, asked, sizes_of(subject.images), whole,
                                      "the prompt"));
  const auto tokens = static_cast<int64_t>(prompt.ids.size());
  const TokenSpan span = prompt.image_span();
  ImageSize grid;
  if (!options.json) {
    if (prompt.images.empty()) {
      fail("the prompt has no image to draw on; --json prints what is kept without one");
    }
    grid = reader->grid(subject.images);
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
             : encode_prompt(*model, *reader, prompt, subject.images, request, subject.seed);
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
    const ExplainedPrompt explained{.model = subject.model.path.string(),
                                    .budget = subject.budget.name(),
                                    .sample = subject.sample ? subject.sample->id : "",
                                    .ids = prompt.ids,
                                    .layers = layers,
                                    .shape = shape,
                                    .statistics = encoded.statistics};
    fmt::print("{}\n", explanations_json(explained, explanations));
    return 0;
  }
  ShownPrompt shown;
  shown.image = reader->image_processor()->crop(read_image(subject.images.front()));
  shown.image_begin = span.begin;
  shown.image_end = span.end;
  shown.grid = grid;
  shown.prompt_tokens = tokens;
  shown.title = subject.title();
  const std::vector<std::string> files = write_explanations(options.out, explanations, shown);
  fmt::print("{}: {} prompt tokens, {} of the image\n\n{}", shown.title, tokens,
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
    for (const char* name :
         {"--model", "--image", "--prompt", "--prompt-ids", "--prompt-format", "--system", "--date",
          "--template-variable", "--image-aspect-ratio", "--pixels", "--image-place",
          "--picture-place", "--image-orientation", "--picture-orientation", "--compress-at",
          "--context", "--device", "--dtype", "--seed"}) {
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
  if (given("--prompt-ids") && given("--context"))
    throw CLI::ValidationError("--prompt-ids", "takes no --context: the ids are the whole prompt");
  if (!given("--strategy")) throw CLI::RequiredError("--strategy");
  if (!options.budget.given()) throw CLI::RequiredError("--keep or --keep-tokens");
}

}  // namespace

void add_explain_verb(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* verb = app.add_subcommand(
      "explain",
      "Show which tokens of one prompt each layer keeps, merges and drops: drawings and tables, or "
      "JSON");
  verb->add_option("file", options->file,
                   "A sweep's YAML file: explains a sample of its first data set with its first "
                   "model");
  verb->add_option("--sample", options->sample, "Of the sweep's data; default: the first")
      ->check(not_empty());
  verb->add_option("--model", options->model, "Checkpoint folder (Hugging Face layout)")
      ->capture_default_str();
  verb->add_option("--image", options->images,
                   "Image (PNG, JPEG, WebP, BMP); may be repeated where the model takes several")
      ->allow_extra_args(false)
      ->check(not_empty());
  CLI::Option* prompt = verb->add_option("--prompt,--question,-p", options->prompt,
                                         "The question; <image> in it places the image");
  prompt->excludes(verb->add_option("--prompt-ids", options->prompt_ids,
                                    "Token ids 1,2,3 instead of a prompt and image")
                       ->check(not_empty()));
  add_prompt_options(*verb, options->prompt_options);
  verb->add_option(
          "--strategy,-s", options->strategies,
          "Presets of configs/strategies, or strategies of the sweep (default: all but the "
          "full cache); a comma list")
      ->delimiter(',')
      ->check(not_empty());
  add_plugin_option(*verb, options->plugins);
  verb->add_option("--set", options->set,
                   "component.parameter=value on top of every preset, or with the preset's name "
                   "and a point before it on top of that one; with a sweep file as in 'sweep'")
      ->take_all();
  add_budget_options(*verb, options->budget);
  add_moment_options(*verb, options->moment);
  verb->add_option("--layers", options->layers, "Only these, such as 0,4,8-11")->check(not_empty());
  verb->add_option("--out", options->out, "Folder for drawings and tables")
      ->check(not_empty())
      ->capture_default_str();
  verb->add_option("--device", options->device, "cpu, cuda or cuda:N")->capture_default_str();
  verb->add_option("--dtype", options->dtype, "fp32, bf16 or fp16")->capture_default_str();
  verb->add_option("--seed", options->seed, "Seed of strategies that draw")
      ->check(not_negative())
      ->capture_default_str();
  verb->add_flag("--json", options->json,
                 "Print one JSON object with every kept and merged position instead");
  add_examples(*verb, {{"Two strategies on a scene of the quickstart: drawings and tables",
                        "configs/quickstart.yaml --sample test_0007 --keep 0.2 -s elastic,h2o"},
                       {"Of token ids, every kept position as JSON",
                        "--prompt-ids 1,2,3,4,5,6,7,8,9,10 -s elastic,h2o --keep 0.5 --json"}});
  verb->callback([options, verb, &chosen] {
    require_consistent(*verb, *options);
    chosen = [options] { return explain_prompt(*options); };
  });
}

}  // namespace elastikv
