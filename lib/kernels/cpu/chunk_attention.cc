#include "kernels/chunk_attention.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include <ATen/ops/empty_like.h>

#include "base/error.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/share_work.h"
#include "kernels/cpu/targets.h"

namespace elastikv::cpu {
namespace {

/// Keys of a panel, and values' columns.
constexpr int64_t kPanel = kPanelColumns;

int64_t panels_of(int64_t size) { return (size + kPanel - 1) / kPanel; }

/// One (row, KV head).
struct HeadTask {
  const SlotAddresses* entries;
  const void* queries;  // token t of query g at t * token_stride + g * head_dim
  void* output;         // likewise, output_stride
  const float* bias;    // [length], or null
  const ChunkSlots* slots;
  const float* cos;  // [positions, head_dim] of the rotary table; only for un-rotated keys
  const float* sin;  // first half negated
  float scale;
  int64_t token_stride;
  int64_t output_stride;
  int64_t length;
  int64_t tokens;
  int64_t group;
  int64_t head_dim;
};

/// Buffers of one thread.
struct Buffers {
  std::vector<float> keys;     // [panels of length][head_dim][kPanel]
  std::vector<float> values;   // [length][panels of head_dim * kPanel]
  std::vector<float> queries;  // [2][group * tokens + kMostPanelRows][head_dim]
  std::vector<float> logits;   // [kMostPanelRows][panels of length * kPanel]
};

template <typename T>
ELASTIKV_INLINE void rotate(const T* x, int64_t head_dim, const float* cos, const float* sin,
                            float factor, float* to, int64_t stride) {
  const int64_t half = head_dim / 2;
  for (int64_t d = 0; d < half; ++d) {
    const float a = widen(x[d]) * factor;
    const float b = widen(x[d + half]) * factor;
    to[d * stride] = a * cos[d] + b * sin[d];
    to[(d + half) * stride] = b * cos[d + half] + a * sin[d + half];
  }
}

/// Softmax over the slots that token `t` sees, in place.
ELASTIKV_INLINE void soften(float* logits, const HeadTask& task, int32_t t) {
  const int32_t* first = task.slots->first.data();
  const int32_t* until = task.slots->until.data();
  constexpr float kUnseen = -std::numeric_limits<float>::infinity();
  if (task.bias != nullptr) {
    for (int64_t i = 0; i < task.length; ++i) logits[i] += task.bias[i];
  }
  float highest = kUnseen;
  for (int64_t i = 0; i < task.length; ++i) {
    const bool seen = (first[i] <= t) & (t < until[i]);
    highest = std::max(highest, seen ? logits[i] : kUnseen);
  }
  float total = 0;
  for (int64_t i = 0; i < task.length; ++i) {
    const bool seen = (first[i] <= t) & (t < until[i]);
    const float weight = seen ? exp(std::min(logits[i] - highest, 0.0F)) : 0.0F;
    logits[i] = weight;
    total += weight;
  }
  const float share = 1.0F / total;
  for (int64_t i = 0; i < task.length; ++i) logits[i] *= share;
}

template <int kWidth, typename T>
ELASTIKV_INLINE void attend(const HeadTask& task, Buffers& buffers) {
  constexpr int64_t kBlock = kPanelRows<kWidth>;  // queries that go through a panel together
  const int64_t d = task.head_dim;
  const int64_t panels = panels_of(task.length);
  const int64_t width = panels_of(d) * kPanel;
  const int64_t queries = task.group * task.tokens;
  const bool turns = task.cos != nullptr;
  buffers.keys.assign(static_cast<size_t>(panels * d * kPanel), 0.0F);
  buffers.values.assign(static_cast<size_t>(task.length * width), 0.0F);
  const int64_t set = (queries + kBlock) * d;
  buffers.queries.assign(static_cast<size_t>(2 * set), 0.0F);
  buffers.logits.resize(static_cast<size_t>(kBlock * panels * kPanel));

  for (int64_t i = 0; i < task.length; ++i) {
    const T* key = reinterpret_cast<const T*>(task.entries->key(i));
    float* to = buffers.keys.data() + (i / kPanel) * d * kPanel + i % kPanel;
    if (turns) {
      const int64_t at = task.slots->key_positions[static_cast<size_t>(i)] * d;
      rotate(key, d, task.cos + at, task.sin + at, 1.0F, to, kPanel);
    } else {
      for (int64_t k = 0; k < d; ++k) to[k * kPanel] = widen(key[k]);
    }
    const T* value = reinterpret_cast<const T*>(task.entries->value(i));
    float* row = buffers.values.data() + i * width;
    for (int64_t k = 0; k < d; ++k) row[k] = widen(value[k]);
  }
  for (int64_t q = 0; q < queries; ++q) {
    const int64_t t = q / task.group;
    const T* query =
        static_cast<const T*>(task.queries) + t * task.token_stride + (q % task.group) * d;
    float* to = buffers.queries.data() + q * d;
    if (turns) {
      const int64_t at = task.slots->query_positions[static_cast<size_t>(t)] * d;
      const int64_t ranked = task.slots->rank_positions[static_cast<size_t>(t)] * d;
      rotate(query, d, task.cos + at, task.sin + at, task.scale, to, 1);
      rotate(query, d, task.cos + ranked, task.sin + ranked, task.scale, to + set, 1);
    } else {
      for (int64_t k = 0; k < d; ++k) to[k] = widen(query[k]) * task.scale;
    }
  }

  for (int64_t begin = 0; begin < queries; begin += kBlock) {
    const int64_t rows = std::min<int64_t>(kBlock, queries - begin);
    for (int64_t p = 0; p < panels; ++p) {
      const float* keys = buffers.keys.data() + p * d * kPanel;
      const float* a = buffers.queries.data() + begin * d;
      float* logits = buffers.logits.data() + p * kPanel;
      panel_product<kWidth>(a, d, keys, kPanel, d, logits, panels * kPanel);
      if (!turns) continue;
      const uint8_t* keeps = task.slots->keeps_rank.data() + p * kPanel;
      const int64_t filled = std::min(kPanel, task.length - p * kPanel);
      if (std::none_of(keeps, keeps + filled, [](uint8_t x) { return x != 0; })) continue;
      float ranked[kBlock * kPanel];
      panel_product<kWidth>(a + set, d, keys, kPanel, d, ranked, kPanel);
      for (int64_t r = 0; r < kBlock; ++r) {
        for (int64_t i = 0; i < filled; ++i) {
          if (keeps[i] != 0) logits[r * panels * kPanel + i] = ranked[r * kPanel + i];
        }
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      soften(buffers.logits.data() + r * panels * kPanel, task,
             static_cast<int32_t>((begin + r) / task.group));
    }
    for (int64_t column = 0; column < width; column += kPanel) {
      float block[kBlock * kPanel];
      panel_product<kWidth>(buffers.logits.data(), panels * kPanel, buffers.values.data() + column,
                            width, task.length, block, kPanel);
      for (int64_t r = 0; r < rows; ++r) {
        const float* out = block + r * kPanel;
        const int64_t q = begin + r;
        T* to = static_cast<T*>(task.output) + (q / task.group) * task.output_stride +
                (q % task.group) * d;
        for (int64_t k = column; k < std::min(column + kPanel, d); ++k)
          narrow(out[k - column], to[k]);
      }
    }
  }
}

using Attend = void (*)(const HeadTask& task, Buffers& buffers);

void fp32_by_4(const HeadTask& task, Buffers& buffers) { attend<4, float>(task, buffers); }
void bf16_by_4(const HeadTask& task, Buffers& buffers) { attend<4, uint16_t>(task, buffers); }
ELASTIKV_AVX2 void fp32_by_8(const HeadTask& task, Buffers& buffers) {
  attend<8, float>(task, buffers);
}
ELASTIKV_AVX2 void bf16_by_8(const HeadTask& task, Buffers& buffers) {
  attend<8, uint16_t>(task, buffers);
}
ELASTIKV_AVX512 void fp32_by_16(const HeadTask& task, Buffers& buffers) {
  attend<16, float>(task, buffers);
}
ELASTIKV_AVX512 void bf16_by_16(const HeadTask& task, Buffers& buffers) {
  attend<16, uint16_t>(task, buffers);
}

}  // namespace

at::Tensor chunk_attention(const at::Tensor& queries, const std::vector<ChunkRow>& rows,
                           double scale) {
  const int64_t tokens = queries.size(1);
  const int64_t query_heads = queries.size(2);
  const int64_t head_dim = queries.size(3);
  const at::ScalarType dtype = queries.scalar_type();
  ELASTIKV_ASSERT(dtype == at::kFloat || dtype == at::kBFloat16, "dtype {}", c10::toString(dtype));
  ELASTIKV_ASSERT(queries.size(0) == static_cast<int64_t>(rows.size()) && !rows.empty(),
                  "{} query rows for {} cache rows", queries.size(0), rows.size());
  const at::Tensor q =
      queries.stride(3) == 1 && queries.stride(2) == head_dim ? queries : queries.contiguous();
  at::Tensor output = at::empty_like(queries, queries.options(), at::MemoryFormat::Contiguous);
  const bool wide = dtype == at::kFloat;
  const int64_t element = wide ? 4 : 2;
  const Attend attend = wide ? for_this_processor(fp32_by_4, fp32_by_8, fp32_by_16)
                             : for_this_processor(bf16_by_4, bf16_by_8, bf16_by_16);
  const auto kv_heads = static_cast<int64_t>(rows[0].lengths->size());
  const int64_t group = query_heads / kv_heads;
  share_work(queries.size(0) * kv_heads, /*grain=*/1, [&](int64_t begin, int64_t end) {
    Buffers buffers;
    for (int64_t index = begin; index < end; ++index) {
      const int64_t r = index / kv_heads;
      const int64_t h = index % kv_heads;
      const auto head = static_cast<size_t>(h);
      const ChunkRow& row = rows[static_cast<size_t>(r)];
      const SlotAddresses entries(row, h);
      HeadTask task{};
      task.entries = &entries;
      task.queries = static_cast<const char*>(q.const_data_ptr()) +
                     (r * q.stride(0) + h * group * head_dim) * element;
      task.output = static_cast<char*>(output.data_ptr()) +
                    (r * tokens * query_heads + h * group) * head_dim * element;
      if (row.logit_bias != nullptr)
        task.bias = (*row.logit_bias)[row.logit_bias->size() == 1 ? 0 : head].data();
      task.slots = &(*row.slots)[row.slots->size() == 1 ? 0 : head];
      task.length = (*row.lengths)[head];
      ELASTIKV_ASSERT(static_cast<int64_t>(task.slots->first.size()) == task.length &&
                          task.slots->until.size() == task.slots->first.size(),
                      "row {}: {} slots are described, {} are there", r, task.slots->first.size(),
                      task.length);
      if (!task.slots->key_positions.empty()) {
        ELASTIKV_ASSERT(row.rotary != nullptr, "row {}: un-rotated keys without a rotary table", r);
        task.cos = row.rotary->cos().const_data_ptr<float>();
        task.sin = row.rotary->sin().const_data_ptr<float>();
      }
      task.scale = static_cast<float>(scale);
      task.token_stride = q.stride(1);
      task.output_stride = query_heads * head_dim;
      task.tokens = tokens;
      task.group = group;
      task.head_dim = head_dim;
      attend(task, buffers);
    }
  });
  return output;
}

}  // namespace elastikv::cpu
