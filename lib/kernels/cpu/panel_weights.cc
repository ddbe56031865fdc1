#include "kernels/cpu/panel_weights.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "base/error.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/matrix_unit.h"
#include "kernels/cpu/share_work.h"
#include "kernels/cpu/weight_memory.h"

namespace elastikv::cpu {
namespace {

/// Inputs of a panel that are turned at a time: 32 rows of as many stay in the nearest cache.
constexpr int64_t kBlock = 64;
constexpr int64_t kFillBlock = 256;

/// Where the weight of input i for output j of a panel lies.
int64_t place(int64_t i, int64_t j, float /*stored*/) { return i * kPanel + j; }
int64_t place(int64_t i, int64_t j, uint16_t /*stored*/) {
  return i / 2 * 2 * kPanel + 2 * j + i % 2;
}

bool is_bf16(float x) { return (std::bit_cast<uint32_t>(x) & 0xFFFFU) == 0; }

/// Whether every element is a bf16 number.
bool all_bf16(const at::Tensor& x) {
  const float* data = x.const_data_ptr<float>();
  std::atomic<bool> all = true;
  at::parallel_for(0, x.numel(), /*grain_size=*/1 << 16, [&](int64_t begin, int64_t end) {
    constexpr int64_t kStride = 1 << 12;
    for (int64_t at = begin; at < end && all.load(std::memory_order_relaxed); at += kStride) {
      const int64_t last = std::min(at + kStride, end);
      if (!std::all_of(data + at, data + last, is_bf16)) all = false;
    }
  });
  return all;
}

void convert(float from, float& to) { to = from; }
void convert(uint16_t from, uint16_t& to) { to = from; }
void convert(uint16_t from, float& to) { to = widen(from); }
void convert(float from, uint16_t& to) { narrow(from, to); }

/// The rows of a matrix as the panels have them: [panels * kPanel], null behind the last.
std::vector<const void*> rows_of(const std::vector<at::Tensor>& parts, int64_t panels) {
  std::vector<const void*> rows;
  for (const at::Tensor& part : parts) {
    const auto* data = static_cast<const char*>(part.const_data_ptr());
    const int64_t row_bytes = part.size(1) * static_cast<int64_t>(part.element_size());
    for (int64_t row = 0; row < part.size(0); ++row) rows.push_back(data + row * row_bytes);
  }
  rows.resize(static_cast<size_t>(panels * kPanel));
  return rows;
}

/// Lines of a panel's block, one per output, before they are turned. They do not lie a power of two
/// apart, which a cache would put into the same few places.
constexpr int64_t kStride = kFillBlock + 16;

/// `count` numbers of a row of `in` inputs, from the number `first` on; a row that is missing gives
/// zeros.
template <typename From>
void lay_line(const From* row, int64_t in, int64_t first, int64_t count, float* line) {
  std::fill_n(line, count, 0.0F);
  if (row == nullptr) return;
  for (int64_t i = 0; i < std::min(count, in - first); ++i) convert(row[first + i], line[i]);
}
/// Likewise of pairs of bf16; inputs beyond the last are zeros.
template <typename From>
void lay_line(const From* row, int64_t in, int64_t first, int64_t count, uint32_t* line) {
  std::fill_n(line, count, 0U);
  if (row == nullptr) return;
  const int64_t whole = std::min(count, in / 2 - first);
  const auto pair = [](From even, From odd) {
    uint16_t low = 0;
    uint16_t high = 0;
    convert(even, low);
    convert(odd, high);
    return low | static_cast<uint32_t>(high) << 16;
  };
  for (int64_t i = 0; i < whole; ++i)
    line[i] = pair(row[2 * (first + i)], row[2 * (first + i) + 1]);
  // Where the number of inputs is odd, the last one has no neighbour.
  const int64_t last = in / 2 - first;
  if (in % 2 == 1 && last >= 0 && last < count) line[last] = pair(row[in - 1], From{});
}

/// A panel of `numbers` numbers for each output: inputs in fp32, pairs of them in bf16.
template <typename From, typename Number>
void fill_panel(const void* const* rows, Number* panel, int64_t in, int64_t numbers) {
  Number lines[kPanel * kStride];
  for (int64_t k = 0; k < numbers; k += kFillBlock) {
    const int64_t count = std::min(kFillBlock, numbers - k);
    for (int64_t j = 0; j < kPanel; ++j)
      lay_line(static_cast<const From*>(rows[j]), in, k, count, lines + j * kStride);
    for (int64_t i = 0; i < count; ++i) {
      Number* to = panel + (k + i) * kPanel;
      for (int64_t j = 0; j < kPanel; ++j) to[j] = lines[j * kStride + i];
    }
  }
}

template <typename From, typename Number>
void fill(const std::vector<const void*>& rows, void* data, int64_t in, int64_t numbers,
          int64_t panels) {
  share_work(panels, /*grain=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel)
      fill_panel<From>(rows.data() + panel * kPanel,
                       static_cast<Number*>(data) + panel * kPanel * numbers, in, numbers);
  });
}

template <typename From, typename To>
void unfold(const void* data, To* rows, int64_t in, int64_t depth, int64_t begin, int64_t end) {
  at::parallel_for(begin / kPanel, (end + kPanel - 1) / kPanel, /*grain_size=*/1,
                   [&](int64_t first, int64_t last) {
                     for (int64_t panel = first; panel < last; ++panel) {
                       const From* from = static_cast<const From*>(data) + panel * kPanel * depth;
                       const int64_t here = std::min(kPanel, end - panel * kPanel);
                       To* to = rows + (panel * kPanel - begin) * in;
                       for (int64_t k = 0; k < in; k += kBlock) {
                         const int64_t block_end = std::min(k + kBlock, in);
                         for (int64_t j = 0; j < here; ++j) {
                           for (int64_t i = k; i < block_end; ++i)
                             convert(from[place(i, j, From{})], to[j * in + i]);
                         }
                       }
                     }
                   });
}

}  // namespace

PanelWeights::PanelWeights(const std::vector<at::Tensor>& parts) {
  ELASTIKV_ASSERT(!parts.empty(), "a matrix without parts");
  const c10::ScalarType given = parts[0].scalar_type();
  ELASTIKV_ASSERT(given == at::kFloat || given == at::kBFloat16, "dtype {}", c10::toString(given));
  in_ = parts[0].size(1);
  for (const at::Tensor& part : parts) {
    ELASTIKV_ASSERT(part.is_cpu() && part.dim() == 2 && part.size(1) == in_ &&
                        part.is_contiguous() && part.scalar_type() == given,
                    "contiguous matrices [out, {}] of one dtype on the CPU are needed", in_);
    out_ += part.size(0);
  }
  const bool narrow = given == at::kBFloat16 || std::all_of(parts.begin(), parts.end(), all_bf16);
  stored_ = narrow ? at::kBFloat16 : at::kFloat;
  const std::vector<const void*> rows = rows_of(parts, panels());
  memory_ =
      weight_memory(static_cast<size_t>(panels() * kPanel * depth()) * c10::elementSize(stored_));
  if (given == at::kBFloat16) {
    fill<uint16_t, uint32_t>(rows, memory_.get(), in_, depth() / 2, panels());
  } else if (narrow) {
    fill<float, uint32_t>(rows, memory_.get(), in_, depth() / 2, panels());
  } else {
    fill<float, float>(rows, memory_.get(), in_, depth(), panels());
  }
}

int64_t PanelWeights::depth() const {
  if (stored_ == at::kFloat) return in_;
  return (in_ + kUnitInputs - 1) / kUnitInputs * kUnitInputs;
}

at::Tensor PanelWeights::rows(int64_t begin, int64_t end, c10::ScalarType dtype) const {
  ELASTIKV_ASSERT(begin % kPanel == 0 && begin < end && end <= out_, "rows {} to {} of {}", begin,
                  end, out_);
  at::Tensor rows = at::empty({end - begin, in_}, dtype);
  void* to = rows.mutable_data_ptr();
  if (dtype == at::kFloat && stored_ == at::kFloat) {
    unfold<float>(data(), static_cast<float*>(to), in_, depth(), begin, end);
  } else if (dtype == at::kFloat) {
    unfold<uint16_t>(data(), static_cast<float*>(to), in_, depth(), begin, end);
  } else {
    ELASTIKV_ASSERT(dtype == at::kBFloat16 && stored_ == at::kBFloat16, "{} rows of {} weights",
                    c10::toString(dtype), c10::toString(stored_));
    unfold<uint16_t>(data(), static_cast<uint16_t*>(to), in_, depth(), begin, end);
  }
  return rows;
}

}  // namespace elastikv::cpu
