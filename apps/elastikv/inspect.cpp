#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/device.h"
#include "base/error.h"
#include "base/json_fields.h"
#include "checkpoint_parts.h"
#include "examples.h"
#include "image/image.h"
#include "image/pixel_backend.h"
#include "models/quantization.h"
#include "models/registry.h"
#include "prompt_options.h"
#include "runtime/cost.h"
#include "runtime/prompt_encoder.h"
#include "strategy_options.h"
#include "sweep/choices.h"
#include "text/json_text.h"
#include "usage_error.h"
#include "verbs.h"
#include "weights/checkpoint.h"

namespace elastikv {
namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

struct InspectOptions {
  std::string folder;
  bool tensors = false;
  bool strict = false;
  std::vector<std::string> images;
  std::string prompt;
  std::string prompt_ids;
  PromptOptions prompt_options;
};

/// Runs of one id as "151655 x 576", so that an image takes one word.
std::string ids_text(const std::vector<int64_t>& ids) {
  std::string text;
  for (size_t i = 0; i < ids.size();) {
    size_t end = i + 1;
    while (end < ids.size() && ids[end] == ids[i]) ++end;
    if (i > 0) text += ' ';
    text += end - i > 2 ? fmt::format("{}x{}", ids[i], end - i) : std::to_string(ids[i]);
    if (end - i == 2) text += fmt::format(" {}", ids[i]);
    i = end;
  }
  return text;
}

ModelChoice choice_of(const InspectOptions& options) {
  ModelChoice choice;
  choice.path = options.folder;
  options.prompt_options.apply_to(choice);
  return choice;
}

/// What is not there, and what that means for the exit code.
int show_missing(const std::vector<std::string>& missing, bool strict) {
  for (const std::string& line : missing) fmt::print("missing:       {}\n", line);
  return strict && !missing.empty() ? 1 : 0;
}

void show_image(size_t number, ImageSize size, const ImageGeometry& geometry,
                const std::string& tokens) {
  fmt::print("image {}:       {} x {} pixels -> {} view{} of {} x {}{}, {}\n", number, size.width,
             size.height, geometry.views(), geometry.views() == 1 ? "" : "s", geometry.view.width,
             geometry.view.height,
             geometry.tile_rows > 0 ? fmt::format(" ({} x {} tiles and the whole)",
                                                  geometry.tile_columns, geometry.tile_rows)
                                    : "",
             tokens);
}

/// What the model reads for a question: the text with its placeholders, and how many tokens each
/// image becomes.
int show_whole_prompt(const InspectOptions& options, const std::vector<ImageSize>& sizes) {
  const PromptReader reader = make_reader(choice_of(options));
  const WrittenPrompt prompt = reader.write(options.prompt, sizes);
  fmt::print("prompt format: {}\n", reader.writer().source());
  fmt::print("prompt:        {}\n", json_text(prompt.text));
  for (size_t i = 0; i < sizes.size(); ++i) {
    const TokenSpan& span = prompt.tokens.images[i];
    const auto placeholders =
        std::count_if(prompt.tokens.placeholders.begin(), prompt.tokens.placeholders.end(),
                      [&](int64_t index) { return index >= span.begin && index < span.end; });
    show_image(i + 1, sizes[i], prompt.geometries[i],
               fmt::format("{} image tokens at {} to {}", placeholders, span.begin, span.end - 1));
  }
  if (reader.image_processor() != nullptr)
    fmt::print("processing:    {}\n", shown_image_processing(reader.image_processor()->identity()));
  fmt::print("tokens:        {}, of them {} for images\n", prompt.tokens.ids.size(),
             prompt.tokens.placeholders.size());
  fmt::print("token ids:     {}\n", ids_text(prompt.tokens.ids));
  return 0;
}

/// As much of that as the files allow which are there.
int show_prompt(const InspectOptions& options) {
  const ModelSummary summary = summarize_model(options.folder);
  std::vector<ImageSize> sizes;
  for (const ImageFile& file : options.prompt_options.images(options.images))
    sizes.push_back(check_image(file));
  if (!sizes.empty() && !summary.takes_images())
    fail("{}: this model takes no images", options.folder);
  const CheckpointParts parts(choice_of(options));
  if (parts.missing.empty()) return show_whole_prompt(options, sizes);
  if (parts.writer != nullptr) {
    const Prompt prompt = parts.writer->write({user_turn(options.prompt, std::ssize(sizes))});
    fmt::print("prompt format: {}\n", parts.writer->source());
    fmt::print("prompt:        {}\n", json_text(prompt.text));
  }
  if (parts.image_processor != nullptr) {
    for (size_t i = 0; i < sizes.size(); ++i) {
      const ImageGeometry geometry = parts.image_processor->geometry(sizes[i]);
      show_image(i + 1, sizes[i], geometry,
                 fmt::format("{} image tokens", parts.image_prompt->features(geometry)));
    }
    fmt::print("processing:    {}\n", shown_image_processing(parts.image_processor->identity()));
  }
  return show_missing(parts.missing, options.strict);
}

/// Ids as they are: config.json says all there is to them, a tokenizer only what they mean.
int show_ids(const InspectOptions& options) {
  const IdsReader reader(options.folder);
  const TokenizedPrompt prompt = prompt_of_ids(options.prompt_ids, reader.summary().vocab_size);
  if (reader.tokenizer() != nullptr) {
    fmt::print("prompt:        {}\n",
               json_text(reader.tokenizer()->decode(prompt.ids, /*skip_special=*/false)));
  }
  fmt::print("tokens:        {} of the {} that the context holds\n", prompt.ids.size(),
             reader.summary().max_positions);
  fmt::print("token ids:     {}\n", ids_text(prompt.ids));
  require_room(prompt, /*new_tokens=*/0, reader.summary().max_positions, "the prompt");
  if (reader.tokenizer() != nullptr) return 0;
  return show_missing({reader.no_tokenizer()}, options.strict);
}

/// What weights and caches take at a number of bytes for each number.
std::string memory_text(const PartialModel& model, int64_t element_bytes) {
  const ModelSummary& summary = model.summary;
  const int64_t token = summary.decoder.cache_bytes_per_token(element_bytes);
  return fmt::format("{} of weights, {} of cache a token, {} for all {} of the context",
                     bytes_text(model.parameters * element_bytes), bytes_text(token),
                     bytes_text(token * summary.max_positions), summary.max_positions);
}

/// The tensors that are there, beside those that are needed.
bool show_weights(const InspectOptions& options) {
  const Checkpoint checkpoint = open_weights(options.folder);
  const WeightReport report = check_weights(options.folder);
  std::map<std::string, int64_t> dtypes;
  for (const std::string& name : checkpoint.names()) ++dtypes[checkpoint.info(name).dtype];
  fmt::print("weights:       {} tensors, {:.1f} M parameters, {:.1f} MiB",
             checkpoint.names().size(), static_cast<double>(checkpoint.parameters()) / 1e6,
             static_cast<double>(checkpoint.bytes()) / (1 << 20));
  for (const auto& [dtype, count] : dtypes) fmt::print(", {} {}", count, dtype);
  fmt::print("\n");
  if (options.tensors) {
    for (const std::string& name : checkpoint.names()) {
      fmt::print("  {:<72} {:<6} {}\n", name, checkpoint.info(name).dtype,
                 shape_text(checkpoint.info(name).shape));
    }
  }
  for (const auto& missing : report.missing) {
    fmt::print("missing:       {} {}\n", missing.name, shape_text(missing.needed));
  }
  for (const auto& wrong : report.wrong_shape) {
    fmt::print("wrong shape:   {} is {}, {} is needed\n", wrong.name, shape_text(wrong.found),
               shape_text(wrong.needed));
  }
  for (const std::string& name : report.unexpected) fmt::print("unexpected:    {}\n", name);
  return report.clean();
}

/// The tensors that are needed.
void show_needed_weights(const InspectOptions& options, const PartialModel& model) {
  fmt::print("weights:       {} tensors, {:.1f} M parameters are needed{}\n", model.needed.size(),
             static_cast<double>(model.parameters) / 1e6,
             model.vision_missing.empty() ? "" : " by the decoder alone");
  if (!options.tensors) return;
  for (const auto& tensor : model.needed)
    fmt::print("  {:<72} {}\n", tensor.name, shape_text(tensor.needed));
}

int show_checkpoint(const InspectOptions& options) {
  const PartialModel model = read_partial_model(options.folder);
  const ModelSummary& summary = model.summary;
  const auto quantization = find_quantization(
      options.folder, JsonFields::read(std::filesystem::path(options.folder) / "config.json"));
  fmt::print("architecture:  {}\n", summary.architecture);
  fmt::print("decoder:       {}\n", summary.text);
  if (!summary.vision.empty()) {
    fmt::print("vision tower:  {}\n", summary.vision);
    fmt::print("image:         placeholder token {}\n", summary.image_token);
  }
  fmt::print("context:       {} tokens\n", summary.max_positions);
  fmt::print("KV cache:      {} bytes a token at 16 bits\n", summary.cache_bytes_per_token_fp16);
  std::vector<std::string> missing = model.weights_missing;
  if (!model.vision_missing.empty()) missing.push_back(model.vision_missing);
  const bool weights_are_here = missing.empty() && !quantization;
  bool fits = true;
  if (weights_are_here) {
    fits = show_weights(options);
  } else {
    show_needed_weights(options, model);
  }
  fmt::print("fp32:          {}\n", memory_text(model, /*element_bytes=*/4));
  fmt::print("bf16, fp16:    {}\n", memory_text(model, /*element_bytes=*/2));
  // What the tower's folder says is missing as long as that folder is.
  if (model.vision_missing.empty()) {
    const CheckpointParts parts(choice_of(options));
    if (parts.writer != nullptr) fmt::print("prompt format: {}\n", parts.writer->source());
    if (parts.tokenizer != nullptr)
      fmt::print("tokenizer:     {} tokens\n", parts.tokenizer->vocab_size());
    if (parts.image_processor != nullptr)
      fmt::print("processing:    {}\n", shown_image_processing(parts.image_processor->identity()));
    missing.insert(missing.end(), parts.missing.begin(), parts.missing.end());
  }
  const int code = show_missing(missing, options.strict);
  if (quantization) {
    fmt::print("quantised:     {} ({}); not computed here: {}\n", quantization->name(),
               quantization->where, quantization->advice());
    return 1;
  }
  if (!fits) {
    fmt::print("this checkpoint does not fit its config.json\n");
    return 1;
  }
  if (weights_are_here) fmt::print("complete: every tensor that the model needs is there\n");
  return code;
}

int inspect(const InspectOptions& options) {
  if (!options.prompt_ids.empty()) return show_ids(options);
  if (!options.prompt.empty() || !options.images.empty()) return show_prompt(options);
  return show_checkpoint(options);
}

}  // namespace

void add_inspect_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<InspectOptions>();
  CLI::App* verb = app.add_subcommand(
      "inspect",
      "Show a checkpoint's architecture, shapes and memory, and what is missing, the weights "
      "included; with --prompt the exact prompt and its tokens. Loads no weights.");
  verb->add_option("folder", options->folder, "Checkpoint folder (Hugging Face layout)")
      ->required();
  verb->add_flag("--tensors", options->tensors, "List every tensor");
  verb->add_flag("--strict", options->strict, "Exit code 1 where anything is missing");
  CLI::Option* prompt =
      verb->add_option("--prompt", options->prompt, "A question; <image> in it places an image");
  CLI::Option* ids = verb->add_option("--prompt-ids", options->prompt_ids,
                                      "Token ids 1,2,3 instead of a prompt and image; needs "
                                      "config.json alone")
                         ->check(not_empty());
  prompt->excludes(ids);
  verb->add_option("--image", options->images, "Image (PNG, JPEG, WebP, BMP); may be repeated")
      ->allow_extra_args(false)
      ->excludes(ids);
  add_prompt_options(*verb, options->prompt_options);
  add_examples(*verb,
               {{"Architecture, shapes, memory, what is missing", "models/stampvlm/assembled"},
                {"The exact prompt and its tokens",
                 "models/stampvlm/assembled --prompt \"What is this?\" \\\n"
                 "    --image datasets/detail-scenes/test/images/test_0000.png"}});
  verb->callback([options, ids, &chosen] {
    if (ids->count() > 0 && options->prompt_options.given())
      throw CLI::ValidationError("--prompt-ids", PromptOptions::kNoneWithIds);
    chosen = [options] { return inspect(*options); };
  });
}

}  // namespace elastikv
