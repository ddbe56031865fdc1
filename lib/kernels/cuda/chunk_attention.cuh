#pragma once

// What both kernels of chunk attention share. C++17 only.
//
// A block has up to kChunkQueries queries of one KV head of a row (the query heads that share it,
// token by token) and one split of its slots, which it walks over kChunkSlots at a time: it reads
// their keys and values into shared memory once for all its queries, and keeps for each query the
// largest logit so far, the sum of exponentials and the output that is not yet divided. A tile that
// a query sees nothing of leaves all three as they are, so a query's result depends on its row's
// slots alone. Logits are in base 2.

#include <cmath>

#include "kernels/cuda/device.cuh"

namespace elastikv::cuda {

constexpr float kLog2E = 1.44269504088896340736F;

/// Slots that a block takes at a time.
struct alignas(16) SlotTile {
  int32_t first[kChunkSlots];  // see ChunkSlots; what is no slot is seen by no token
  int32_t until[kChunkSlots];
  float bias[kChunkSlots];
  int32_t turn[kChunkSlots];   // see ChunkHeadTask
  int32_t place[kChunkSlots];  // as in EntryView, also where slots lie one after another
};

/// What a block has to do.
struct ChunkBlock {
  // Read where they are needed: copies would cost registers all the way.
  const ChunkRowTask* row;
  const ChunkHeadTask* head;
  int row_index;
  int kv_head;
  int query;    // the first one of the head's tokens x group
  int queries;  // at most as many as the block takes
  int split;
  int begin;  // the first slot
  int slots;  // 0: there is no such split
};

/// Blocks: x over rows x tiles of queries, y over splits, z over KV heads, so that those that run
/// side by side read the same head of the prompt that rows share.
__device__ inline ChunkBlock block_of(const ChunkTask& task, int tile) {
  const int head_queries = task.tokens * task.group;
  const int tiles = (head_queries + tile - 1) / tile;
  ChunkBlock block;
  block.row_index = static_cast<int>(blockIdx.x) / tiles;
  block.kv_head = static_cast<int>(blockIdx.z);
  block.row = task.row_tasks + block.row_index;
  block.head = task.head_tasks + block.row_index * task.kv_heads + block.kv_head;
  block.query = static_cast<int>(blockIdx.x) % tiles * tile;
  block.queries = min(tile, head_queries - block.query);
  block.split = static_cast<int>(blockIdx.y);
  block.begin = block.split * block.head->span;
  block.slots = max(0, min(block.head->span, block.head->length - block.begin));
  return block;
}

inline dim3 chunk_grid(const ChunkTask& task, int tile) {
  const int tiles = (task.tokens * task.group + tile - 1) / tile;
  return dim3(static_cast<unsigned>(task.rows * tiles), static_cast<unsigned>(task.splits),
              static_cast<unsigned>(task.kv_heads));
}

/// The token of a block's query, -1 where there is none: it sees no slot.
__device__ inline int token_of(const ChunkTask& task, const ChunkBlock& block, int query) {
  return query < block.queries ? (block.query + query) / task.group : -1;
}

/// An array of the upload, or null.
template <typename T>
__device__ const T* sent(const ChunkTask& task, int64_t offset) {
  return offset < 0 ? nullptr : reinterpret_cast<const T*>(task.upload + offset);
}

/// Describes the slots from `begin` of the split on.
__device__ inline void load_slots(const ChunkTask& task, const ChunkBlock& block, int begin,
                                  SlotTile& to) {
  const int i = static_cast<int>(threadIdx.x);
  if (i >= kChunkSlots) return;
  if (begin + i >= block.slots) {
    to.first[i] = INT32_MAX;
    to.until[i] = 0;
    to.bias[i] = 0;
    to.turn[i] = 0;
    return;
  }
  const int slot = block.begin + begin + i;
  const int32_t* places = sent<int32_t>(task, block.head->places);
  const float* biases = sent<float>(task, block.head->bias);
  const int32_t* turns = sent<int32_t>(task, block.head->turns);
  // All reads before the first write, so that none waits for another.
  const int32_t first = sent<int32_t>(task, block.head->first)[slot];
  const int32_t until = sent<int32_t>(task, block.head->until)[slot];
  const float bias = biases == nullptr ? 0.0F : biases[slot] * kLog2E;
  const int32_t turn = turns == nullptr ? 0 : turns[slot];
  const int32_t place = places == nullptr ? ~slot : places[slot];
  to.first[i] = first;
  to.until[i] = until;
  to.bias[i] = bias;
  to.turn[i] = turn;
  to.place[i] = place;
}

/// Fills `rows` rows of a tile in shared memory by pieces: row i, column c is read(i, c). A thread
/// keeps its column and has several rows in flight.
template <typename T, typename Read>
__device__ void fill_tile(T* tile, int pitch, int rows, int head_dim, const Read& read) {
  constexpr int kInFlight = 8;
  const int pieces = head_dim / kVector<T>;
  const int at_once = static_cast<int>(blockDim.x) / pieces;
  const int first = static_cast<int>(threadIdx.x) / pieces;
  const int column = static_cast<int>(threadIdx.x) % pieces * kVector<T>;
  if (first >= at_once) return;
  for (int base = first; base < rows; base += kInFlight * at_once) {
    Vector<T> piece[kInFlight];
#pragma unroll
    for (int i = 0; i < kInFlight; ++i) {
      const int row = base + i * at_once;
      piece[i] = row < rows ? read(row, column) : Vector<T>{};
    }
#pragma unroll
    for (int i = 0; i < kInFlight; ++i) {
      const int row = base + i * at_once;
      if (row < rows) *reinterpret_cast<Vector<T>*>(tile + row * pitch + column) = piece[i];
    }
  }
}

/// Turns rows of a tile by the angles of position_of(row), those without one, -1, not at all. All
/// threads of the block must have filled it.
template <typename T, typename PositionOf>
__device__ void turn_tile(const ChunkTask& task, const ChunkBlock& block, T* tile, int pitch,
                          int rows, const PositionOf& position_of) {
  const int half = task.head_dim / 2;
  const int pieces = half / kVector<T>;
  for (int i = static_cast<int>(threadIdx.x); i < rows * pieces;
       i += static_cast<int>(blockDim.x)) {
    const int row = i / pieces;
    const int column = i % pieces * kVector<T>;
    const int position = position_of(row);
    if (position < 0) continue;
    const float* cos = block.row->cos + static_cast<int64_t>(position) * task.head_dim + column;
    const float* sin = block.row->sin + static_cast<int64_t>(position) * task.head_dim + column;
    auto* first = reinterpret_cast<Vector<T>*>(tile + row * pitch + column);
    auto* second = reinterpret_cast<Vector<T>*>(tile + row * pitch + column + half);
    Vector<T> a = *first;
    Vector<T> b = *second;
#pragma unroll
    for (int e = 0; e < kVector<T>; ++e) {
      const float x = to_float(a.x[e]);
      const float y = to_float(b.x[e]);
      store(&a.x[e], x * cos[e] + y * sin[e]);
      store(&b.x[e], y * cos[half + e] + x * sin[half + e]);
    }
    *first = a;
    *second = b;
  }
}

/// The block's queries into a tile of `rows`, zeros where there are none. Of un-rotated ones there
/// are two tiles, one behind the other: turned by their positions towards most slots, and towards
/// those that keep their rank.
template <typename T>
__device__ void load_queries(const ChunkTask& task, const ChunkBlock& block, T* tile, int pitch,
                             int rows) {
  const T* queries = static_cast<const T*>(task.queries) + block.row_index * task.row_stride +
                     static_cast<int64_t>(block.kv_head) * task.group * task.head_dim;
  const int32_t* positions = sent<int32_t>(task, block.head->positions);
  const int sets = positions == nullptr ? 1 : 2;
  for (int set = 0; set < sets; ++set) {
    fill_tile(tile + set * rows * pitch, pitch, rows, task.head_dim, [&](int row, int column) {
      const int token = token_of(task, block, row);
      if (token < 0) return Vector<T>{};
      const int head = (block.query + row) % task.group;
      return load_vector(queries + token * task.token_stride +
                         static_cast<int64_t>(head) * task.head_dim + column);
    });
  }
  if (positions == nullptr) return;
  __syncthreads();
  for (int set = 0; set < sets; ++set) {
    turn_tile(task, block, tile + set * rows * pitch, pitch, rows, [&](int row) {
      const int token = token_of(task, block, row);
      return token < 0 ? -1 : positions[set * task.tokens + token];
    });
  }
}

template <typename T>
__device__ const T* entry_at(const ChunkBlock& block, const void* own, const void* of_prompt,
                             int32_t place, int head_dim) {
  if (place >= 0)
    return static_cast<const T*>(of_prompt) + (block.head->prompt_start + place) * head_dim;
  return static_cast<const T*>(own) + (block.head->start + ~place) * head_dim;
}

/// The slots' keys or values from `begin` of the split on, zeros behind the last.
template <typename T>
__device__ void load_entries(const ChunkTask& task, const ChunkBlock& block, int begin,
                             const SlotTile& slots, const void* own, const void* of_prompt, T* tile,
                             int pitch) {
  fill_tile(tile, pitch, kChunkSlots, task.head_dim, [&](int slot, int column) {
    if (begin + slot >= block.slots) return Vector<T>{};
    return load_vector(entry_at<T>(block, own, of_prompt, slots.place[slot], task.head_dim) +
                       column);
  });
}

template <typename T>
__device__ void load_keys(const ChunkTask& task, const ChunkBlock& block, int begin,
                          const SlotTile& slots, T* tile, int pitch) {
  load_entries(task, block, begin, slots, block.row->keys, block.row->prompt_keys, tile, pitch);
}

template <typename T>
__device__ void load_values(const ChunkTask& task, const ChunkBlock& block, int begin,
                            const SlotTile& slots, T* tile, int pitch) {
  load_entries(task, block, begin, slots, block.row->values, block.row->prompt_values, tile, pitch);
}

/// Turns the un-rotated keys of a tile that all threads have filled; all have when it returns.
template <typename T>
__device__ void turn_keys(const ChunkTask& task, const ChunkBlock& block, const SlotTile& slots,
                          T* tile, int pitch) {
  turn_tile(task, block, tile, pitch, kChunkSlots, [&](int slot) {
    const int32_t turn = slots.turn[slot];
    return turn >= 0 ? turn : ~turn;
  });
  __syncthreads();
}

/// A query's largest logit and its sum of exponentials so far.
struct QueryState {
  float largest = -INFINITY;
  float total = 0;
};

/// Takes in the largest logit of a tile; returns what sums so far are to be multiplied with. The
/// base of the tile's exponentials is `base`: finite also while the query has seen nothing.
__device__ inline float raise_largest(QueryState& state, float largest, float& base) {
  largest = fmaxf(state.largest, largest);
  base = largest == -INFINITY ? 0.0F : largest;
  const float factor = exp2f(state.largest - base);
  state.largest = largest;
  state.total *= factor;
  return factor;
}

__device__ inline bool has_all_slots(const ChunkBlock& block) {
  return block.head->span >= block.head->length;
}

/// The index of a query of a KV head among all results, [rows, kv_heads, tokens x group].
__device__ inline size_t result_index(const ChunkTask& task, int row, int kv_head, int query) {
  const size_t head_queries = static_cast<size_t>(task.tokens) * task.group;
  return (static_cast<size_t>(row) * task.kv_heads + kv_head) * head_queries + query;
}

/// Where a query's output begins.
template <typename T>
__device__ T* output_of(const ChunkTask& task, int row, int kv_head, int query) {
  const size_t token = static_cast<size_t>(row) * task.tokens + query / task.group;
  const size_t head = static_cast<size_t>(kv_head) * task.group + query % task.group;
  return static_cast<T*>(task.output) + (token * task.kv_heads * task.group + head) * task.head_dim;
}

/// Writes four columns of a block's query: to the output, multiplied with 1 / total, or as one
/// split's part of it.
template <typename T>
__device__ void write_sums(const ChunkTask& task, const ChunkBlock& block, int query, int column,
                           const Vector<float>& sums, float share) {
  const int index = block.query + query;
  if (has_all_slots(block)) {
    T* output = output_of<T>(task, block.row_index, block.kv_head, index) + column;
#pragma unroll
    for (int e = 0; e < kVector<float>; ++e) store(output + e, sums.x[e] * share);
    return;
  }
  const size_t at =
      result_index(task, block.row_index, block.kv_head, index) * task.splits + block.split;
  *reinterpret_cast<Vector<float>*>(task.partial_output + at * task.head_dim + column) = sums;
}

/// Writes what a split's sums are to be weighed by. One thread per query.
__device__ inline void write_state(const ChunkTask& task, const ChunkBlock& block, int query,
                                   const QueryState& state) {
  if (has_all_slots(block)) return;
  const size_t at =
      result_index(task, block.row_index, block.kv_head, block.query + query) * task.splits +
      block.split;
  task.partial_max[at] = state.largest;
  task.partial_total[at] = state.total;
}

/// On tensor cores, for fp16 and bf16.
void launch_tensor_chunk(const ChunkTask& task, Stream stream);
/// By multiply-adds, for fp32.
void launch_plain_chunk(const ChunkTask& task, Stream stream);

}  // namespace elastikv::cuda
