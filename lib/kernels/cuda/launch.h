#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device_slots.h"

// What the .cc files of this folder and its .cu files share: plain structs and pointers, so that
// nvcc never sees ATen and the other compiler never sees CUDA. C++17 only.

struct CUstream_st;

namespace elastikv::cuda {

using Stream = CUstream_st*;

enum class Element : int32_t { kFloat, kHalf, kBFloat16 };

/// Keys of one block of column sums, and queries that it takes at a time.
constexpr int kKeyTile = 64;
constexpr int kQueryTile = 128;

struct ColumnSumsTask {
  const void* queries = nullptr;    // [query_heads, tokens, head_dim]
  const void* keys = nullptr;       // [kv_heads, tokens, head_dim]
  const float* lse = nullptr;       // [query_heads, tokens]
  float* sums = nullptr;            // [query_heads, tokens]
  float* maxima = nullptr;          // [query_heads, tokens], or null
  float* partial_sums = nullptr;    // [splits, query_heads, tokens], null with one split
  float* partial_maxima = nullptr;  // likewise, null without maxima
  int query_heads = 0;
  int group = 0;  // query heads of a KV head
  int tokens = 0;
  int head_dim = 0;
  int span = 0;  // queries of a split, a multiple of kQueryTile
  int splits = 0;
  float scale = 0;
  Element element = Element::kFloat;
};

void launch_column_sums(const ColumnSumsTask& task, Stream stream);

/// Where the entries of one row lie, see EntryView. Pointers are the device's, null for none.
struct EntryPointers {
  const void* keys = nullptr;
  const void* values = nullptr;
  const void* prompt_keys = nullptr;
  const void* prompt_values = nullptr;
};

/// Slots that one block of decode attention reads.
constexpr int kDecodeSplit = 128;
constexpr int kDecodeThreads = 128;

struct DecodeTask {
  const void* queries = nullptr;        // [rows, query_heads, head_dim], rows `query_stride` apart
  void* output = nullptr;               // [rows, query_heads, head_dim]
  float* partial_output = nullptr;      // [rows, query_heads, splits, head_dim]
  float* partial_max = nullptr;         // [rows, query_heads, splits]
  float* partial_total = nullptr;       // [rows, query_heads, splits]
  const RowSlots* rows = nullptr;       // [rows]
  const RowWeights* weights = nullptr;  // [rows], or null: nobody asked
  int64_t query_stride = 0;             // in elements
  int64_t first_head = 0;               // of the layer among a row's heads
  int row_count = 0;
  int kv_heads = 0;
  int group = 0;
  int head_dim = 0;
  int splits = 0;  // of the longest head
  float scale = 0;
  Element element = Element::kFloat;
};

void launch_decode_attention(const DecodeTask& task, Stream stream);

/// `updates` [count] and what they refer to in `sent`.
void launch_update_slots(const SlotUpdate* updates, int count, const unsigned char* sent,
                         Stream stream);

/// Tokens of rows; a token's heads lie one after another. Strides from token to token, in elements.
struct AppendTask {
  void* queries = nullptr;       // [rows, tokens, query_heads, head_dim], turned in place
  const void* keys = nullptr;    // [rows, tokens, kv_heads, head_dim]
  const void* values = nullptr;  // [rows, tokens, kv_heads, head_dim]
  int64_t query_stride = 0;
  int64_t key_stride = 0;
  int64_t value_stride = 0;
  const void* cos = nullptr;  // [rows, tokens, head_dim], of the queries' dtype, see RotaryTable
  const void* sin = nullptr;
  const RowSlots* rows = nullptr;  // [rows]; the newest slots of each head take the entries
  int64_t first_head = 0;
  int row_count = 0;
  int tokens = 1;
  int kv_heads = 0;
  int group = 0;
  int head_dim = 0;
  Element element = Element::kFloat;
};

void launch_rotate_and_append(const AppendTask& task, Stream stream);

struct JoinTask {
  const SlotJoin* joins = nullptr;  // [count]
  const unsigned char* sent = nullptr;
  int count = 0;
  int most_heads = 0;  // of a join
  int head_dim = 0;
  Element element = Element::kFloat;
};

void launch_join_slots(const JoinTask& task, Stream stream);

struct NearestTask {
  const NearestQuery* queries = nullptr;  // [count]
  NearestAnswer* answers = nullptr;       // [count]
  const unsigned char* sent = nullptr;
  int count = 0;
  int most_heads = 0;  // of a query
  int head_dim = 0;
  Element element = Element::kFloat;
};

void launch_find_nearest(const NearestTask& task, Stream stream);

/// Slots that a block of chunk attention takes at a time.
constexpr int kChunkSlots = 64;
/// Queries of a block at most: the query heads of a KV head for some tokens.
constexpr int kChunkQueries = 64;

/// One row of a chunk.
struct ChunkRowTask : EntryPointers {
  const float* cos = nullptr;  // [positions, head_dim], null where keys are rotated already
  const float* sin = nullptr;
};

/// One KV head of a row. Offsets are in bytes from the beginning of the upload, -1: none.
struct ChunkHeadTask {
  int64_t start = 0;
  int64_t prompt_start = 0;
  int64_t places = -1;  // i32 [length]
  int64_t bias = -1;    // f32 [length]
  int64_t first = -1;   // i32 [length], see ChunkSlots
  int64_t until = -1;   // i32 [length]
  int64_t turns = -1;   // i32 [length]: a key's position, ~position where its slot keeps its rank
  int64_t positions = -1;  // i32 [2, tokens], with turns: the queries', then those towards ranks
  int length = 0;
  int span = 0;  // slots of a split, a multiple of kChunkSlots
};

struct ChunkTask {
  const void* queries = nullptr;    // [rows, tokens, query_heads, head_dim] with strides
  void* output = nullptr;           // [rows, tokens, query_heads, head_dim]
  float* partial_output = nullptr;  // [rows, kv_heads, tokens, group, splits, head_dim]
  float* partial_max = nullptr;     // [rows, kv_heads, tokens, group, splits]
  float* partial_total = nullptr;   // likewise; all three are null with one split
  const unsigned char* upload = nullptr;
  const ChunkRowTask* row_tasks = nullptr;    // [rows], in the upload
  const ChunkHeadTask* head_tasks = nullptr;  // [rows, kv_heads], in the upload
  int64_t row_stride = 0;                     // of the queries, in elements
  int64_t token_stride = 0;
  int rows = 0;
  int tokens = 0;
  int kv_heads = 0;
  int group = 0;
  int head_dim = 0;
  int splits = 0;      // of the head that has most
  bool turns = false;  // whether any row has un-rotated keys
  float scale = 0;
  Element element = Element::kFloat;
};

void launch_chunk_attention(const ChunkTask& task, Stream stream);

struct MergeTask {
  const void* x = nullptr;  // [heads, slots, head_dim] with strides
  void* output = nullptr;   // [heads, kept, head_dim]
  int64_t head_stride = 0;  // in elements
  int64_t slot_stride = 0;
  const int64_t* kept_slots = nullptr;   // [kept]
  const int64_t* source = nullptr;       // [merges]
  const int64_t* anchor = nullptr;       // [merges], ascending
  const float* source_weight = nullptr;  // [merges], or null
  const float* anchor_weight = nullptr;  // [kept], or null
  const int64_t* turns = nullptr;        // [merges], or null
  const float* cos = nullptr;            // with turns: [positions, head_dim]
  const float* sin = nullptr;
  int64_t kept = 0;
  int64_t merges = 0;
  int heads = 0;
  int head_dim = 0;
  bool mean = true;
  Element element = Element::kFloat;
};

void launch_gather_and_merge(const MergeTask& task, Stream stream);

struct NormTask {
  const void* x = nullptr;       // [rows / heads, heads, size] with strides, in elements
  const void* weight = nullptr;  // [size]
  void* output = nullptr;        // [rows, size]
  int64_t rows = 0;
  int64_t heads = 1;
  int64_t row_stride = 0;
  int64_t head_stride = 0;
  int size = 0;
  float eps = 0;
  Element element = Element::kFloat;
};

void launch_rms_norm(const NormTask& task, Stream stream);

struct GateTask {
  const void* x = nullptr;  // [rows, 2 size]
  void* output = nullptr;   // [rows, size]
  int64_t size = 0;
  int64_t count = 0;  // of the output
  Element element = Element::kFloat;
};

void launch_gated_silu(const GateTask& task, Stream stream);

/// Called with the driver's message when a kernel could not be started; throws.
[[noreturn]] void launch_failed(const char* kernel, const char* message);

}  // namespace elastikv::cuda
