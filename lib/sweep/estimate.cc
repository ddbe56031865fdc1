#include "sweep/estimate.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "base/device.h"
#include "sweep/cell_size.h"
#include "sweep/choices.h"

namespace elastikv {
namespace {

/// Entries of a layer, by KV head, that cells hold of their own beside the prompt's.
int64_t own_slots(std::span<const CellSize> cells, const EvaluationSettings& settings,
                  const SampleSize& sample) {
  const int64_t prompt = sample.prompt_tokens;
  int64_t scoring = 0;
  int64_t generating = 0;
  for (const CellSize& cell : cells) {
    // What merging changes depends on the attention: next to nothing where it is flat, as with
    // random weights, and most of what it can be where the anchors lie apart. Half of that is near
    // to both.
    const int64_t merged = cell.merged(prompt) / 2;
    // While answers are scored, what was merged is there once more for the generation to begin
    // with.
    const int64_t late = cell.late(sample.late_tokens);
    scoring +=
        (settings.generate ? 2 : 1) * merged + cell.room(prompt, late + sample.answer_tokens);
    // Each option runs behind a copy of what was merged. By themselves cells may run one option
    // after the other.
    const int64_t options = settings.cells_together ? std::ssize(sample.option_tokens) : 1;
    generating +=
        merged + (sample.by_likelihood()
                      ? options * (merged + cell.room(prompt, late + sample.option_steps()))
                      : cell.room(prompt, late + sample.new_tokens(settings)));
  }
  return std::max(settings.perplexity ? scoring : 0, settings.generate ? generating : 0);
}

/// Caches and activations that are held at the same time, where they are more than so far.
void take_more(MemoryNeed& need, int64_t caches, int64_t activations) {
  if (caches + activations <= need.caches + need.activations) return;
  need.caches = caches;
  need.activations = activations;
}

/// Of cells that run as one batch.
GroupEstimate estimate_together(const CellGroup& group, const EvaluationSettings& settings,
                                const ModelSize& model, std::span<const SampleSize> samples) {
  const c10::ScalarType dtype = parse_dtype(group.model.dtype);
  const c10::Device device = parse_device(group.model.device);
  const auto element_bytes = static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t token_bytes = model.decoder.cache_bytes_per_token(element_bytes);
  std::vector<CellSize> cells;
  cells.reserve(group.cells.size());
  for (const Cell& cell : group.cells) cells.emplace_back(cell.strategy, cell.budget, cell.at());
  // Each moment of compression has a prefill of its own, of at most the whole prompt.
  const int64_t prefills = std::ssize(moments_of(group.cells));
  const bool rerotates = std::any_of(cells.begin(), cells.end(),
                                     [](const CellSize& cell) { return cell.rerotates(); });
  GroupEstimate result;
  result.memory = memory_for_weights(model.decoder, dtype, device, model.parameters, model.held);
  const int64_t logits =
      std::ssize(cells) * model.decoder.vocab_size * static_cast<int64_t>(sizeof(float));
  for (const SampleSize& sample : samples) {
    const int64_t prompt = sample.prompt_tokens;
    int64_t bytes = prefills * prompt * token_bytes;
    if (rerotates) bytes += prompt * token_bytes / 2;  // un-rotated keys, for all such cells
    // Cells hold nothing of their own yet while the prompt is computed.
    const int64_t prefill = prefill_activations(model.decoder, prompt, element_bytes);
    take_more(result.memory, prefills * prompt * token_bytes, prefill);
    bytes += own_slots(cells, settings, sample) * token_bytes;
    take_more(result.memory, bytes, logits);
    result.longest_prompt = std::max(result.longest_prompt, prompt);
    result.mean_prompt += static_cast<double>(prompt) / static_cast<double>(samples.size());
  }
  return result;
}

}  // namespace

int64_t new_tokens(const EvaluationSettings& settings, const SampleSize& sample) {
  return std::max({settings.generate ? settings.max_new_tokens : 0,
                   settings.perplexity ? sample.answer_tokens : 0,
                   settings.choose ? sample.option_steps() + 1 : 0});
}

GroupEstimate estimate(const CellGroup& group, const EvaluationSettings& settings,
                       const ModelSize& model, std::span<const SampleSize> samples) {
  if (settings.cells_together) return estimate_together(group, settings, model, samples);
  GroupEstimate most;
  for (const Cell& cell : group.cells) {
    CellGroup alone = group;
    alone.cells = {cell};
    GroupEstimate one = estimate_together(alone, settings, model, samples);
    take_more(one.memory, most.memory.caches, most.memory.activations);
    most = one;
  }
  return most;
}

int64_t batches_of(const CellGroup& group, const EvaluationSettings& settings,
                   const ModelSize& model, std::span<const SampleSize> samples, int64_t available) {
  if (!settings.cells_together) return std::ssize(group.cells);
  int64_t batches = 0;
  CellGroup batch = group;
  batch.cells.clear();
  for (const Cell& cell : group.cells) {
    batch.cells.push_back(cell);
    const MemoryNeed need = estimate(batch, settings, model, samples).memory;
    if (need.total() <= available || batch.cells.size() == 1) continue;
    ++batches;
    batch.cells = {cell};
  }
  return batches + 1;
}

std::string what_would_fit(const CellGroup& group, EvaluationSettings settings,
                           const ModelSize& model, std::span<const SampleSize> samples,
                           int64_t available) {
  settings.cells_together = false;
  if (parse_dtype(group.model.dtype) != at::kFloat) return "fits only where as much is free";
  CellGroup halved = group;
  halved.model.dtype = dtype_name(at::kBFloat16);
  ModelSize size = model;
  size.held = at::kBFloat16;
  const MemoryNeed need = estimate(halved, settings, size, samples).memory;
  if (refusal(need, available).empty())
    return fmt::format("fits with --dtype bf16 (about {})", bytes_text(need.total()));
  return fmt::format("fits only where at least {} are free, with --dtype bf16",
                     bytes_text(need.total()));
}

}  // namespace elastikv
