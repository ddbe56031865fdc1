#include "layers.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "rows.h"

namespace fused {

namespace {

constexpr long kBlock = 352;  // rows; their activations and a panel of weights stay in L2
constexpr long kChunk = 256;  // of the gated part's inner values, in the backward direction

// [rows, inputs] times a linear layer.
Factors forward_factors(const Linear& linear, const bf16* input) {
  return {input, linear.inputs, linear.forward.data(), linear.inputs / kSide,
          linear.inputs * kSide};
}

Factors backward_factors(const Linear& linear, const bf16* gradient) {
  return {gradient, linear.outputs, linear.backward.data(), linear.outputs / kSide,
          linear.outputs * kSide};
}

// Adds a product to sums, [rows, columns].
void add_product(long rows, long columns, const Factors& factors, float* sums) {
  for (long column = 0; column < columns; column += kSide) {
    const bf16* panel = factors.right + column / kSide * factors.apart;
    for (long row = 0; row < rows; row += kSide) {
      fetch_next(factors, panel, row, rows);
      float* to = sums + row * columns + column;
      load_sum(to, columns);
      multiply(factors.left + row * factors.stride, factors.stride, panel, factors.steps);
      write_sum(to, columns);
    }
  }
}

}  // namespace

Layers::Layers(const Shape& shape) : shape_(shape), attention_(shape.heads) {
  if (shape.inner % kChunk != 0 || shape.hidden % kSide != 0 ||
      shape.heads.queries % shape.heads.pairs != 0)
    throw std::invalid_argument("the layers' sizes do not fit the tiles");
  const auto carve = [this](Carver carver) {
    normed_ = carver.take<bf16>(kBlock * shape_.hidden);
    gated_ = carver.take<bf16>(kBlock * shape_.inner);
    of_gate_up_ = carver.take<bf16>(kBlock * 2 * kChunk);
    rank_ = carver.take<bf16>(kBlock * kMostRank);
    of_rank_across_ = carver.take<bf16>(kBlock * kMostRank);
    of_rank_ = carver.take<float>(kBlock * kMostRank);
    of_normed_ = carver.take<float>(kBlock * shape_.hidden);
    panel_ = carver.take<bf16>(kBlock * kSide);
    return carver.used();
  };
  block_memory_ = std::make_unique<Memory>(carve(Carver(nullptr)));
  carve(Carver(block_memory_->as<char>()));
}

void Layers::reserve(long rows) {
  const auto carve = [this, rows](Carver carver) {
    gradient_ = carver.take<bf16>(rows * shape_.hidden);
    of_mixed_ = carver.take<bf16>(rows * shape_.heads.width());
    of_joint_ = carver.take<bf16>(rows * shape_.heads.joint_width());
    return carver.used();
  };
  if (rows > reserved_) {
    memory_ = std::make_unique<Memory>(carve(Carver(nullptr)));
    reserved_ = rows;
  }
  carve(Carver(memory_->as<char>()));
}

// What the update's first matrix makes of the block's input, as a factor of the update's product;
// transposed, it is kept in `saved`, [rank, rows].
Factors Layers::to_rank(const Linear& linear, const bf16* input, bf16* saved, long rows,
                        Rows block) {
  product(
      block.count, linear.rank,
      {input, linear.inputs, linear.to_rank.data(), linear.inputs / kSide, linear.inputs * kSide},
      kNone, [&](long row, long column, const float* values) {
        write_row(values, rank_ + row * linear.rank + column);
      });
  turn_rank(linear.rank, block.count, saved + block.first, rows);
  return {rank_, linear.rank, linear.from_rank.data(), linear.rank / kSide, linear.rank * kSide};
}

// The same in the backward direction; the transpose is left in of_rank_across_.
Factors Layers::back_to_rank(const Linear& linear, const bf16* gradient, long count) {
  product(count, linear.rank,
          {gradient, linear.outputs, linear.back_to_rank.data(), linear.outputs / kSide,
           linear.outputs * kSide},
          kNone, [&](long row, long column, const float* values) {
            write_row(values, rank_ + row * linear.rank + column);
          });
  turn_rank(linear.rank, count, of_rank_across_, kBlock);
  return back_from_rank(linear);
}

// Writes the transpose of rank_, [count, rank].
void Layers::turn_rank(long rank, long count, bf16* transposed, long stride) const {
  for (long row = 0; row < count; row += kSide)
    for (long column = 0; column < rank; column += kSide)
      write_transposed(rank_ + row * rank + column, rank, transposed + column * stride + row,
                       stride);
}

Factors Layers::back_from_rank(const Linear& linear) const {
  return {rank_, linear.rank, linear.back_from_rank.data(), linear.rank / kSide,
          linear.rank * kSide};
}

// Adds the product of left, [rank, count], and right, [count, columns], to sums.
void Layers::add_outer(const bf16* left, long left_stride, long rank, const bf16* right,
                       long right_stride, long columns, long count, float* sums, long sums_stride) {
  for (long column = 0; column < columns; column += kSide) {
    for (long row = 0; row < count; row += kSide)
      pack_rows(right + row * right_stride + column, right_stride, panel_ + row * kSide);
    for (long row = 0; row < rank; row += kSide) {
      float* to = sums + row * sums_stride + column;
      load_sum(to, sums_stride);
      multiply(left + row * left_stride, left_stride, panel_, count / kSide);
      write_sum(to, sums_stride);
    }
  }
}

void Layers::forward_joint(const Layer& layer, const SavedLayer& saved, long rows, Rows block) {
  const Linear& joint = layer.groups[kJoint];
  normalize(saved.input + block.first * shape_.hidden, layer.norms[0].data(), block.count,
            shape_.hidden, shape_.epsilon, normed_);
  const Factors update = to_rank(joint, normed_, saved.ranks[kJoint], rows, block);
  bf16* to = saved.joint + block.first * joint.outputs;
  product(block.count, joint.outputs, forward_factors(joint, normed_), update,
          [&](long row, long column, const float* values) {
            write_row(values, to + row * joint.outputs + column);
          });
}

// From the attention's result to the layer's.
void Layers::forward_rest(const Layer& layer, const SavedLayer& saved, long rows, Rows block,
                          bf16* output) {
  const long hidden = shape_.hidden;
  const Linear& out = layer.groups[kOutput];
  const Linear& gate_up = layer.groups[kGateUp];
  const Linear& down = layer.groups[kDown];
  const bf16* mixed = saved.mixed + block.first * out.inputs;
  const bf16* input = saved.input + block.first * hidden;
  bf16* middle = saved.middle + block.first * hidden;
  product(block.count, hidden, forward_factors(out, mixed),
          to_rank(out, mixed, saved.ranks[kOutput], rows, block),
          [&](long row, long column, const float* values) {
            const long at = row * hidden + column;
            write_added(values, input + at, middle + at);
          });
  normalize(middle, layer.norms[1].data(), block.count, hidden, shape_.epsilon, normed_);
  product(block.count, gate_up.outputs, forward_factors(gate_up, normed_),
          to_rank(gate_up, normed_, saved.ranks[kGateUp], rows, block),
          [&](long row, long column, const float* values) {
            write_gated(values, saved.gate_up + column * rows + (block.first + row) * kSide,
                        gated_ + row * shape_.inner + column / 2);
          });
  bf16* to = output + block.first * hidden;
  product(block.count, hidden, forward_factors(down, gated_),
          to_rank(down, gated_, saved.ranks[kDown], rows, block),
          [&](long row, long column, const float* values) {
            const long at = row * hidden + column;
            write_added(values, middle + at, to + at);
          });
}

void Layers::forward_layer(const Layer& layer, const SavedLayer& saved, const Saved& all,
                           bf16* output) {
  for (long first = 0; first < all.rows; first += kBlock)
    forward_joint(layer, saved, all.rows, {first, std::min(kBlock, all.rows - first)});
  attention_.forward(all.layout, {all.cos, all.sin}, saved.joint, saved.mixed, saved.lengths);
  const long width = shape_.heads.width();
  std::fill(saved.mixed + all.layout.rows() * width, saved.mixed + all.rows * width, bf16{0});
  for (long first = 0; first < all.rows; first += kBlock)
    forward_rest(layer, saved, all.rows, {first, std::min(kBlock, all.rows - first)}, output);
}

std::shared_ptr<Saved> Layers::forward(const bf16* x, const float* cos, const float* sin,
                                       const Layout& layout, bf16* y) {
  shape_tiles();
  auto saved = std::make_shared<Saved>(pool_, shape_, layers_, layout);
  const long values = layout.rows() * shape_.hidden;
  std::copy(cos, cos + layout.rows() * kWidth / 2, saved->cos);
  std::copy(sin, sin + layout.rows() * kWidth / 2, saved->sin);
  bf16* input = saved->layers.front().input;
  std::copy(x, x + values, input);
  std::fill(input + values, input + saved->rows * shape_.hidden, bf16{0});
  for (std::size_t index = 0; index < layers_.size(); ++index) {
    const bool last = index + 1 == layers_.size();
    forward_layer(layers_[index], saved->layers[index], *saved,
                  last ? saved->output : saved->layers[index + 1].input);
  }
  std::copy(saved->output, saved->output + values, y);
  _tile_release();
  return saved;
}

// From gradient_ of what the layer yields to that of `middle`.
void Layers::backward_gated(const Layer& layer, const SavedLayer& saved, long rows, Rows block,
                            const UpdateGradient* gradients) {
  const Linear& gate_up = layer.groups[kGateUp];
  const Linear& down = layer.groups[kDown];
  const long hidden = shape_.hidden;
  bf16* gradient = gradient_ + block.first * hidden;
  const bf16* middle = saved.middle + block.first * hidden;
  add_outer(saved.ranks[kDown] + block.first, rows, down.rank, gradient, hidden, hidden,
            block.count, gradients[kDown].up, hidden);
  Factors update = back_to_rank(down, gradient, block.count);
  Factors main = backward_factors(down, gradient);
  Factors of_normed = backward_factors(gate_up, of_gate_up_);
  of_normed.stride = 2 * kChunk;
  of_normed.steps = 2 * kChunk / kSide;
  Factors of_rank = of_normed;
  of_rank.right = gate_up.back_to_rank.data();
  std::fill(of_normed_, of_normed_ + block.count * hidden, 0.0F);
  std::fill(of_rank_, of_rank_ + block.count * gate_up.rank, 0.0F);
  for (long chunk = 0; chunk < shape_.inner; chunk += kChunk) {
    product(block.count, kChunk, main, update, [&](long row, long column, const float* values) {
      for (long half = 0; half < 2; ++half)
        write_gate_gradient(values + half * 16,
                            saved.gate_up + (2 * (chunk + column) + half * kSide) * rows +
                                (block.first + row) * kSide,
                            gated_ + row * kChunk + column + half * 16,
                            of_gate_up_ + row * 2 * kChunk + 2 * column + half * kSide);
    });
    add_outer(of_rank_across_, kBlock, down.rank, gated_, kChunk, kChunk, block.count,
              gradients[kDown].down + chunk, down.inputs);
    add_outer(saved.ranks[kGateUp] + block.first, rows, gate_up.rank, of_gate_up_, 2 * kChunk,
              2 * kChunk, block.count, gradients[kGateUp].up + 2 * chunk, gate_up.outputs);
    add_product(block.count, hidden, of_normed, of_normed_);
    add_product(block.count, gate_up.rank, of_rank, of_rank_);
    main.right += kChunk * hidden;
    update.right += kChunk * down.rank;
    of_normed.right += 2 * kChunk * kSide;
    of_rank.right += 2 * kChunk * kSide;
  }
  for (long at = 0; at < block.count * gate_up.rank; at += kSide)
    write_row(of_rank_ + at, rank_ + at);
  turn_rank(gate_up.rank, block.count, of_rank_across_, kBlock);
  add_product(block.count, hidden, back_from_rank(gate_up), of_normed_);
  normalize(middle, layer.norms[1].data(), block.count, hidden, shape_.epsilon, normed_);
  add_outer(of_rank_across_, kBlock, gate_up.rank, normed_, hidden, hidden, block.count,
            gradients[kGateUp].down, hidden);
  add_normalize_gradient(middle, layer.norms[1].data(), block.count, hidden, shape_.epsilon,
                         of_normed_, gradient);
}

// From gradient_ of `middle` to of_mixed_.
void Layers::backward_output(const Layer& layer, const SavedLayer& saved, long rows, Rows block,
                             const UpdateGradient* gradients) {
  const Linear& out = layer.groups[kOutput];
  const bf16* gradient = gradient_ + block.first * out.outputs;
  bf16* of_mixed = of_mixed_ + block.first * out.inputs;
  add_outer(saved.ranks[kOutput] + block.first, rows, out.rank, gradient, out.outputs, out.outputs,
            block.count, gradients[kOutput].up, out.outputs);
  product(block.count, out.inputs, backward_factors(out, gradient),
          back_to_rank(out, gradient, block.count),
          [&](long row, long column, const float* values) {
            write_row(values, of_mixed + row * out.inputs + column);
          });
  add_outer(of_rank_across_, kBlock, out.rank, saved.mixed + block.first * out.inputs, out.inputs,
            out.inputs, block.count, gradients[kOutput].down, out.inputs);
}

// From of_joint_, added to gradient_ of `middle`, to gradient_ of what the layer is given.
void Layers::backward_joint(const Layer& layer, const SavedLayer& saved, long rows, Rows block,
                            const UpdateGradient* gradients) {
  const Linear& joint = layer.groups[kJoint];
  const long hidden = shape_.hidden;
  const bf16* gradient = of_joint_ + block.first * joint.outputs;
  const bf16* input = saved.input + block.first * hidden;
  add_outer(saved.ranks[kJoint] + block.first, rows, joint.rank, gradient, joint.outputs,
            joint.outputs, block.count, gradients[kJoint].up, joint.outputs);
  product(block.count, hidden, backward_factors(joint, gradient),
          back_to_rank(joint, gradient, block.count),
          [&](long row, long column, const float* values) {
            write_wide(values, of_normed_ + row * hidden + column);
          });
  normalize(input, layer.norms[0].data(), block.count, hidden, shape_.epsilon, normed_);
  add_outer(of_rank_across_, kBlock, joint.rank, normed_, hidden, hidden, block.count,
            gradients[kJoint].down, hidden);
  add_normalize_gradient(input, layer.norms[0].data(), block.count, hidden, shape_.epsilon,
                         of_normed_, gradient_ + block.first * hidden);
}

void Layers::backward_layer(const Layer& layer, const SavedLayer& saved, const Saved& all,
                            const UpdateGradient* gradients) {
  for (long first = 0; first < all.rows; first += kBlock) {
    const Rows block{first, std::min(kBlock, all.rows - first)};
    backward_gated(layer, saved, all.rows, block, gradients);
    backward_output(layer, saved, all.rows, block, gradients);
  }
  attention_.backward(all.layout, {all.cos, all.sin}, saved.joint, saved.mixed, saved.lengths,
                      of_mixed_, of_joint_);
  for (long first = 0; first < all.rows; first += kBlock)
    backward_joint(layer, saved, all.rows, {first, std::min(kBlock, all.rows - first)}, gradients);
}

void Layers::backward(Saved& saved, const bf16* of_y, const std::vector<UpdateGradient>& gradients,
                      bf16* of_x) {
  if (!saved.memory) throw std::logic_error("the backward direction was taken already");
  shape_tiles();
  reserve(saved.rows);
  const long rows = saved.layout.rows();
  const long values = rows * shape_.hidden;
  std::copy(of_y, of_y + values, gradient_);
  std::fill(gradient_ + values, gradient_ + saved.rows * shape_.hidden, bf16{0});
  const long width = shape_.heads.joint_width();
  std::fill(of_joint_ + rows * width, of_joint_ + saved.rows * width, bf16{0});
  for (std::size_t index = layers_.size(); index-- > 0;)
    backward_layer(layers_[index], saved.layers[index], saved, gradients.data() + index * kGroups);
  std::copy(gradient_, gradient_ + values, of_x);
  saved.release();
  _tile_release();
}

}  // namespace fused
