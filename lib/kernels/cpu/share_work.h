#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <ATen/Parallel.h>

namespace elastikv::cpu {

/// Calls f(begin, end) for pieces that together are [0, count), each index once, on as many threads
/// as have `grain` indices each. Unlike with at::parallel_for, a thread that is done with its share
/// takes pieces of the others': where another program holds up one of the processors, the rest do
/// not wait for it. Shares are those of at::parallel_for, so that a thread that wrote a part of
/// memory first mostly reads it, too. f must not care which thread runs it, nor in which order.
template <typename F>
void share_work(int64_t count, int64_t grain, const F& f) {
  if (count <= 0) return;
  const int64_t threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  const int64_t shares = std::clamp<int64_t>((count + grain - 1) / grain, 1, threads);
  if (shares == 1) {
    f(int64_t{0}, count);
    return;
  }
  // What one thread still does when the others have run out is one piece.
  constexpr int64_t kPieces = 16;
  const int64_t size = (count + shares - 1) / shares;
  const int64_t piece = (size + kPieces - 1) / kPieces;
  struct alignas(64) Share {
    std::atomic<int64_t> next;
    int64_t end = 0;
  };
  std::vector<Share> all(static_cast<size_t>(shares));
  for (int64_t i = 0; i < shares; ++i) {
    all[static_cast<size_t>(i)].next = std::min(i * size, count);
    all[static_cast<size_t>(i)].end = std::min((i + 1) * size, count);
  }
  at::parallel_for(0, shares, /*grain_size=*/1, [&](int64_t first, int64_t last) {
    for (int64_t own = first; own < last; ++own) {
      for (int64_t i = 0; i < shares; ++i) {
        Share& share = all[static_cast<size_t>((own + i) % shares)];
        for (;;) {
          const int64_t begin = share.next.fetch_add(piece, std::memory_order_relaxed);
          if (begin >= share.end) break;
          f(begin, std::min(begin + piece, share.end));
        }
      }
    }
  });
}

}  // namespace elastikv::cpu
