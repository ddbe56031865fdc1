#include "bench/plan.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "base/device.h"
#include "base/error.h"
#include "bench/shapes.h"
#include "models/registry.h"
#include "runtime/loading.h"
#include "strategies/statistics.h"
#include "sweep/cell_size.h"
#include "sweep/choices.h"

namespace elastikv {
namespace {

/// Of a prompt and of what all rows of a batch hold beside it.
int64_t shared_cache_bytes(const BenchCell& cell, const LlamaConfig& shape, c10::ScalarType dtype) {
  const CellSize size(cell.strategy, cell.budget);
  const int64_t prompt = cell.lengths.prompt_tokens;
  const int64_t own = size.merged(prompt) + size.room(prompt, cell.lengths.new_tokens);
  const int64_t slots = prompt + (size.rerotates() ? prompt / 2 : 0) + cell.batch * own;
  return slots * shape.cache_bytes_per_token(static_cast<int64_t>(c10::elementSize(dtype)));
}

}  // namespace

BenchModelResult plan_model(const BenchConfig& config, const BenchModel& choice,
                            const std::vector<BenchCell>& cells, bool plan_only) {
  BenchModelResult result;
  result.model = choice;
  const c10::Device device = parse_device(choice.device);
  require_available(device);
  const c10::ScalarType dtype = parse_dtype(choice.dtype);
  int64_t stored = 0;
  c10::ScalarType held = dtype;
  if (!choice.random_weights()) {
    require_loadable(choice.path);
    result.model.shape = decoder_of(choice.path);
    stored = count_parameters(choice.path);
    held = held_dtype(choice.path, device, dtype);
  }
  const LlamaConfig& shape = result.model.shape;
  result.parameters = std::max(parameters_of(shape), stored);
  result.available = available_bytes(device);
  result.weights = memory_for_weights(shape, dtype, device, stored, held);
  const std::string what =
      fmt::format("{}: {} in {} on {}", choice.origin, choice.label, choice.dtype, choice.device);
  const std::string no_weights = refusal(result.weights, result.available);
  if (!no_weights.empty() && !plan_only) fail("{} {}", what, no_weights);
  for (const BenchCell& cell : cells) {
    const BenchLengths& lengths = cell.lengths;
    if (lengths.prompt_tokens + lengths.new_tokens > shape.max_positions) {
      fail("{}: {} tokens do not fit the context of {}, which is {}", choice.origin, lengths.text(),
           choice.label, shape.max_positions);
    }
    const std::string missing =
        missing_for(strategy_of(cell.strategy).needs(), lengths.prompt_tokens,
                    /*image_begin=*/0, /*image_end=*/0);
    if (!missing.empty()) {
      fail("{}: strategy '{}' cannot run: a benchmark's prompt {}", cell.strategy.origin,
           cell.strategy.label, missing);
    }
    BenchResult& planned = result.cells.emplace_back();
    planned.cell = cell;
    planned.need = memory_for_cell(result.weights, shape, dtype, cell.batch, lengths.prompt_tokens,
                                   lengths.new_tokens, make_budget(cell.budget));
    if (cell.shared_prompt) planned.need.caches = shared_cache_bytes(cell, shape, dtype);
    planned.step_weight_bytes =
        static_cast<double>(step_weight_bytes(shape, static_cast<int64_t>(c10::elementSize(held))));
    planned.skipped = refusal(planned.need, result.available);
    if (planned.skipped.empty() || plan_only || config.too_large == BenchConfig::TooLarge::kSkip)
      continue;
    fail(
        "{}: batch {} of {} tokens under '{}' at budget {} {}; too_large: skip leaves such cells "
        "out",
        what, cell.batch, lengths.text(), cell.strategy.label, cell.budget.text(), planned.skipped);
  }
  return result;
}

}  // namespace elastikv
