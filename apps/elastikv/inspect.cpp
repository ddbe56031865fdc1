#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/registry.h"
#include "verbs.h"
#include "weights/checkpoint.h"

namespace elastikv {
namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

int inspect(const std::string& folder, bool tensors) {
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
  const auto folder = std::make_shared<std::string>();
  const auto tensors = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand(
      "inspect", "Show a checkpoint's architecture and shapes, and what is missing");
  verb->add_option("folder", *folder, "Checkpoint folder (Hugging Face layout)")->required();
  verb->add_flag("--tensors", *tensors, "List every tensor");
  verb->callback([folder, tensors, &chosen] {
    chosen = [folder, tensors] { return inspect(*folder, *tensors); };
  });
}

}  // namespace elastikv
