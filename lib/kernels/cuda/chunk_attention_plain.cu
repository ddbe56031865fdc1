#include "kernels/cuda/chunk_attention.cuh"

namespace elastikv::cuda {
namespace {

// Threads are kEdge x kEdge. Thread (x, y) has the queries y + kEdge * i, for them the logits of
// slots x + kEdge * j and four columns of every 64 of the output: the threads that share a query
// are half a warp.

constexpr int kEdge = 16;
constexpr int kPlainThreads = kEdge * kEdge;
constexpr int kSlotsPerThread = kChunkSlots / kEdge;
constexpr int kColumns = kEdge * kVector<float>;  // of one round over the threads
/// Floats between rows in shared memory are these more, so that rows side by side lie in different
/// banks.
constexpr int kPlainPadding = 4;
constexpr int kWeightPitch = kChunkSlots + kPlainPadding;

struct PlainChunkTiles {
  float* queries;   // [1 or 2 sets, tile, pitch]
  float* entries;   // [kChunkSlots, pitch]: keys, then values
  float* weights;   // [tile, kWeightPitch]
  SlotTile* slots;  // [2]: those at work, and the next
  int pitch;
};

__host__ __device__ PlainChunkTiles plain_chunk_tiles(int tile, int head_dim, bool turns,
                                                      unsigned char* memory, size_t& used) {
  PlainChunkTiles tiles;
  tiles.pitch = head_dim + kPlainPadding;
  SharedPieces pieces(memory);
  tiles.slots = pieces.take<SlotTile>(2);
  tiles.queries = pieces.take<float>(static_cast<size_t>(turns ? 2 : 1) * tile * tiles.pitch);
  tiles.entries = pieces.take<float>(static_cast<size_t>(kChunkSlots) * tiles.pitch);
  tiles.weights = pieces.take<float>(static_cast<size_t>(tile) * kWeightPitch);
  used = pieces.used();
  return tiles;
}

/// Adds up products of this thread's queries and keys.
template <int kRows>
__device__ void multiply_keys(const float* queries, const float* keys, int pitch, int head_dim,
                              float (&logits)[kRows][kSlotsPerThread]) {
  const int x = static_cast<int>(threadIdx.x) % kEdge;
  const int y = static_cast<int>(threadIdx.x) / kEdge;
#pragma unroll 2
  for (int d = 0; d < head_dim; d += kVector<float>) {
    Vector<float> query[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) query[i] = load_vector(queries + (y + kEdge * i) * pitch + d);
#pragma unroll
    for (int j = 0; j < kSlotsPerThread; ++j) {
      const Vector<float> key = load_vector(keys + (x + kEdge * j) * pitch + d);
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
#pragma unroll
        for (int e = 0; e < kVector<float>; ++e)
          logits[i][j] = fmaf(query[i].x[e], key.x[e], logits[i][j]);
      }
    }
  }
}

/// Puts products with the second set of queries in the place of those of slots that keep their
/// rank.
template <int kRows>
__device__ void multiply_ranked(const PlainChunkTiles& tiles, const SlotTile& slots, int head_dim,
                                float (&logits)[kRows][kSlotsPerThread]) {
  const int x = static_cast<int>(threadIdx.x) % kEdge;
  bool any = false;
#pragma unroll
  for (int j = 0; j < kSlotsPerThread; ++j) any = any || slots.turn[x + kEdge * j] < 0;
  if (__ballot_sync(kAllLanes, any) == 0) return;
  float ranked[kRows][kSlotsPerThread] = {};
  multiply_keys<kRows>(tiles.queries + kRows * kEdge * tiles.pitch, tiles.entries, tiles.pitch,
                       head_dim, ranked);
#pragma unroll
  for (int j = 0; j < kSlotsPerThread; ++j) {
    if (slots.turn[x + kEdge * j] >= 0) continue;
#pragma unroll
    for (int i = 0; i < kRows; ++i) logits[i][j] = ranked[i][j];
  }
}

/// A block has kRows * kEdge queries, heads at most kRounds * kColumns dimensions. Registers are
/// for as many blocks of a multiprocessor as its shared memory has room for.
template <int kRows, int kRounds>
__global__ void __launch_bounds__(kPlainThreads, kRounds <= 2 ? 2 : 1)
    plain_chunk_attention(ChunkTask task) {
  constexpr int kTile = kRows * kEdge;
  const ChunkBlock block = block_of(task, kTile);
  if (block.slots == 0) return;
  size_t used = 0;
  const PlainChunkTiles tiles =
      plain_chunk_tiles(kTile, task.head_dim, task.turns, shared_memory(), used);
  const int x = static_cast<int>(threadIdx.x) % kEdge;
  const int y = static_cast<int>(threadIdx.x) / kEdge;
  const float scale = task.scale * kLog2E;
  const bool turned = block.row->cos != nullptr;

  load_queries(task, block, tiles.queries, tiles.pitch, kTile);
  load_slots(task, block, /*begin=*/0, tiles.slots[0]);
  int tokens[kRows];
  QueryState states[kRows];
  float sums[kRows][kRounds][kVector<float>] = {};
#pragma unroll
  for (int i = 0; i < kRows; ++i) tokens[i] = token_of(task, block, y + kEdge * i);

  int turn = 0;
  for (int begin = 0; begin < block.slots; begin += kChunkSlots) {
    const SlotTile& slots = tiles.slots[turn];
    turn = 1 - turn;
    __syncthreads();
    load_keys(task, block, begin, slots, tiles.entries, tiles.pitch);
    load_slots(task, block, begin + kChunkSlots, tiles.slots[turn]);
    __syncthreads();
    if (turned) turn_keys(task, block, slots, tiles.entries, tiles.pitch);

    float logits[kRows][kSlotsPerThread] = {};
    multiply_keys<kRows>(tiles.queries, tiles.entries, tiles.pitch, task.head_dim, logits);
    if (turned) multiply_ranked<kRows>(tiles, slots, task.head_dim, logits);

#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      float largest = -INFINITY;
#pragma unroll
      for (int j = 0; j < kSlotsPerThread; ++j) {
        const int slot = x + kEdge * j;
        const bool seen = slots.first[slot] <= tokens[i] && tokens[i] < slots.until[slot];
        logits[i][j] = seen ? fmaf(logits[i][j], scale, slots.bias[slot]) : -INFINITY;
        largest = fmaxf(largest, logits[i][j]);
      }
#pragma unroll
      for (int other = kEdge / 2; other > 0; other /= 2)
        largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, other));
      float base = 0;
      const float factor = raise_largest(states[i], largest, base);
#pragma unroll
      for (int j = 0; j < kSlotsPerThread; ++j) {
        const float weight = exp2f(logits[i][j] - base);
        states[i].total += weight;
        tiles.weights[(y + kEdge * i) * kWeightPitch + x + kEdge * j] = weight;
      }
#pragma unroll
      for (int k = 0; k < kRounds; ++k) {
#pragma unroll
        for (int e = 0; e < kVector<float>; ++e) sums[i][k][e] *= factor;
      }
    }
    __syncthreads();
    load_values(task, block, begin, slots, tiles.entries, tiles.pitch);
    __syncthreads();

    for (int slot = 0; slot < kChunkSlots; slot += kVector<float>) {
      Vector<float> weight[kRows];
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        weight[i] = load_vector(tiles.weights + (y + kEdge * i) * kWeightPitch + slot);
#pragma unroll
      for (int s = 0; s < kVector<float>; ++s) {
#pragma unroll
        for (int k = 0; k < kRounds; ++k) {
          const int column = k * kColumns + x * kVector<float>;
          if (column >= task.head_dim) break;
          const Vector<float> value =
              load_vector(tiles.entries + (slot + s) * tiles.pitch + column);
#pragma unroll
          for (int i = 0; i < kRows; ++i) {
#pragma unroll
            for (int e = 0; e < kVector<float>; ++e)
              sums[i][k][e] = fmaf(weight[i].x[s], value.x[e], sums[i][k][e]);
          }
        }
      }
    }
  }

#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const int query = y + kEdge * i;
    // Each of the threads that share a query has added up its own slots.
#pragma unroll
    for (int other = kEdge / 2; other > 0; other /= 2)
      states[i].total += __shfl_xor_sync(kAllLanes, states[i].total, other);
    if (query >= block.queries) continue;
    if (x == 0) write_state(task, block, query, states[i]);
#pragma unroll
    for (int k = 0; k < kRounds; ++k) {
      const int column = k * kColumns + x * kVector<float>;
      if (column >= task.head_dim) break;
      Vector<float> written;
#pragma unroll
      for (int e = 0; e < kVector<float>; ++e) written.x[e] = sums[i][k][e];
      write_sums<float>(task, block, query, column, written, 1.0F / states[i].total);
    }
  }
}

template <int kRows, int kRounds>
void launch_plain_tiles(const ChunkTask& task, Stream stream) {
  constexpr int kTile = kRows * kEdge;
  size_t shared = 0;
  plain_chunk_tiles(kTile, task.head_dim, task.turns, nullptr, shared);
  launch("chunk attention", plain_chunk_attention<kRows, kRounds>, chunk_grid(task, kTile),
         dim3(kPlainThreads), shared, stream, task);
}

template <int kRows>
void launch_plain_rounds(const ChunkTask& task, Stream stream) {
  if (task.head_dim <= 2 * kColumns) {
    launch_plain_tiles<kRows, 2>(task, stream);
  } else {
    launch_plain_tiles<kRows, 4>(task, stream);
  }
}

}  // namespace

void launch_plain_chunk(const ChunkTask& task, Stream stream) {
  // Both sets of 64 un-rotated queries of a large head are more than a block may have.
  const bool too_large = task.turns && task.head_dim > 2 * kColumns;
  if (too_large || task.tokens * task.group <= kEdge) {
    launch_plain_rounds<1>(task, stream);
  } else {
    launch_plain_rounds<kChunkQueries / kEdge>(task, stream);
  }
}

}  // namespace elastikv::cuda
