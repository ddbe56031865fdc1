#include "kernels/cuda/chunk_attention.cuh"

namespace elastikv::cuda {
namespace {

// A warp has kMatrix of the block's queries, all slots of a tile and all dimensions: products of
// queries and keys go through shared memory, where two lanes share a query, and come back as
// weights; the output stays in accumulators.

constexpr int kMatrix = 16;  // a tensor-core tile is kMatrix x kMatrix x kMatrix
constexpr int kTensorThreads = kChunkQueries / kMatrix * kWarp;
constexpr int kSlotTiles = kChunkSlots / kMatrix;
constexpr int kLaneSlots = kChunkSlots / (kWarp / kMatrix);  // of the two lanes of a query
/// Elements between rows in shared memory are these more, so that the 8 rows that one load touches
/// lie in different banks.
constexpr int kRowPadding = 8;
/// Of products. Weights lie in their place, two to a float.
constexpr int kProductPitch = kChunkSlots + 4;
constexpr int kWeightPitch = 2 * kProductPitch;

template <typename T>
struct TensorChunkTiles {
  T* queries;       // [1 or 2 sets, tile, pitch]
  T* keys;          // [kChunkSlots, pitch]
  T* values;        // [kChunkSlots, pitch]
  float* products;  // [tile, kProductPitch], then weights, at last outputs
  float* factors;   // [tile]
  SlotTile* slots;  // [2]: those at work, and the next
  int pitch;
};

template <typename T>
__host__ __device__ TensorChunkTiles<T> tensor_chunk_tiles(int tile, int head_dim, bool turns,
                                                           unsigned char* memory, size_t& used) {
  TensorChunkTiles<T> tiles;
  tiles.pitch = head_dim + kRowPadding;
  SharedPieces pieces(memory);
  tiles.slots = pieces.take<SlotTile>(2);
  tiles.queries = pieces.take<T>(static_cast<size_t>(turns ? 2 : 1) * tile * tiles.pitch);
  tiles.keys = pieces.take<T>(static_cast<size_t>(kChunkSlots) * tiles.pitch);
  tiles.values = pieces.take<T>(static_cast<size_t>(kChunkSlots) * tiles.pitch);
  tiles.products = pieces.take<float>(static_cast<size_t>(tile) * kProductPitch);
  tiles.factors = pieces.take<float>(static_cast<size_t>(tile));
  used = pieces.used();
  return tiles;
}

using nvcuda::wmma::fragment;
using nvcuda::wmma::mem_row_major;
using Accumulator = fragment<nvcuda::wmma::accumulator, kMatrix, kMatrix, kMatrix, float>;
template <typename T>
using LeftMatrix =
    fragment<nvcuda::wmma::matrix_a, kMatrix, kMatrix, kMatrix, T, nvcuda::wmma::row_major>;
template <typename T, typename Layout>
using RightMatrix = fragment<nvcuda::wmma::matrix_b, kMatrix, kMatrix, kMatrix, T, Layout>;

/// Where this lane's elements of an accumulator lie in it: row * kMatrix + column.
struct ElementPlaces {
  int index[Accumulator::num_elements];

  __device__ int row(int element) const { return index[element] / kMatrix; }
  __device__ int column(int element) const { return index[element] % kMatrix; }
};

/// That is the compiler's own affair: a tile that holds its own indices tells. `scratch` is the
/// warp's, [kMatrix, kMatrix].
__device__ inline ElementPlaces element_places(float* scratch) {
  for (int i = static_cast<int>(threadIdx.x) % kWarp; i < kMatrix * kMatrix; i += kWarp)
    scratch[i] = static_cast<float>(i);
  __syncwarp();
  Accumulator indices;
  nvcuda::wmma::load_matrix_sync(indices, scratch, kMatrix, mem_row_major);
  __syncwarp();
  ElementPlaces places;
#pragma unroll
  for (int i = 0; i < Accumulator::num_elements; ++i)
    places.index[i] = static_cast<int>(indices.x[i]);
  return places;
}

/// The products of a warp's queries and the keys of a tile.
template <typename T>
__device__ void multiply_keys(const T* queries, const T* keys, int pitch, int head_dim,
                              Accumulator (&products)[kSlotTiles]) {
#pragma unroll
  for (int j = 0; j < kSlotTiles; ++j) nvcuda::wmma::fill_fragment(products[j], 0.0F);
#pragma unroll 2
  for (int d = 0; d < head_dim; d += kMatrix) {
    LeftMatrix<T> a;
    nvcuda::wmma::load_matrix_sync(a, queries + d, pitch);
#pragma unroll
    for (int j = 0; j < kSlotTiles; ++j) {
      RightMatrix<T, nvcuda::wmma::col_major> b;
      nvcuda::wmma::load_matrix_sync(b, keys + j * kMatrix * pitch + d, pitch);
      nvcuda::wmma::mma_sync(products[j], a, b, products[j]);
    }
  }
}

/// Whether a slot of the tile keeps its rank. For all lanes of a warp.
__device__ inline bool any_keeps_rank(const SlotTile& slots) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const bool own = slots.turn[lane] < 0 || slots.turn[lane + kWarp] < 0;
  return __ballot_sync(kAllLanes, own) != 0;
}

/// Writes a warp's products of queries and keys to `to` [kMatrix, kProductPitch]. Slots that keep
/// their rank take those of the second set of queries, `set` elements behind the first.
template <typename T>
__device__ void write_products(const T* queries, int set, const T* keys, int pitch, int head_dim,
                               bool turned, const SlotTile& slots, const ElementPlaces& places,
                               float* to) {
  Accumulator products[kSlotTiles];
  multiply_keys(queries, keys, pitch, head_dim, products);
#pragma unroll
  for (int j = 0; j < kSlotTiles; ++j)
    nvcuda::wmma::store_matrix_sync(to + j * kMatrix, products[j], kProductPitch, mem_row_major);
  if (turned && any_keeps_rank(slots)) {
    multiply_keys(queries + set, keys, pitch, head_dim, products);
    __syncwarp();
#pragma unroll
    for (int j = 0; j < kSlotTiles; ++j) {
      Accumulator others;
      nvcuda::wmma::load_matrix_sync(others, to + j * kMatrix, kProductPitch, mem_row_major);
#pragma unroll
      for (int i = 0; i < Accumulator::num_elements; ++i) {
        if (slots.turn[j * kMatrix + places.column(i)] < 0) others.x[i] = products[j].x[i];
      }
      nvcuda::wmma::store_matrix_sync(to + j * kMatrix, others, kProductPitch, mem_row_major);
    }
  }
  __syncwarp();
}

/// Turns products of this lane's query and half of the slots into weights of T, in place; returns
/// what the query's output so far is to be multiplied with. `row` is the query's of the products.
template <typename T>
__device__ float weigh(float* row, int half, int token, float scale, const SlotTile& slots,
                       QueryState& state) {
  float logits[kLaneSlots];
  float largest = -INFINITY;
#pragma unroll
  for (int i = 0; i < kLaneSlots; i += kVector<float>) {
    const int slot = half * kLaneSlots + i;
    const Vector<float> product = load_vector(row + slot);
    const Vector<int32_t> first = load_vector(slots.first + slot);
    const Vector<int32_t> until = load_vector(slots.until + slot);
    const Vector<float> bias = load_vector(slots.bias + slot);
#pragma unroll
    for (int e = 0; e < kVector<float>; ++e) {
      const bool seen = first.x[e] <= token && token < until.x[e];
      logits[i + e] = seen ? fmaf(product.x[e], scale, bias.x[e]) : -INFINITY;
      largest = fmaxf(largest, logits[i + e]);
    }
  }
  largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, kMatrix));
  float base = 0;
  const float factor = raise_largest(state, largest, base);
  // Weights take the place of products that the other lane reads.
  __syncwarp();
  T* weights = reinterpret_cast<T*>(row) + half * kLaneSlots;
#pragma unroll
  for (int i = 0; i < kLaneSlots; i += kVector<T>) {
    Vector<T> piece;
#pragma unroll
    for (int e = 0; e < kVector<T>; ++e) {
      const float weight = exp2f(logits[i + e] - base);
      state.total += weight;
      store(&piece.x[e], weight);
    }
    *reinterpret_cast<Vector<T>*>(weights + i) = piece;
  }
  return factor;
}

/// Multiplies the rows of the output so far.
template <int kMostTiles>
__device__ void scale_rows(const float* factors, const ElementPlaces& places,
                           Accumulator (&sums)[kMostTiles]) {
#pragma unroll
  for (int i = 0; i < Accumulator::num_elements; ++i) {
    const float factor = factors[places.row(i)];
#pragma unroll
    for (int j = 0; j < kMostTiles; ++j) sums[j].x[i] *= factor;
  }
}

/// Adds the weighted values of a tile to the output.
template <typename T, int kMostTiles>
__device__ void multiply_values(const T* weights, const T* values, int pitch, int head_tiles,
                                Accumulator (&sums)[kMostTiles]) {
#pragma unroll
  for (int k = 0; k < kSlotTiles; ++k) {
    LeftMatrix<T> a;
    nvcuda::wmma::load_matrix_sync(a, weights + k * kMatrix, kWeightPitch);
#pragma unroll
    for (int j = 0; j < kMostTiles; ++j) {
      if (j >= head_tiles) break;
      RightMatrix<T, nvcuda::wmma::row_major> b;
      nvcuda::wmma::load_matrix_sync(b, values + k * kMatrix * pitch + j * kMatrix, pitch);
      nvcuda::wmma::mma_sync(sums[j], a, b, sums[j]);
    }
  }
}

/// Writes the output of a warp's queries, by way of `scratch` [kMatrix, kProductPitch]; `shares`
/// [kMatrix]: 1 / total of each.
template <typename T, int kMostTiles>
__device__ void write_rows(const ChunkTask& task, const ChunkBlock& block, int warp_query,
                           const float* shares, float* scratch,
                           const Accumulator (&sums)[kMostTiles]) {
  constexpr int kPieces = kChunkSlots / kVector<float>;  // of a row of the scratch
  const int head_tiles = task.head_dim / kMatrix;
#pragma unroll
  for (int first = 0; first < kMostTiles; first += kSlotTiles) {
    if (first >= head_tiles) break;
#pragma unroll
    for (int j = 0; j < kSlotTiles; ++j) {
      if (first + j >= head_tiles) break;
      nvcuda::wmma::store_matrix_sync(scratch + j * kMatrix, sums[first + j], kProductPitch,
                                      mem_row_major);
    }
    __syncwarp();
    for (int i = static_cast<int>(threadIdx.x) % kWarp; i < kMatrix * kPieces; i += kWarp) {
      const int row = i / kPieces;
      const int offset = i % kPieces * kVector<float>;
      const int column = first * kMatrix + offset;
      if (warp_query + row >= block.queries || column >= task.head_dim) continue;
      write_sums<T>(task, block, warp_query + row, column,
                    load_vector(scratch + row * kProductPitch + offset), shares[row]);
    }
    __syncwarp();
  }
}

/// A block has `tile` queries, a multiple of kMatrix; heads have at most kMostTiles * kMatrix
/// dimensions. Registers are for as many blocks of a multiprocessor as its shared memory has room
/// for.
template <typename T, int kMostTiles>
__global__ void __launch_bounds__(kTensorThreads, kMostTiles <= 8 ? 3 : 2)
    tensor_chunk_attention(ChunkTask task, int tile) {
  const ChunkBlock block = block_of(task, tile);
  if (block.slots == 0) return;
  size_t used = 0;
  const TensorChunkTiles<T> tiles =
      tensor_chunk_tiles<T>(tile, task.head_dim, task.turns, shared_memory(), used);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int row = lane % kMatrix;
  const int half = lane / kMatrix;
  const int warp_query = static_cast<int>(threadIdx.x) / kWarp * kMatrix;
  const int token = token_of(task, block, warp_query + row);
  const float scale = task.scale * kLog2E;
  const bool turned = block.row->cos != nullptr;
  // What is the warp's own. Warps without queries only load.
  const bool multiplies = warp_query < block.queries;
  const T* queries = tiles.queries + warp_query * tiles.pitch;
  float* products = tiles.products + warp_query * kProductPitch;
  float* factors = tiles.factors + warp_query;

  load_queries(task, block, tiles.queries, tiles.pitch, tile);
  load_slots(task, block, /*begin=*/0, tiles.slots[0]);
  ElementPlaces places{};
  if (multiplies) places = element_places(products);
  QueryState state;
  Accumulator sums[kMostTiles];
#pragma unroll
  for (int j = 0; j < kMostTiles; ++j) nvcuda::wmma::fill_fragment(sums[j], 0.0F);

  int turn = 0;
  for (int begin = 0; begin < block.slots; begin += kChunkSlots) {
    const SlotTile& slots = tiles.slots[turn];
    turn = 1 - turn;
    __syncthreads();
    load_keys(task, block, begin, slots, tiles.keys, tiles.pitch);
    load_values(task, block, begin, slots, tiles.values, tiles.pitch);
    load_slots(task, block, begin + kChunkSlots, tiles.slots[turn]);
    __syncthreads();
    if (turned) turn_keys(task, block, slots, tiles.keys, tiles.pitch);
    if (!multiplies) continue;

    write_products(queries, tile * tiles.pitch, tiles.keys, tiles.pitch, task.head_dim, turned,
                   slots, places, products);
    const float factor = weigh<T>(products + row * kProductPitch, half, token, scale, slots, state);
    if (half == 0) factors[row] = factor;
    __syncwarp();
    // Multiplying with 1 changes no bit.
    if (__ballot_sync(kAllLanes, factor != 1.0F) != 0) scale_rows(factors, places, sums);
    multiply_values(reinterpret_cast<const T*>(products), tiles.values, tiles.pitch,
                    task.head_dim / kMatrix, sums);
  }
  if (!multiplies) return;

  state.total += __shfl_xor_sync(kAllLanes, state.total, kMatrix);
  if (half == 0) {
    factors[row] = 1.0F / state.total;
    if (token >= 0) write_state(task, block, warp_query + row, state);
  }
  __syncwarp();
  write_rows<T>(task, block, warp_query, factors, products, sums);
}

template <typename T, int kMostTiles>
void launch_tensor_tiles(const ChunkTask& task, Stream stream) {
  const int queries = task.tokens * task.group;
  const int tile =
      queries < kChunkQueries ? (queries + kMatrix - 1) / kMatrix * kMatrix : kChunkQueries;
  size_t shared = 0;
  tensor_chunk_tiles<T>(tile, task.head_dim, task.turns, nullptr, shared);
  launch("chunk attention on tensor cores", tensor_chunk_attention<T, kMostTiles>,
         chunk_grid(task, tile), dim3(kTensorThreads), shared, stream, task, tile);
}

template <typename T>
void launch_tensor_heads(const ChunkTask& task, Stream stream) {
  if (task.head_dim <= 64) {
    launch_tensor_tiles<T, 4>(task, stream);
  } else if (task.head_dim <= 128) {
    launch_tensor_tiles<T, 8>(task, stream);
  } else {
    launch_tensor_tiles<T, 16>(task, stream);
  }
}

}  // namespace

void launch_tensor_chunk(const ChunkTask& task, Stream stream) {
  if (task.element == Element::kHalf) {
    launch_tensor_heads<__half>(task, stream);
  } else {
    launch_tensor_heads<__nv_bfloat16>(task, stream);
  }
}

}  // namespace elastikv::cuda
