#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "image/picture.h"
#include "models/registry.h"
#include "prompt_options.h"
#include "runtime/prompt_encoder.h"
#include "sweep/choices.h"
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
  std::vector<std::string> images;
  std::string prompt;
  PromptOptions prompt_options;
};

/// Runs of one id as "151655 x 576", so that a picture takes one word.
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

/// What the model reads for a question: the text with its placeholders, and how many tokens each
/// picture becomes.
void show_prompt(const InspectOptions& options) {
  ModelChoice choice;
  choice.path = options.folder;
  options.prompt_options.apply_to(choice);
  const PromptReader reader = make_reader(choice);
  std::vector<PictureSize> sizes;
  for (const PictureFile& file : options.prompt_options.pictures(options.images))
    sizes.push_back(check_picture(file));
  const WrittenPrompt prompt = reader.write(options.prompt, sizes);
  fmt::print("prompt format: {}\n", reader.format().name);
  fmt::print("prompt:        {}\n", nlohmann::json(prompt.text).dump());
  for (size_t i = 0; i < sizes.size(); ++i) {
    const ImageGeometry& geometry = prompt.geometries[i];
    const TokenSpan& span = prompt.tokens.images[i];
    const auto placeholders =
        std::count_if(prompt.tokens.placeholders.begin(), prompt.tokens.placeholders.end(),
                      [&](int64_t index) { return index >= span.begin && index < span.end; });
    fmt::print(
        "picture {}:     {} x {} pixels -> {} view{} of {} x {}{}, {} image tokens at {} to {}\n",
        i + 1, sizes[i].width, sizes[i].height, geometry.views(), geometry.views() == 1 ? "" : "s",
        geometry.view.width, geometry.view.height,
        geometry.tile_rows > 0 ? fmt::format(" ({} x {} tiles and the whole)",
                                             geometry.tile_columns, geometry.tile_rows)
                               : "",
        placeholders, span.begin, span.end - 1);
  }
  if (reader.image_processor() != nullptr)
    fmt::print("processing:    {}\n", reader.image_processor()->identity());
  fmt::print("tokens:        {}, of them {} for pictures\n", prompt.tokens.ids.size(),
             prompt.tokens.placeholders.size());
  fmt::print("token ids:     {}\n", ids_text(prompt.tokens.ids));
}

int inspect(const InspectOptions& options) {
  const std::string& folder = options.folder;
  if (!options.prompt.empty() || !options.images.empty()) {
    show_prompt(options);
    return 0;
  }
  const bool tensors = options.tensors;
  const ModelSummary summary = summarize_model(folder);
  const Checkpoint checkpoint = open_weights(folder);
  const WeightReport report = check_weights(folder);
  std::map<std::string, int64_t> dtypes;
  for (const std::string& name : checkpoint.names()) ++dtypes[checkpoint.info(name).dtype];

  fmt::print("architecture:  {}\n", summary.architecture);
  fmt::print("decoder:       {}\n", summary.text);
  if (!summary.vision.empty()) {
    fmt::print("vision tower:  {}\n", summary.vision);
    fmt::print("picture:       placeholder token {}\n", summary.image_token);
  }
  fmt::print("context:       {} tokens\n", summary.max_positions);
  fmt::print("KV cache:      {} bytes a token at 16 bits\n", summary.cache_bytes_per_token_fp16);
  fmt::print("weights:       {} tensors, {:.1f} M parameters, {:.1f} MiB",
             checkpoint.names().size(), static_cast<double>(checkpoint.parameters()) / 1e6,
             static_cast<double>(checkpoint.bytes()) / (1 << 20));
  for (const auto& [dtype, count] : dtypes) fmt::print(", {} {}", count, dtype);
  fmt::print("\n");
  if (tensors) {
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
  fmt::print("{}\n", report.clean() ? "complete: every tensor that the model needs is there"
                                    : "this checkpoint does not fit its config.json");
  return report.clean() ? 0 : 1;
}

}  // namespace

void add_inspect_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<InspectOptions>();
  CLI::App* verb = app.add_subcommand(
      "inspect",
      "Show a checkpoint's architecture and shapes, and what is missing; with --prompt the exact "
      "prompt and its tokens. Loads no weights.");
  verb->add_option("folder", options->folder, "Checkpoint folder (Hugging Face layout)")
      ->required();
  verb->add_flag("--tensors", options->tensors, "List every tensor");
  verb->add_option("--prompt", options->prompt, "A question; <image> in it places a picture");
  verb->add_option("--image", options->images, "Picture (PNG, JPEG, WebP, BMP); may be repeated")
      ->allow_extra_args(false);
  add_prompt_options(*verb, options->prompt_options);
  verb->callback([options, &chosen] { chosen = [options] { return inspect(*options); }; });
}

}  // namespace elastikv
