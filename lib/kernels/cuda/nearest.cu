#include <cmath>

#include "kernels/cuda/device.cuh"

namespace elastikv::cuda {
namespace {

constexpr int kNearestThreads = 128;
constexpr int kNearestWarps = kNearestThreads / kWarp;

/// 1 / length, or 0 for a key without a direction.
__device__ inline float inverse_length(float squares) {
  const float inverse = 1.0F / sqrtf(squares);
  return inverse > 0 && inverse < INFINITY ? inverse : 0.0F;
}

/// Whether `a` is the better answer: larger, of equals the earlier slot.
__device__ inline bool is_nearer(const NearestAnswer& a, const NearestAnswer& b) {
  if (a.slot < 0 || b.slot < 0) return a.slot >= 0;
  return a.cosine > b.cosine || (a.cosine == b.cosine && a.slot < b.slot);
}

/// One block per query; a warp has every kNearestWarps-th slot.
template <typename T>
__global__ void __launch_bounds__(kNearestThreads)
    find_nearest(const NearestQuery* queries, NearestAnswer* answers, const unsigned char* sent,
                 int head_dim) {
  const NearestQuery query = queries[blockIdx.x];
  const auto* excluded = reinterpret_cast<const int32_t*>(sent + query.excluded);
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / kWarp;
  const int lane = thread % kWarp;
  const int width = query.head_count * head_dim;
  SharedPieces pieces(shared_memory());
  float* source = pieces.take<float>(static_cast<size_t>(width));  // of length 1
  auto* best_of = pieces.take<NearestAnswer>(kNearestWarps);
  // Every warp takes the sum of squares itself.
  float squares = 0;
  for (int i = lane; i < width; i += kWarp) {
    const HeadSlots head = query.heads[i / head_dim];
    const T* key = slot_entry<T>(head.places, query.source, head.keys, head.prompt_keys, head_dim);
    const float x = to_float(key[i % head_dim]);
    squares += x * x;
    if (warp == 0) source[i] = x;
  }
  const float source_factor = inverse_length(warp_sum(squares));
  __syncthreads();

  NearestAnswer best{-1, 0};
  const int slots = *query.heads[0].length;
  for (int slot = warp; slot < slots; slot += kNearestWarps) {
    bool counts = true;
    for (int e = 0; e < query.excluded_count; ++e) counts = counts && excluded[e] != slot;
    if (!counts) continue;
    float product = 0;
    float target_squares = 0;
    for (int i = lane; i < width; i += kWarp) {
      const HeadSlots head = query.heads[i / head_dim];
      const T* key = slot_entry<T>(head.places, slot, head.keys, head.prompt_keys, head_dim);
      const float x = to_float(key[i % head_dim]);
      product = fmaf(x, source[i], product);
      target_squares = fmaf(x, x, target_squares);
    }
    product = warp_sum(product);
    const float factor = inverse_length(warp_sum(target_squares));
    const float cosine =
        source_factor == 0 || factor == 0 ? 0.0F : product * source_factor * factor;
    const NearestAnswer here{slot, fminf(fmaxf(cosine, -1.0F), 1.0F)};
    if (is_nearer(here, best)) best = here;
  }
  if (lane == 0) best_of[warp] = best;
  __syncthreads();
  if (thread != 0) return;
  for (int w = 1; w < kNearestWarps; ++w) {
    if (is_nearer(best_of[w], best)) best = best_of[w];
  }
  answers[blockIdx.x] = best;
}

template <typename T>
void launch_nearest(const NearestTask& task, Stream stream) {
  SharedPieces pieces(nullptr);
  pieces.take<float>(static_cast<size_t>(task.most_heads) * task.head_dim);
  pieces.take<NearestAnswer>(kNearestWarps);
  launch("the nearest keys", find_nearest<T>, dim3(static_cast<unsigned>(task.count)),
         dim3(kNearestThreads), pieces.used(), stream, task.queries, task.answers, task.sent,
         task.head_dim);
}

}  // namespace

void launch_find_nearest(const NearestTask& task, Stream stream) {
  for_element(task.element, [&](auto element) { launch_nearest<decltype(element)>(task, stream); });
}

}  // namespace elastikv::cuda
