// All layers of the language model, forward and backward, in blocks of rows that stay in L2.
#pragma once

#include <array>
#include <mutex>
#include <vector>

#include "attention.h"

namespace fused {

constexpr long kMostRank = 64;  // padded

enum Group { kJoint, kOutput, kGateUp, kDown, kGroups };

struct Shape {
  Heads heads;
  long hidden;
  long inner;  // of the gated part
  float epsilon;
};

// A matrix [outputs, inputs] and a low-rank update of it, packed for both directions. The matrix is
// packed once; the update anew whenever it has changed, which is why the two are not merged: their
// sum would have to be packed each time.
class Linear {
 public:
  Linear(const float* weights, long outputs, long inputs, long rank);

  // down: [rank, inputs]. up: [outputs, rank], by which the update is up * down.
  void set_update(const float* down, const float* up);

  long outputs;
  long inputs;
  long own_rank;
  long rank;  // padded
  std::vector<bf16> forward, backward;
  std::vector<bf16> to_rank, from_rank;            // of the forward direction
  std::vector<bf16> back_to_rank, back_from_rank;  // of the backward one
};

struct Layer {
  std::array<std::vector<float>, 2> norms;  // before attention, and before the gated part
  std::vector<Linear> groups;
};

// Gradients of an update's matrices, both transposed to rows of the rank: [rank, inputs] and
// [rank, outputs]. Added to.
struct UpdateGradient {
  float* down;
  float* up;
};

// What a layer's backward direction reads. Rows are padded; by rows but where said.
struct SavedLayer {
  bf16* input;
  bf16* joint;     // queries, keys and values before rotation
  float* lengths;  // of the attention, see there
  bf16* mixed;
  bf16* middle;   // between attention and gated part
  bf16* gate_up;  // [2 * inner / kSide, rows, kSide]: 16 gates and their 16 factors in a row
  std::array<bf16*, kGroups> ranks;  // what the update's first matrix yields, [rank, rows]
};

// Where unused memory waits for the next picture.
struct Pool {
  std::mutex mutex;
  std::vector<std::unique_ptr<Memory>> unused;
  std::unique_ptr<Memory> take(std::size_t bytes);
  void give(std::unique_ptr<Memory> memory);
};

struct Saved {
  Saved(std::shared_ptr<Pool> source, const Shape& shape, const std::vector<Layer>& layers,
        const Layout& layout_of);
  ~Saved() { release(); }
  Saved(const Saved&) = delete;
  Saved& operator=(const Saved&) = delete;
  void release();

  std::shared_ptr<Pool> pool;
  Layout layout;
  long rows;  // padded
  std::unique_ptr<Memory> memory;
  std::vector<SavedLayer> layers;
  bf16* output = nullptr;
  float* cos = nullptr;
  float* sin = nullptr;
};

class Layers {
 public:
  explicit Layers(const Shape& shape);
  void add(Layer layer) { layers_.push_back(std::move(layer)); }
  [[nodiscard]] std::vector<Layer>& layers() { return layers_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }

  // x and y: [rows, hidden]; cos and sin: [rows, kWidth / 2].
  std::shared_ptr<Saved> forward(const bf16* x, const float* cos, const float* sin,
                                 const Layout& layout, bf16* y);

  // of_y and of_x: [rows, hidden]. gradients: of layer i's group g at i * kGroups + g.
  void backward(Saved& saved, const bf16* of_y, const std::vector<UpdateGradient>& gradients,
                bf16* of_x);

 private:
  struct Rows {
    long first;
    long count;
  };

  void forward_layer(const Layer& layer, const SavedLayer& saved, const Saved& all, bf16* output);
  void forward_joint(const Layer& layer, const SavedLayer& saved, long rows, Rows block);
  void forward_rest(const Layer& layer, const SavedLayer& saved, long rows, Rows block,
                    bf16* output);
  void backward_layer(const Layer& layer, const SavedLayer& saved, const Saved& all,
                      const UpdateGradient* gradients);
  void backward_gated(const Layer& layer, const SavedLayer& saved, long rows, Rows block,
                      const UpdateGradient* gradients);
  void backward_output(const Layer& layer, const SavedLayer& saved, long rows, Rows block,
                       const UpdateGradient* gradients);
  void backward_joint(const Layer& layer, const SavedLayer& saved, long rows, Rows block,
                      const UpdateGradient* gradients);
  void reserve(long rows);
  Factors to_rank(const Linear& linear, const bf16* input, bf16* saved, long rows, Rows block);
  Factors back_to_rank(const Linear& linear, const bf16* gradient, long count);
  [[nodiscard]] Factors back_from_rank(const Linear& linear) const;
  void turn_rank(long rank, long count, bf16* transposed, long stride) const;
  void add_outer(const bf16* left, long left_stride, long rank, const bf16* right,
                 long right_stride, long columns, long count, float* sums, long sums_stride);

  Shape shape_;
  std::vector<Layer> layers_;
  Attention attention_;
  std::shared_ptr<Pool> pool_ = std::make_shared<Pool>();

  // Of all rows, in the backward direction.
  long reserved_ = 0;
  std::unique_ptr<Memory> memory_;
  bf16* gradient_ = nullptr;  // of what a layer yields, then of what it is given, [rows, hidden]
  bf16* of_mixed_ = nullptr;
  bf16* of_joint_ = nullptr;

  // Of the block at hand.
  std::unique_ptr<Memory> block_memory_;
  bf16* normed_ = nullptr;          // [block, hidden]
  bf16* gated_ = nullptr;           // [block, inner], or a chunk of it in the backward direction
  bf16* of_gate_up_ = nullptr;      // [block, 2 * chunk]
  bf16* rank_ = nullptr;            // [block, rank]
  bf16* of_rank_across_ = nullptr;  // [rank, block]
  float* of_rank_ = nullptr;        // [block, rank]
  float* of_normed_ = nullptr;      // [block, hidden]
  bf16* panel_ = nullptr;           // [block, kSide]
};

}  // namespace fused
