#include "sweep/estimate.h"

#include <algorithm>
#include <utility>

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "base/device.h"
#include "sweep/choices.h"

namespace elastikv {
namespace {

/// Slots of all cells together at `tokens_seen` tokens of a prompt of `prompt` tokens.
int64_t slots_of(const CellGroup& group, int64_t tokens_seen, int64_t prompt) {
  int64_t slots = 0;
  for (const Cell& cell : group.cells) slots += make_budget(cell.budget).slots(tokens_seen, prompt);
  return slots;
}

int64_t new_tokens(const EvaluationSettings& settings, const SampleSize& sample) {
  return std::max(settings.generate ? settings.max_new_tokens : 0,
                  settings.perplexity ? sample.answer_tokens : 0);
}

/// Seconds that a batch of `rows` new tokens takes: its arithmetic, or reading weights and caches.
double step_seconds(const ModelSize& model, int64_t rows, double cache_bytes, int64_t element_bytes,
                    const MachineRates& rates) {
  const auto weights = static_cast<double>(step_weight_bytes(model.decoder, /*element_bytes=*/1));
  return std::max(
      2 * weights * static_cast<double>(rows) / rates.step_operations_per_second,
      (weights * static_cast<double>(element_bytes) + cache_bytes) / rates.bytes_per_second);
}

double seconds_of(const CellGroup& group, const EvaluationSettings& settings,
                  const ModelSize& model, const SampleSize& sample, int64_t element_bytes,
                  const MachineRates& rates) {
  const LlamaConfig& d = model.decoder;
  const auto prompt = static_cast<double>(sample.prompt_tokens);
  const auto body = static_cast<double>(step_weight_bytes(d, /*element_bytes=*/1));
  const double tower = static_cast<double>(model.parameters - parameters_of(d));
  // Causal attention: half of the scores and of their products with the values.
  const double attention =
      2.0 * static_cast<double>(d.layers * d.query_heads * d.head_dim) * prompt * prompt;
  double seconds =
      (2 * body * prompt + attention + 2 * tower * static_cast<double>(sample.patches)) /
      rates.operations_per_second;
  const auto cells = static_cast<int64_t>(group.cells.size());
  const auto phase = [&](int64_t steps) {
    const int64_t half_way = sample.prompt_tokens + steps / 2;
    const auto cache = static_cast<double>(slots_of(group, half_way, sample.prompt_tokens) *
                                           d.cache_bytes_per_token(element_bytes));
    return static_cast<double>(steps) * step_seconds(model, cells, cache, element_bytes, rates);
  };
  if (settings.perplexity) seconds += phase(sample.answer_tokens);
  if (settings.generate) seconds += phase(settings.max_new_tokens);
  return seconds;
}

/// Of cells that run as one batch.
GroupEstimate estimate_together(const CellGroup& group, const EvaluationSettings& settings,
                                const ModelSize& model, std::span<const SampleSize> samples,
                                const MachineRates* rates) {
  const c10::ScalarType dtype = parse_dtype(group.model.dtype);
  const c10::Device device = parse_device(group.model.device);
  const auto element_bytes = static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t token_bytes = model.decoder.cache_bytes_per_token(element_bytes);
  GroupEstimate result;
  result.memory =
      memory_for_weights(model.decoder, dtype, device, model.parameters, model.linear_memory);
  for (const SampleSize& sample : samples) {
    const int64_t prompt = sample.prompt_tokens;
    const int64_t slots = prompt + slots_of(group, prompt, prompt) +
                          slots_of(group, prompt + new_tokens(settings, sample), prompt);
    result.memory.caches = std::max(result.memory.caches, slots * token_bytes);
    result.memory.activations =
        std::max(result.memory.activations,
                 memory_for_cell(result.memory, model.decoder, dtype,
                                 static_cast<int64_t>(group.cells.size()), prompt,
                                 new_tokens(settings, sample), Budget::unlimited())
                     .activations);
    result.longest_prompt = std::max(result.longest_prompt, prompt);
    result.mean_prompt += static_cast<double>(prompt) / static_cast<double>(samples.size());
    if (rates != nullptr)
      result.seconds += seconds_of(group, settings, model, sample, element_bytes, *rates);
  }
  return result;
}

}  // namespace

GroupEstimate estimate(const CellGroup& group, const EvaluationSettings& settings,
                       const ModelSize& model, std::span<const SampleSize> samples,
                       const MachineRates* rates) {
  if (settings.cells_together) return estimate_together(group, settings, model, samples, rates);
  GroupEstimate most;
  for (const Cell& cell : group.cells) {
    CellGroup alone = group;
    alone.cells = {cell};
    GroupEstimate one = estimate_together(alone, settings, model, samples, rates);
    one.seconds += most.seconds;
    one.memory.caches = std::max(one.memory.caches, most.memory.caches);
    one.memory.activations = std::max(one.memory.activations, most.memory.activations);
    most = one;
  }
  return most;
}

std::string what_would_fit(const CellGroup& group, EvaluationSettings settings,
                           const ModelSize& model, std::span<const SampleSize> samples,
                           int64_t available, bool limited) {
  if (limited) settings.cells_together = false;
  const bool may_halve = parse_dtype(group.model.dtype) == at::kFloat;
  const bool may_part = settings.cells_together && group.cells.size() > 1;
  int64_t least = INT64_MAX;
  for (const auto& [halve, part] : {std::pair{true, false}, {false, true}, {true, true}}) {
    if ((halve && !may_halve) || (part && !may_part)) continue;
    CellGroup changed = group;
    if (halve) changed.model.dtype = dtype_name(at::kBFloat16);
    EvaluationSettings changed_settings = settings;
    if (part) changed_settings.cells_together = false;
    ModelSize size = model;
    size.linear_memory =
        choose_linear_memory(model.decoder, parse_dtype(changed.model.dtype),
                             parse_device(changed.model.device), model.parameters, available);
    const MemoryNeed need =
        estimate(changed, changed_settings, size, samples, /*rates=*/nullptr).memory;
    if (!refusal(need, available).empty()) {
      least = std::min(least, need.total());
      continue;
    }
    return fmt::format("fits with {}{}{} (about {})", halve ? "--dtype bf16" : "",
                       halve && part ? " and " : "",
                       part ? "a --memory-limit, under which cells run in smaller groups" : "",
                       bytes_text(need.total()));
  }
  if (least == INT64_MAX) return "fits only where as much is free";
  return fmt::format("fits only where at least {} are free, with {}", bytes_text(least),
                     may_halve && may_part ? "--dtype bf16 and a --memory-limit"
                     : may_halve           ? "--dtype bf16"
                                           : "a --memory-limit");
}

}  // namespace elastikv
