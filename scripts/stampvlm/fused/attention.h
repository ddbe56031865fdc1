// Causal attention over a prefix and branches that continue it, forward and backward.
#pragma once

#include <vector>

#include "tiles.h"

namespace fused {

constexpr long kWidth = 64;  // of a head

struct Heads {
  long queries;
  long pairs;  // of keys and values, each of which serves queries / pairs heads
  [[nodiscard]] long width() const { return queries * kWidth; }
  [[nodiscard]] long joint_width() const { return (queries + 2 * pairs) * kWidth; }
};

// The prefix, then a branch of `long_rows`, then `shorts` branches of `short_rows`. A branch sees
// the prefix and itself.
struct Layout {
  long prefix;
  long long_rows;
  long short_rows;
  long shorts;
  [[nodiscard]] long rows() const { return prefix + long_rows + short_rows * shorts; }
};

// Of rotary positions, [rows, kWidth / 2] each.
struct Rotation {
  const float* cos;
  const float* sin;
};

class Attention {
 public:
  explicit Attention(Heads heads) : heads_(heads) {}

  // joint: queries, keys and values before rotation, [rows, joint_width]. mixed: [rows, width].
  // lengths: [queries, rows], the logarithm to base 2 of what the weights are divided by.
  void forward(const Layout& layout, const Rotation& rotation, const bf16* joint, bf16* mixed,
               float* lengths);

  // of_mixed: the gradient of mixed. of_joint: where that of joint is written.
  void backward(const Layout& layout, const Rotation& rotation, const bf16* joint,
                const bf16* mixed, const float* lengths, const bf16* of_mixed, bf16* of_joint);

 private:
  // Rows of which all but those of the prefix see the prefix; as keys they begin at a multiple of
  // kSide, after zeros.
  struct Segment {
    long first_row;
    long rows;
    long first_key;
  };

  // Keys that a block's queries see, from first_key on, in columns of the scores from `column` on.
  struct Range {
    long first_key;
    long chunks;  // of kSide keys
    long column;
    bool causal;  // or all queries see the first `seen`
    long seen;
  };

  // Consecutive rows of a segment for all the heads of a pair: row i of head h is i + h * rows.
  struct Block {
    const Segment* segment;
    long first;  // in the segment
    long rows;
    long stacked;  // rows * heads, padded
    std::vector<Range> ranges;
  };

  void arrange(const Layout& layout);
  [[nodiscard]] long visible(const Block& block, const Range& range, long stacked_row) const;
  void gather_keys(const Rotation& rotation, const bf16* joint, long pair, bool backward);
  void gather_queries(const Block& block, const Rotation& rotation, const bf16* joint, long pair);
  void forward_block(const Block& block, bf16* mixed, float* lengths, long pair);
  void gather_gradient(const Block& block, const bf16* mixed, const float* lengths,
                       const bf16* of_mixed, long pair);
  void backward_chunk(const Block& block, const Range& range, long chunk);
  void write_query_gradient(const Block& block, const Rotation& rotation, bf16* of_joint,
                            long pair);
  void write_key_gradient(const Rotation& rotation, bf16* of_joint, long pair);

  Heads heads_;
  Layout layout_{0, 0, 0, 0};
  std::vector<Segment> segments_;
  std::vector<Block> blocks_;
  long rows_ = 0;
  long keys_ = 0;     // padded
  long columns_ = 0;  // the most that a block sees
  std::unique_ptr<Memory> memory_;

  // Of the pair at hand, [keys, kWidth], and packed by chunks of kSide keys.
  bf16* key_rows_ = nullptr;
  bf16* value_rows_ = nullptr;
  bf16* keys_transposed_ = nullptr;
  bf16* keys_packed_ = nullptr;
  bf16* values_transposed_ = nullptr;
  bf16* values_packed_ = nullptr;
  float* of_keys_ = nullptr;  // [kWidth, keys]
  float* of_values_ = nullptr;

  // Of the block at hand, by stacked rows.
  bf16* queries_ = nullptr;  // rotated and scaled, [stacked, kWidth]
  bf16* queries_across_ = nullptr;
  bf16* of_mixed_ = nullptr;
  bf16* of_mixed_across_ = nullptr;
  float* lengths_ = nullptr;
  float* along_ = nullptr;         // of_mixed * mixed, summed over a head
  float* scores_ = nullptr;        // [kSide, columns]
  bf16* weights_ = nullptr;        // [stacked, columns], or the gradient of the scores
  bf16* chunk_weights_ = nullptr;  // packed
  bf16* chunk_of_scores_ = nullptr;
};

}  // namespace fused
