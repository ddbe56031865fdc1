#include "kernels/cuda/chunk_attention.h"

#include <algorithm>
#include <cstdint>

#include <ATen/ops/clone.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>

#include "base/error.h"
#include "kernels/cuda/runtime.h"
#include "kernels/transfer.h"

namespace elastikv::cuda {
namespace {

constexpr int64_t kLargestChunkHead = 256;
constexpr int64_t kTensorCoreTile = 16;

/// Long rows are split, so that a few rows keep the device busy too: at most kMostSplits of at
/// least kShortestSplit slots, whatever the other rows are. One split saves a pass over its
/// results, and their number bounds the memory for them.
constexpr int64_t kMostSplits = 8;
constexpr int64_t kShortestSplit = 512;

int64_t ceil_div(int64_t x, int64_t y) { return (x + y - 1) / y; }

/// Slots of each split of a head of so many.
int64_t span_of(int64_t length) {
  const int64_t splits = std::min(kMostSplits, ceil_div(length, kShortestSplit));
  return ceil_div(ceil_div(length, splits), kChunkSlots) * kChunkSlots;
}

/// Whether each token's heads lie in a row, and all on the bounds of pieces.
bool has_readable_tokens(const at::Tensor& queries) {
  const int64_t piece = kPiece / static_cast<int64_t>(queries.element_size());
  return queries.stride(3) == 1 && queries.stride(2) == queries.size(3) &&
         queries.stride(1) % piece == 0 && queries.stride(0) % piece == 0 && is_aligned(queries);
}

/// A set of slots in the upload.
struct SlotOffsets {
  int64_t first = -1;
  int64_t until = -1;
  int64_t turns = -1;
  int64_t positions = -1;
};

/// Packs the sets of slots of a batch, and keeps what it converts until it is sent.
class SlotPacker {
 public:
  SlotPacker(Upload& upload, size_t most_sets) : upload_(upload) {
    converted_.reserve(2 * most_sets);
  }

  SlotOffsets add(const ChunkSlots& slots) {
    SlotOffsets offsets;
    offsets.first = upload_.add(slots.first);
    offsets.until = upload_.add(slots.until);
    if (slots.key_positions.empty()) return offsets;
    std::vector<int32_t>& turns = converted_.emplace_back(slots.key_positions.size());
    for (size_t i = 0; i < turns.size(); ++i) {
      const auto position = static_cast<int32_t>(slots.key_positions[i]);
      turns[i] = slots.keeps_rank[i] != 0 ? ~position : position;
    }
    offsets.turns = upload_.add(turns);
    std::vector<int32_t>& positions =
        converted_.emplace_back(slots.query_positions.begin(), slots.query_positions.end());
    positions.insert(positions.end(), slots.rank_positions.begin(), slots.rank_positions.end());
    offsets.positions = upload_.add(positions);
    return offsets;
  }

 private:
  Upload& upload_;
  std::vector<std::vector<int32_t>> converted_;  // never moved: room for all is reserved
};

void require_consistent(const ChunkRow& row, size_t r, size_t kv_heads, int64_t tokens) {
  ELASTIKV_ASSERT(row.lengths->size() == kv_heads && row.starts->size() == kv_heads,
                  "row {}: {} KV heads", r, row.lengths->size());
  for (size_t h = 0; h < kv_heads; ++h) {
    const ChunkSlots& slots = of_head(*row.slots, static_cast<int64_t>(h));
    const auto length = static_cast<size_t>((*row.lengths)[h]);
    ELASTIKV_ASSERT(length > 0, "row {} has an empty head", r);
    ELASTIKV_ASSERT(slots.first.size() == length && slots.until.size() == length,
                    "row {}: {} slots are described, {} are there", r, slots.first.size(), length);
    if (slots.key_positions.empty()) continue;
    ELASTIKV_ASSERT(row.rotary != nullptr, "row {}: un-rotated keys without a rotary table", r);
    ELASTIKV_ASSERT(slots.key_positions.size() == length && slots.keeps_rank.size() == length &&
                        slots.rank_positions.size() == static_cast<size_t>(tokens) &&
                        slots.query_positions.size() == static_cast<size_t>(tokens),
                    "row {}: {} positions of keys, {} of queries for {} slots and {} tokens", r,
                    slots.key_positions.size(), slots.query_positions.size(), length, tokens);
  }
}

/// A row's keys are un-rotated in all heads or in none.
bool is_turned(const ChunkRow& row) { return !(*row.slots)[0].key_positions.empty(); }

}  // namespace

bool has_chunk_attention(const at::Tensor& queries, const std::vector<ChunkRow>& rows) {
  const c10::ScalarType dtype = queries.scalar_type();
  if (!has_kernels(dtype)) return false;
  const int64_t head_dim = queries.size(3);
  const int64_t piece = kPiece / static_cast<int64_t>(queries.element_size());
  if (head_dim % (dtype == at::kFloat ? piece : kTensorCoreTile) != 0) return false;
  if (head_dim > kLargestChunkHead) return false;
  return std::all_of(rows.begin(), rows.end(), [&](const ChunkRow& row) {
    return is_readable(row, dtype) && (!is_turned(row) || head_dim % (2 * piece) == 0);
  });
}

at::Tensor chunk_attention(const at::Tensor& queries, const std::vector<ChunkRow>& rows,
                           double scale) {
  ELASTIKV_ASSERT(has_chunk_attention(queries, rows), "no kernel for {} queries of head_dim {}",
                  c10::toString(queries.scalar_type()), queries.size(3));
  ELASTIKV_ASSERT(queries.size(0) == static_cast<int64_t>(rows.size()),
                  "{} query rows for {} cache rows", queries.size(0), rows.size());
  at::Tensor output = at::empty_like(queries, at::MemoryFormat::Contiguous);
  if (output.numel() == 0) return output;
  const c10::DeviceGuard guard(queries.device());
  const at::Tensor q =
      has_readable_tokens(queries) ? queries : queries.clone(at::MemoryFormat::Contiguous);
  const int64_t tokens = queries.size(1);
  const int64_t query_heads = queries.size(2);
  const size_t kv_heads = rows[0].lengths->size();

  Upload upload;
  SlotPacker packer(upload, rows.size() * kv_heads);
  std::vector<ChunkRowTask> row_tasks(rows.size());
  std::vector<ChunkHeadTask> head_tasks;
  head_tasks.reserve(rows.size() * kv_heads);
  int64_t splits = 1;
  bool turns = false;
  for (size_t r = 0; r < rows.size(); ++r) {
    const ChunkRow& row = rows[r];
    require_consistent(row, r, kv_heads, tokens);
    static_cast<EntryPointers&>(row_tasks[r]) = pointers_of(row);
    if (is_turned(row)) {
      row_tasks[r].cos = row.rotary->cos().const_data_ptr<float>();
      row_tasks[r].sin = row.rotary->sin().const_data_ptr<float>();
      turns = true;
    }
    int64_t places = -1;
    int64_t bias = -1;
    SlotOffsets slots;
    for (size_t h = 0; h < kv_heads; ++h) {
      const auto head = static_cast<int64_t>(h);
      ChunkHeadTask& head_task = head_tasks.emplace_back();
      head_task.start = (*row.starts)[h];
      head_task.length = static_cast<int>((*row.lengths)[h]);
      head_task.span = static_cast<int>(span_of(head_task.length));
      splits = std::max(splits, ceil_div(head_task.length, head_task.span));
      // What all heads share is sent once.
      if (row.places != nullptr) {
        head_task.prompt_start = (*row.prompt_starts)[h];
        if (h == 0 || row.places->size() > 1) places = upload.add(of_head(*row.places, head));
      }
      if (row.logit_bias != nullptr && (h == 0 || row.logit_bias->size() > 1))
        bias = upload.add(of_head(*row.logit_bias, head));
      if (h == 0 || row.slots->size() > 1) slots = packer.add(of_head(*row.slots, head));
      head_task.places = places;
      head_task.bias = bias;
      head_task.first = slots.first;
      head_task.until = slots.until;
      head_task.turns = slots.turns;
      head_task.positions = slots.positions;
    }
  }
  const int64_t row_offset = upload.add(row_tasks);
  const int64_t head_offset = upload.add(head_tasks);
  const at::Tensor sent = upload.send(queries.device());

  ChunkTask task;
  at::Tensor partial_output;
  at::Tensor partial_max;
  at::Tensor partial_total;
  if (splits > 1) {
    const auto options = queries.options().dtype(at::kFloat);
    const int64_t results = queries.size(0) * tokens * query_heads;
    partial_output = at::empty({results, splits, queries.size(3)}, options);
    partial_max = at::empty({results, splits}, options);
    partial_total = at::empty({results, splits}, options);
    task.partial_output = partial_output.data_ptr<float>();
    task.partial_max = partial_max.data_ptr<float>();
    task.partial_total = partial_total.data_ptr<float>();
  }
  task.queries = q.const_data_ptr();
  task.output = output.data_ptr();
  task.upload = sent.const_data_ptr<uint8_t>();
  task.row_tasks = part_of<ChunkRowTask>(sent, row_offset);
  task.head_tasks = part_of<ChunkHeadTask>(sent, head_offset);
  task.row_stride = q.stride(0);
  task.token_stride = q.stride(1);
  task.rows = static_cast<int>(rows.size());
  task.tokens = static_cast<int>(tokens);
  task.kv_heads = static_cast<int>(kv_heads);
  task.group = static_cast<int>(query_heads / task.kv_heads);
  task.head_dim = static_cast<int>(queries.size(3));
  task.splits = static_cast<int>(splits);
  task.turns = turns;
  task.scale = static_cast<float>(scale);
  task.element = element_of(queries.scalar_type());
  launch_chunk_attention(task, current_stream(queries.device()));
  return output;
}

}  // namespace elastikv::cuda
