#include <cmath>

#include "kernels/cuda/device.cuh"

namespace elastikv::cuda {
namespace {

// Both kernels: a block has kKeyTile keys of one query head and walks over the queries of its
// split, recomputing A = exp(scale q k - lse) tile by tile. Each thread sums over queries in
// registers; threads are summed up at the end, in their order, and splits in a second kernel. So
// the order of summation depends on the shape alone.

/// The queries that a block walks over: those of its split from the first that sees its keys on.
struct QueryRange {
  int begin;
  int end;
};

__device__ QueryRange query_range(const ColumnSumsTask& task, int key_begin, int split) {
  const int first = key_begin / kQueryTile * kQueryTile;
  return {max(split * task.span, first), min((split + 1) * task.span, task.tokens)};
}

/// Where a block's result for its first key goes.
__device__ size_t result_offset(const ColumnSumsTask& task, int key_begin, int head, int split) {
  const size_t row = static_cast<size_t>(split) * task.query_heads + head;
  return row * task.tokens + key_begin;
}

constexpr int kMatrix = 16;  // a tensor-core tile is kMatrix x kMatrix x kMatrix
constexpr int kTensorWarps = 4;
constexpr int kTensorThreads = kTensorWarps * kWarp;
constexpr int kRowTiles = kQueryTile / kTensorWarps / kMatrix;  // of a warp
constexpr int kColumnTiles = kKeyTile / kMatrix;
/// Elements between rows in shared memory are the head's and these, so that the 8 rows that one
/// load touches lie in different banks.
constexpr int kRowPadding = 8;

template <typename T>
struct TensorTiles {
  T* keys;      // [kKeyTile, pitch]
  T* queries;   // [kQueryTile, pitch]
  float* sums;  // [kTensorWarps, kMatrix, kKeyTile], in place of the tiles
  float* lse;   // [kQueryTile]
  int pitch;
};

/// Lays out the block's shared memory, or with null counts it.
template <typename T>
__host__ __device__ TensorTiles<T> tensor_tiles(int head_dim, unsigned char* memory, size_t& used) {
  TensorTiles<T> tiles;
  tiles.pitch = head_dim + kRowPadding;
  SharedPieces pieces(memory);
  tiles.lse = pieces.take<float>(kQueryTile);
  SharedPieces sums = pieces;
  tiles.keys = pieces.take<T>(static_cast<size_t>(kKeyTile) * tiles.pitch);
  tiles.queries = pieces.take<T>(static_cast<size_t>(kQueryTile) * tiles.pitch);
  tiles.sums = sums.take<float>(static_cast<size_t>(kTensorWarps) * kMatrix * kKeyTile);
  used = pieces.used() > sums.used() ? pieces.used() : sums.used();
  return tiles;
}

/// Rows begin ... of x [tokens, head_dim] into a tile; zeros from row `end` on.
template <typename T>
__device__ void load_tile(T* tile, int pitch, int rows, const T* x, int begin, int end,
                          int head_dim) {
  const int vectors = head_dim / kVector<T>;
  for (int i = threadIdx.x; i < rows * vectors; i += blockDim.x) {
    const int row = i / vectors;
    const int column = i % vectors * kVector<T>;
    Vector<T> value{};
    if (begin + row < end)
      value = load_vector(x + static_cast<size_t>(begin + row) * head_dim + column);
    *reinterpret_cast<Vector<T>*>(tile + row * pitch + column) = value;
  }
}

using Accumulator =
    nvcuda::wmma::fragment<nvcuda::wmma::accumulator, kMatrix, kMatrix, kMatrix, float>;

/// Combines the accumulators of all warps and rows into one value per key and writes those that
/// exist to `result`.
template <bool kMaximum>
__device__ void write_columns(const Accumulator* columns, float* scratch, float* result,
                              int valid) {
  const int warp = threadIdx.x / kWarp;
  __syncthreads();
  float* own = scratch + warp * kMatrix * kKeyTile;
#pragma unroll
  for (int j = 0; j < kColumnTiles; ++j) {
    nvcuda::wmma::store_matrix_sync(own + j * kMatrix, columns[j], kKeyTile,
                                    nvcuda::wmma::mem_row_major);
  }
  __syncthreads();
  const int key = threadIdx.x;
  if (key >= kKeyTile || key >= valid) return;
  float total = 0;
  for (int row = 0; row < kTensorWarps * kMatrix; ++row) {
    const float x = scratch[row * kKeyTile + key];
    total = kMaximum ? fmaxf(total, x) : total + x;
  }
  result[key] = total;
}

/// A warp has kRowTiles x kMatrix queries of every tile of queries, and all keys.
template <typename T, bool kMaxima>
__global__ void __launch_bounds__(kTensorThreads) tensor_core_column_sums(ColumnSumsTask task) {
  using nvcuda::wmma::fragment;
  const int key_begin = static_cast<int>(blockIdx.x) * kKeyTile;
  const int head = static_cast<int>(blockIdx.y);
  const int split = static_cast<int>(blockIdx.z);
  const QueryRange range = query_range(task, key_begin, split);
  if (range.begin >= range.end) return;

  size_t used = 0;
  const TensorTiles<T> tiles = tensor_tiles<T>(task.head_dim, shared_memory(), used);
  const size_t head_size = static_cast<size_t>(task.tokens) * task.head_dim;
  const T* queries = static_cast<const T*>(task.queries) + head * head_size;
  const T* keys = static_cast<const T*>(task.keys) + head / task.group * head_size;
  const float* lse = task.lse + static_cast<size_t>(head) * task.tokens;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;

  // Which element of a tile lies where in an accumulator is the compiler's own affair: a tile that
  // holds its own indices tells.
  Accumulator place;
  for (int i = threadIdx.x; i < kMatrix * kMatrix; i += blockDim.x)
    tiles.sums[i] = static_cast<float>(i);
  __syncthreads();
  nvcuda::wmma::load_matrix_sync(place, tiles.sums, kMatrix, nvcuda::wmma::mem_row_major);
  __syncthreads();

  load_tile(tiles.keys, tiles.pitch, kKeyTile, keys, key_begin, task.tokens, task.head_dim);
  constexpr float kLog2E = 1.44269504088896340736F;
  const float scale = task.scale * kLog2E;
  Accumulator sums[kColumnTiles];
  Accumulator maxima[kColumnTiles];
#pragma unroll
  for (int j = 0; j < kColumnTiles; ++j) {
    nvcuda::wmma::fill_fragment(sums[j], 0.0F);
    if (kMaxima) nvcuda::wmma::fill_fragment(maxima[j], 0.0F);
  }
  for (int begin = range.begin; begin < range.end; begin += kQueryTile) {
    __syncthreads();
    load_tile(tiles.queries, tiles.pitch, kQueryTile, queries, begin, range.end, task.head_dim);
    // A query that does not exist pays no attention: exp(0 - inf) = 0.
    for (int i = threadIdx.x; i < kQueryTile; i += blockDim.x)
      tiles.lse[i] = begin + i < range.end ? lse[begin + i] * kLog2E : INFINITY;
    __syncthreads();

    const int warp_row = warp * kRowTiles * kMatrix;
    Accumulator logits[kRowTiles][kColumnTiles];
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int j = 0; j < kColumnTiles; ++j) nvcuda::wmma::fill_fragment(logits[r][j], 0.0F);
    }
#pragma unroll 2
    for (int d = 0; d < task.head_dim; d += kMatrix) {
      fragment<nvcuda::wmma::matrix_a, kMatrix, kMatrix, kMatrix, T, nvcuda::wmma::row_major>
          a[kRowTiles];
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) {
        nvcuda::wmma::load_matrix_sync(
            a[r], tiles.queries + (warp_row + r * kMatrix) * tiles.pitch + d, tiles.pitch);
      }
#pragma unroll
      for (int j = 0; j < kColumnTiles; ++j) {
        fragment<nvcuda::wmma::matrix_b, kMatrix, kMatrix, kMatrix, T, nvcuda::wmma::col_major> b;
        nvcuda::wmma::load_matrix_sync(b, tiles.keys + j * kMatrix * tiles.pitch + d, tiles.pitch);
#pragma unroll
        for (int r = 0; r < kRowTiles; ++r)
          nvcuda::wmma::mma_sync(logits[r][j], a[r], b, logits[r][j]);
      }
    }
    // Only tiles on the diagonal have keys after their queries.
    const bool masked = begin < key_begin + kKeyTile - 1;
#pragma unroll
    for (int i = 0; i < Accumulator::num_elements; ++i) {
      const int index = static_cast<int>(place.x[i]);
      const int column = index % kMatrix;
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) {
        const int row = warp_row + r * kMatrix + index / kMatrix;
        const float row_lse = tiles.lse[row];
#pragma unroll
        for (int j = 0; j < kColumnTiles; ++j) {
          float attention = exp2f(fmaf(logits[r][j].x[i], scale, -row_lse));
          if (masked && key_begin + j * kMatrix + column > begin + row) attention = 0;
          sums[j].x[i] += attention;
          if (kMaxima) maxima[j].x[i] = fmaxf(maxima[j].x[i], attention);
        }
      }
    }
  }
  const int valid = task.tokens - key_begin;
  const size_t offset = result_offset(task, key_begin, head, split);
  write_columns<false>(sums, tiles.sums,
                       (task.splits == 1 ? task.sums : task.partial_sums) + offset, valid);
  if (kMaxima) {
    write_columns<true>(maxima, tiles.sums,
                        (task.splits == 1 ? task.maxima : task.partial_maxima) + offset, valid);
  }
}

// Plain multiply-adds, for fp32 and for head sizes that the tensor cores do not divide.

constexpr int kThreadEdge = 16;  // threads are kThreadEdge x kThreadEdge
constexpr int kPerThread = 4;    // queries x keys of a thread
constexpr int kPlainQueries = kThreadEdge * kPerThread;
constexpr int kDepth = 16;  // head dimensions in shared memory at a time
constexpr int kPlainPitch = kPlainQueries + 4;
static_assert(kPlainQueries == kKeyTile, "a tile of products is square");

/// Rows begin ... of x, dimensions depth ..., transposed: tile[dimension][row]; zeros where there
/// is nothing.
template <typename T>
__device__ void load_transposed(float (*tile)[kPlainPitch], const T* x, int begin, int end,
                                int depth, int head_dim) {
  for (int i = threadIdx.x; i < kPlainQueries * kDepth; i += blockDim.x) {
    const int row = i / kDepth;
    const int d = i % kDepth;
    const bool exists = begin + row < end && depth + d < head_dim;
    tile[d][row] =
        exists ? to_float(x[static_cast<size_t>(begin + row) * head_dim + depth + d]) : 0.0F;
  }
}

struct PlainTiles {
  float (*queries)[kPlainPitch];  // [kDepth]
  float (*keys)[kPlainPitch];     // [kDepth]
  float* sums;                    // [kThreadEdge, kKeyTile]
};

__host__ __device__ PlainTiles plain_tiles(unsigned char* memory, size_t& used) {
  SharedPieces pieces(memory);
  PlainTiles tiles;
  tiles.queries = reinterpret_cast<float(*)[kPlainPitch]>(
      pieces.take<float>(static_cast<size_t>(kDepth) * kPlainPitch));
  tiles.keys = reinterpret_cast<float(*)[kPlainPitch]>(
      pieces.take<float>(static_cast<size_t>(kDepth) * kPlainPitch));
  tiles.sums = pieces.take<float>(static_cast<size_t>(kThreadEdge) * kKeyTile);
  used = pieces.used();
  return tiles;
}

template <bool kMaximum>
__device__ void write_plain_columns(const float* columns, float* scratch, float* result,
                                    int valid) {
  const int x = static_cast<int>(threadIdx.x) % kThreadEdge;
  const int y = static_cast<int>(threadIdx.x) / kThreadEdge;
  __syncthreads();
#pragma unroll
  for (int j = 0; j < kPerThread; ++j) scratch[y * kKeyTile + x * kPerThread + j] = columns[j];
  __syncthreads();
  const int key = threadIdx.x;
  if (key >= kKeyTile || key >= valid) return;
  float total = 0;
  for (int row = 0; row < kThreadEdge; ++row) {
    const float value = scratch[row * kKeyTile + key];
    total = kMaximum ? fmaxf(total, value) : total + value;
  }
  result[key] = total;
}

template <typename T, bool kMaxima>
__global__ void __launch_bounds__(kThreadEdge* kThreadEdge) plain_column_sums(ColumnSumsTask task) {
  const int key_begin = static_cast<int>(blockIdx.x) * kKeyTile;
  const int head = static_cast<int>(blockIdx.y);
  const int split = static_cast<int>(blockIdx.z);
  const QueryRange range = query_range(task, key_begin, split);
  if (range.begin >= range.end) return;

  size_t used = 0;
  const PlainTiles tiles = plain_tiles(shared_memory(), used);
  const size_t head_size = static_cast<size_t>(task.tokens) * task.head_dim;
  const T* queries = static_cast<const T*>(task.queries) + head * head_size;
  const T* keys = static_cast<const T*>(task.keys) + head / task.group * head_size;
  const float* lse = task.lse + static_cast<size_t>(head) * task.tokens;
  const int x = static_cast<int>(threadIdx.x) % kThreadEdge * kPerThread;
  const int y = static_cast<int>(threadIdx.x) / kThreadEdge * kPerThread;

  float sums[kPerThread] = {};
  float maxima[kPerThread] = {};
  for (int begin = range.begin; begin < range.end; begin += kPlainQueries) {
    float logits[kPerThread][kPerThread] = {};
    for (int depth = 0; depth < task.head_dim; depth += kDepth) {
      __syncthreads();
      load_transposed(tiles.queries, queries, begin, range.end, depth, task.head_dim);
      load_transposed(tiles.keys, keys, key_begin, task.tokens, depth, task.head_dim);
      __syncthreads();
#pragma unroll
      for (int d = 0; d < kDepth; ++d) {
        const Vector<float> a = load_vector(&tiles.queries[d][y]);
        const Vector<float> b = load_vector(&tiles.keys[d][x]);
#pragma unroll
        for (int i = 0; i < kPerThread; ++i) {
#pragma unroll
          for (int j = 0; j < kPerThread; ++j) logits[i][j] = fmaf(a.x[i], b.x[j], logits[i][j]);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      const int query = begin + y + i;
      const float row_lse = query < range.end ? lse[query] : 0.0F;
#pragma unroll
      for (int j = 0; j < kPerThread; ++j) {
        if (query >= range.end || key_begin + x + j > query) continue;
        const float attention = expf(task.scale * logits[i][j] - row_lse);
        sums[j] += attention;
        if (kMaxima) maxima[j] = fmaxf(maxima[j], attention);
      }
    }
  }
  const int valid = task.tokens - key_begin;
  const size_t offset = result_offset(task, key_begin, head, split);
  write_plain_columns<false>(sums, tiles.sums,
                             (task.splits == 1 ? task.sums : task.partial_sums) + offset, valid);
  if (kMaxima) {
    write_plain_columns<true>(
        maxima, tiles.sums, (task.splits == 1 ? task.maxima : task.partial_maxima) + offset, valid);
  }
}

/// Sums the splits that see a key, in their order. One thread per key.
__global__ void combine_splits(ColumnSumsTask task) {
  const int key = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  if (key >= task.tokens) return;
  float sum = 0;
  float maximum = 0;
  for (int split = key / task.span; split < task.splits; ++split) {
    const size_t offset = result_offset(task, key, head, split);
    sum += task.partial_sums[offset];
    if (task.maxima != nullptr) maximum = fmaxf(maximum, task.partial_maxima[offset]);
  }
  const size_t offset = result_offset(task, key, head, /*split=*/0);
  task.sums[offset] = sum;
  if (task.maxima != nullptr) task.maxima[offset] = maximum;
}

dim3 grid_of(const ColumnSumsTask& task) {
  return dim3(static_cast<unsigned>((task.tokens + kKeyTile - 1) / kKeyTile),
              static_cast<unsigned>(task.query_heads), static_cast<unsigned>(task.splits));
}

template <typename T>
void launch_plain(const ColumnSumsTask& task, Stream stream) {
  size_t shared = 0;
  plain_tiles(nullptr, shared);
  launch("column sums",
         task.maxima == nullptr ? plain_column_sums<T, false> : plain_column_sums<T, true>,
         grid_of(task), dim3(kThreadEdge * kThreadEdge), shared, stream, task);
}

template <typename T>
void launch_tensor_cores(const ColumnSumsTask& task, Stream stream) {
  size_t shared = 0;
  tensor_tiles<T>(task.head_dim, nullptr, shared);
  launch(
      "column sums on tensor cores",
      task.maxima == nullptr ? tensor_core_column_sums<T, false> : tensor_core_column_sums<T, true>,
      grid_of(task), dim3(kTensorThreads), shared, stream, task);
}

}  // namespace

void launch_column_sums(const ColumnSumsTask& task, Stream stream) {
  // Two blocks with tiles of this size share the 164 KiB of an A100's multiprocessor.
  constexpr int kLargestTensorHead = 192;
  const bool tensor_cores = task.head_dim % kMatrix == 0 && task.head_dim <= kLargestTensorHead;
  switch (task.element) {
    case Element::kFloat:
      launch_plain<float>(task, stream);
      break;
    case Element::kHalf:
      tensor_cores ? launch_tensor_cores<__half>(task, stream) : launch_plain<__half>(task, stream);
      break;
    case Element::kBFloat16:
      tensor_cores ? launch_tensor_cores<__nv_bfloat16>(task, stream)
                   : launch_plain<__nv_bfloat16>(task, stream);
      break;
  }
  if (task.splits > 1) {
    constexpr int kThreads = 256;
    launch("sums of column sums", combine_splits,
           dim3(static_cast<unsigned>((task.tokens + kThreads - 1) / kThreads),
                static_cast<unsigned>(task.query_heads)),
           dim3(kThreads), /*shared=*/0, stream, task);
  }
}

}  // namespace elastikv::cuda
