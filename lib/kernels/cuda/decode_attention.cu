#include <cmath>

#include "kernels/cuda/device.cuh"

namespace elastikv::cuda {
namespace {

// Two kernels. The first reads kDecodeSplit slots of one KV head per block, for the query heads
// that share it, and leaves an output that is not yet divided, with its largest logit and its sum
// of exponentials. The second puts the splits of a query head together. How slots are split does
// not depend on the batch, so a row's result does not either.

constexpr int kWarps = kDecodeThreads / kWarp;
/// Lanes that share a key; with 16 bytes each they read 128 bytes in a row.
constexpr int kLanes = 8;
/// Keys that a lane has in flight.
constexpr int kUnroll = 4;
constexpr int kKeysPerWarp = kWarp / kLanes * kUnroll;

struct SplitPieces {
  float* queries;  // [heads, head_dim], scaled
  float* weights;  // [heads, kDecodeSplit]: logits, then exp(logit - largest)
  float* sums;     // [value rows at a time, heads, head_dim]
};

template <typename T>
__host__ __device__ SplitPieces split_pieces(int heads, int head_dim, unsigned char* memory,
                                             size_t& used) {
  SharedPieces shared(memory);
  SplitPieces pieces;
  pieces.queries = shared.take<float>(static_cast<size_t>(heads) * head_dim);
  pieces.weights = shared.take<float>(static_cast<size_t>(heads) * kDecodeSplit);
  const int rows = kDecodeThreads / (head_dim / kVector<T>);
  pieces.sums = shared.take<float>(static_cast<size_t>(rows) * heads * head_dim);
  used = shared.used();
  return pieces;
}

/// Part of a key as floats, turned back by the angles of its distance where `cos` is not null.
/// `column` is the part's first dimension.
template <typename T>
__device__ void read_key(const T* key, int column, int head_dim, const float* cos, const float* sin,
                         float (&to)[kVector<T>]) {
  const Vector<T> own = load_vector(key + column);
#pragma unroll
  for (int e = 0; e < kVector<T>; ++e) to[e] = to_float(own.x[e]);
  if (cos == nullptr) return;
  // The table has the sine's sign for turning on; turning back changes it.
  const int half = head_dim / 2;
  const Vector<T> paired = load_vector(key + (column < half ? column + half : column - half));
#pragma unroll
  for (int e = 0; e < kVector<T>; ++e)
    to[e] = to[e] * cos[column + e] - to_float(paired.x[e]) * sin[column + e];
}

/// Blocks: x over rows x KV heads x chunks of kHeads query heads, y over splits.
template <typename T, int kHeads>
__global__ void __launch_bounds__(kDecodeThreads) attend_split(DecodeTask task, int chunks) {
  const int head_index = static_cast<int>(blockIdx.x) / chunks;  // row * kv_heads + KV head
  const int first = static_cast<int>(blockIdx.x) % chunks * kHeads;
  const int heads = min(kHeads, task.group - first);
  const int row_index = head_index / task.kv_heads;
  const RowSlots row = task.rows[row_index];
  const HeadSlots head = row.heads[task.first_head + head_index % task.kv_heads];
  const int length = *head.length;
  const int begin = static_cast<int>(blockIdx.y) * kDecodeSplit;
  if (begin >= length) return;
  const int slots = min(kDecodeSplit, length - begin);
  const int head_dim = task.head_dim;
  const int query_heads = task.kv_heads * task.group;
  const int query_head = head_index % task.kv_heads * task.group + first;

  size_t used = 0;
  const SplitPieces shared = split_pieces<T>(kHeads, head_dim, shared_memory(), used);
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / kWarp;
  const int lane = thread % kWarp;
  float* weights_of = task.weights == nullptr ? nullptr : task.weights[row_index].weights;
  const int64_t width = task.weights == nullptr ? 0 : task.weights[row_index].width;

  const T* queries = static_cast<const T*>(task.queries) + row_index * task.query_stride +
                     static_cast<int64_t>(query_head) * head_dim;
  for (int i = thread; i < heads * head_dim; i += kDecodeThreads)
    shared.queries[i] = to_float(queries[i]) * task.scale;
  __syncthreads();

  const int32_t* distances = head.distances == nullptr ? nullptr : head.distances + begin;
  const float* bias = head.bias == nullptr ? nullptr : head.bias + begin;
  for (int base = warp * kKeysPerWarp; base < slots; base += kWarps * kKeysPerWarp) {
    const T* key[kUnroll];
    const float* cos[kUnroll];
    const float* sin[kUnroll];
    float logits[kUnroll][kHeads];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      // Past the end the last key is read again; nobody looks at the result.
      const int slot = min(base + u * (kWarp / kLanes) + lane / kLanes, slots - 1);
      key[u] = slot_entry<T>(head.places, begin + slot, head.keys, head.prompt_keys, head_dim);
      const size_t angle =
          distances == nullptr ? 0 : static_cast<size_t>(distances[slot]) * head_dim;
      cos[u] = distances == nullptr ? nullptr : row.cos + angle;
      sin[u] = distances == nullptr ? nullptr : row.sin + angle;
#pragma unroll
      for (int g = 0; g < kHeads; ++g) logits[u][g] = 0;
    }
    for (int column = lane % kLanes * kVector<T>; column < head_dim;
         column += kLanes * kVector<T>) {
      float part[kUnroll][kVector<T>];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) read_key(key[u], column, head_dim, cos[u], sin[u], part[u]);
#pragma unroll
      for (int g = 0; g < kHeads; ++g) {
        if (g >= heads) break;
        const float* query = shared.queries + g * head_dim + column;
#pragma unroll
        for (int e = 0; e < kVector<T>; ++e) {
          const float q = query[e];
#pragma unroll
          for (int u = 0; u < kUnroll; ++u) logits[u][g] = fmaf(q, part[u][e], logits[u][g]);
        }
      }
    }
#pragma unroll
    for (int g = 0; g < kHeads; ++g) {
      if (g >= heads) break;
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        float logit = logits[u][g];
#pragma unroll
        for (int other = kLanes / 2; other > 0; other /= 2)
          logit += __shfl_xor_sync(kAllLanes, logit, other);
        const int slot = base + u * (kWarp / kLanes) + lane / kLanes;
        if (lane % kLanes == 0 && slot < slots) {
          shared.weights[g * kDecodeSplit + slot] = bias == nullptr ? logit : logit + bias[slot];
        }
      }
    }
  }
  __syncthreads();

  for (int g = warp; g < heads; g += kWarps) {
    float* weights = shared.weights + g * kDecodeSplit;
    float largest = -INFINITY;
    for (int i = lane; i < slots; i += kWarp) largest = fmaxf(largest, weights[i]);
    largest = warp_max(largest);
    float total = 0;
    float* returned =
        weights_of == nullptr ? nullptr : weights_of + (query_head + g) * width + begin;
    for (int i = lane; i < slots; i += kWarp) {
      // Slots that a bias of -inf hides count nothing, also where a split has no others.
      const float weight = largest == -INFINITY ? 0.0F : expf(weights[i] - largest);
      weights[i] = weight;
      total += weight;
      if (returned != nullptr) returned[i] = weight;
    }
    total = warp_sum(total);
    if (lane == 0) {
      const size_t at =
          (static_cast<size_t>(row_index) * query_heads + query_head + g) * task.splits +
          blockIdx.y;
      task.partial_max[at] = largest;
      task.partial_total[at] = total;
    }
  }
  __syncthreads();

  // Values: each thread has one 16-byte column of every rows-th slot.
  const int vectors = head_dim / kVector<T>;
  const int rows = kDecodeThreads / vectors;
  const int column = thread % vectors * kVector<T>;
  const int first_slot = thread / vectors;
  if (first_slot < rows) {
    float sums[kHeads][kVector<T>] = {};
#pragma unroll 4
    for (int slot = first_slot; slot < slots; slot += rows) {
      const Vector<T> value = load_vector(
          slot_entry<T>(head.places, begin + slot, head.values, head.prompt_values, head_dim) +
          column);
#pragma unroll
      for (int g = 0; g < kHeads; ++g) {
        if (g >= heads) break;
        const float weight = shared.weights[g * kDecodeSplit + slot];
#pragma unroll
        for (int e = 0; e < kVector<T>; ++e)
          sums[g][e] = fmaf(weight, to_float(value.x[e]), sums[g][e]);
      }
    }
#pragma unroll
    for (int g = 0; g < kHeads; ++g) {
      if (g >= heads) break;
#pragma unroll
      for (int e = 0; e < kVector<T>; ++e)
        shared.sums[(first_slot * kHeads + g) * head_dim + column + e] = sums[g][e];
    }
  }
  __syncthreads();
  for (int i = thread; i < heads * head_dim; i += kDecodeThreads) {
    float sum = 0;
    for (int r = 0; r < rows; ++r) sum += shared.sums[r * kHeads * head_dim + i];
    const int g = i / head_dim;
    const size_t at =
        (static_cast<size_t>(row_index) * query_heads + query_head + g) * task.splits + blockIdx.y;
    task.partial_output[at * head_dim + i % head_dim] = sum;
  }
}

/// One block per query head of a row.
template <typename T>
__global__ void __launch_bounds__(kDecodeThreads) combine_splits(DecodeTask task) {
  const int query_heads = task.kv_heads * task.group;
  const int row_index = static_cast<int>(blockIdx.x) / query_heads;
  const int query_head = static_cast<int>(blockIdx.x) % query_heads;
  const int length = *task.rows[row_index].heads[task.first_head + query_head / task.group].length;
  const int splits = (length + kDecodeSplit - 1) / kDecodeSplit;
  const size_t first = static_cast<size_t>(blockIdx.x) * task.splits;

  auto* factors = reinterpret_cast<float*>(shared_memory());  // [splits]
  float largest = -INFINITY;
  for (int s = 0; s < splits; ++s) largest = fmaxf(largest, task.partial_max[first + s]);
  float total = 0;
  for (int s = 0; s < splits; ++s)
    total += task.partial_total[first + s] * expf(task.partial_max[first + s] - largest);
  for (int s = threadIdx.x; s < splits; s += kDecodeThreads)
    factors[s] = expf(task.partial_max[first + s] - largest) / total;
  __syncthreads();

  T* output = static_cast<T*>(task.output) + static_cast<size_t>(blockIdx.x) * task.head_dim;
  for (int d = threadIdx.x; d < task.head_dim; d += kDecodeThreads) {
    float sum = 0;
    for (int s = 0; s < splits; ++s)
      sum = fmaf(task.partial_output[(first + s) * task.head_dim + d], factors[s], sum);
    store(output + d, sum);
  }
  if (task.weights == nullptr || task.weights[row_index].weights == nullptr) return;
  const RowWeights row = task.weights[row_index];
  float* weights = row.weights + query_head * row.width;
  for (int i = static_cast<int>(threadIdx.x); i < row.width; i += kDecodeThreads)
    weights[i] = i < length ? weights[i] * factors[i / kDecodeSplit] : 0.0F;
}

template <typename T, int kHeads>
void launch_split(const DecodeTask& task, Stream stream) {
  const int chunks = (task.group + kHeads - 1) / kHeads;
  size_t shared = 0;
  split_pieces<T>(kHeads, task.head_dim, nullptr, shared);
  launch("decode attention", attend_split<T, kHeads>,
         dim3(static_cast<unsigned>(task.row_count * task.kv_heads * chunks),
              static_cast<unsigned>(task.splits)),
         dim3(kDecodeThreads), shared, stream, task, chunks);
}

template <typename T>
void launch_both(const DecodeTask& task, Stream stream) {
  if (task.group == 1) {
    launch_split<T, 1>(task, stream);
  } else if (task.group <= 4) {
    launch_split<T, 4>(task, stream);
  } else {
    launch_split<T, 8>(task, stream);
  }
  launch("decode attention's splits", combine_splits<T>,
         dim3(static_cast<unsigned>(task.row_count * task.kv_heads * task.group)),
         dim3(kDecodeThreads), static_cast<size_t>(task.splits) * sizeof(float), stream, task);
}

}  // namespace

void launch_decode_attention(const DecodeTask& task, Stream stream) {
  for_element(task.element, [&](auto element) { launch_both<decltype(element)>(task, stream); });
}

}  // namespace elastikv::cuda
