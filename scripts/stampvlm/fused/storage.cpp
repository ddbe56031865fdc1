#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "layers.h"

namespace fused {

namespace {

// Packs a matrix whose value at (row, column) is values[row * row_stride + column * column_stride];
// what lies beyond its rows and columns is zero. Panels are [padded(rows), kSide].
std::vector<bf16> packed(const float* values, long rows, long columns, long row_stride,
                         long column_stride, long padded_rows, long padded_columns) {
  std::vector<bf16> result(static_cast<std::size_t>(padded_rows * padded_columns), 0);
  for (long column = 0; column < columns; ++column) {
    bf16* to = result.data() + column / kSide * padded_rows * kSide + column % kSide / 16 * kTile +
               column % 16 * 2;
    const float* from = values + column * column_stride;
    for (long row = 0; row < rows; ++row) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, from + row * row_stride, sizeof bits);
      bits += 0x7fffU + ((bits >> 16U) & 1U);  // to the nearest, ties to even
      to[row / kSide * kStep + row % kSide / 2 * kSide + row % 2] = static_cast<bf16>(bits >> 16U);
    }
  }
  return result;
}

}  // namespace

Linear::Linear(const float* weights, long outputs_of, long inputs_of, long rank_of)
    : outputs(outputs_of), inputs(inputs_of), own_rank(rank_of), rank(padded(rank_of)) {
  if (outputs % kSide != 0 || inputs % kSide != 0 || rank > kMostRank)
    throw std::invalid_argument("a linear layer's sizes do not fit the tiles");
  forward = packed(weights, inputs, outputs, 1, inputs, inputs, outputs);
  backward = packed(weights, outputs, inputs, inputs, 1, outputs, inputs);
}

void Linear::set_update(const float* down, const float* up) {
  to_rank = packed(down, inputs, own_rank, 1, inputs, inputs, rank);
  from_rank = packed(up, own_rank, outputs, 1, own_rank, rank, outputs);
  back_to_rank = packed(up, outputs, own_rank, own_rank, 1, outputs, rank);
  back_from_rank = packed(down, own_rank, inputs, inputs, 1, rank, inputs);
}

std::unique_ptr<Memory> Pool::take(std::size_t bytes) {
  const std::lock_guard lock(mutex);
  std::unique_ptr<Memory> found;
  for (auto& memory : unused)
    if (memory->size() >= bytes) found = std::move(memory);
  // What is too small now would be so again.
  unused.erase(
      std::remove_if(unused.begin(), unused.end(),
                     [bytes](const auto& memory) { return !memory || memory->size() < bytes; }),
      unused.end());
  return found ? std::move(found) : std::make_unique<Memory>(bytes);
}

void Pool::give(std::unique_ptr<Memory> memory) {
  const std::lock_guard lock(mutex);
  unused.push_back(std::move(memory));
}

Saved::Saved(std::shared_ptr<Pool> source, const Shape& shape, const std::vector<Layer>& of_layers,
             const Layout& layout_of)
    : pool(std::move(source)), layout(layout_of), rows(padded(layout_of.rows())) {
  const auto carve = [&](Carver carver) {
    layers.clear();
    for (const Layer& layer : of_layers) {
      SavedLayer saved{};
      saved.input = carver.take<bf16>(rows * shape.hidden);
      saved.joint = carver.take<bf16>(rows * shape.heads.joint_width());
      saved.lengths = carver.take<float>(rows * shape.heads.queries);
      saved.mixed = carver.take<bf16>(rows * shape.heads.width());
      saved.middle = carver.take<bf16>(rows * shape.hidden);
      saved.gate_up = carver.take<bf16>(rows * 2 * shape.inner);
      for (long group = 0; group < kGroups; ++group)
        saved.ranks[group] = carver.take<bf16>(rows * layer.groups[group].rank);
      layers.push_back(saved);
    }
    output = carver.take<bf16>(rows * shape.hidden);
    cos = carver.take<float>(rows * kWidth / 2);
    sin = carver.take<float>(rows * kWidth / 2);
    return carver.used();
  };
  const std::size_t needed = carve(Carver(nullptr));
  memory = pool->take(needed);
  carve(Carver(memory->as<char>()));
}

void Saved::release() {
  if (memory) pool->give(std::move(memory));
}

}  // namespace fused
