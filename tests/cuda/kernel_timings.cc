// Times the kernels of a GPU at the sizes of LLaVA-1.5 7B, beside what the GPU's memory and matrix
// units reach. Prints a line of JSON for the device, then one for each kernel as it is done.
//
//   kernel_timings            on the first GPU
//   kernel_timings --quick    at tiny sizes: whether the program works
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/device_stopwatch.h"
#include "cache/kv_cache.h"
#include "device.h"
#include "kernels/accelerator.h"
#include "kernels/transfer.h"
#include "models/slot_batch.h"
#include "runtime/machine.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

struct Sizes {
  int64_t layers = 8;  // of a cache that no L2 cache holds, since steps go through all of them
  int64_t heads = 32;
  int64_t head_dim = 128;
  int64_t hidden = 4096;
  int64_t intermediate = 11008;
  int64_t prompt = 1024;
  int64_t slots = 1536;  // after an answer of 512 tokens
  int64_t kept = 307;    // a fifth of them
  std::vector<int64_t> batches{1, 16, 48};
  int64_t chunk = 64;
  int64_t product = 8192;  // rows and columns of the product that tells the matrix units' rate
  int64_t cold_bytes = 1 << 28;  // read in turns, so that nothing is found in the L2 cache
  int runs = 20;

  static Sizes tiny() {
    return {.layers = 2,
            .heads = 2,
            .head_dim = 32,
            .hidden = 64,
            .intermediate = 128,
            .prompt = 40,
            .slots = 48,
            .kept = 10,
            .batches = {1, 2},
            .chunk = 8,
            .product = 64,
            .cold_bytes = 1,
            .runs = 1};
  }
};

/// What one call of a kernel moves at the least, and computes.
struct Work {
  int64_t bytes = 0;
  int64_t operations = 0;  ///< of the matrix units; a multiplication and an addition are two
};

at::Tensor random_on_device(at::IntArrayRef shape) {
  return at::randn(shape, at::TensorOptions(at::kBFloat16).device(kDevice));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class Timings {
 public:
  explicit Timings(const Sizes& sizes) : sizes_(sizes), accelerator_(*accelerator_of(kDevice)) {
    square_ = random_on_device({sizes.product, sizes.product});
  }

  void run() {
    measure_device();
    for (const int64_t rows : sizes_.batches) decode(rows, sizes_.slots, /*scattered=*/false);
    for (const int64_t rows : sizes_.batches) decode(rows, sizes_.kept, /*scattered=*/true);
    prefill();
    chunk(sizes_.batches[1]);
    merge();
    for (const int64_t rows : {sizes_.batches.back(), sizes_.prompt}) elementwise(rows);
  }

 private:
  struct Case {
    std::string kernel;
    std::string shape;
    Work work;          // of one call
    int64_t calls = 1;  // of the kernel by one run
    bool queued =
        true;  // whether the host is ahead of the device, so that none of its time is in it
  };

  void measure_device() {
    bandwidth_ = measure_bandwidth(kDevice, 8 * sizes_.cold_bytes).bound();
    std::vector<double> seconds;
    const double operations =
        2.0 * static_cast<double>(sizes_.product * sizes_.product * sizes_.product);
    for (int run = 0; run <= sizes_.runs; ++run) {
      DeviceStopwatch watch(kDevice);
      at::matmul(square_, square_);
      seconds.push_back(watch.lap().value());
    }
    product_seconds_ = *std::min_element(seconds.begin() + 1, seconds.end());
    matrix_rate_ = operations / product_seconds_;
    print({{"device", processor_name(kDevice)},
           {"cuda", cuda_version()},
           {"libtorch", libtorch_version()},
           {"dtype", "bf16"},
           {"copied_bytes_per_second", bandwidth_},
           {"product", sizes_.product},
           {"product_operations_per_second", matrix_rate_}});
  }

  /// Keeps the device busy for about as long as the host needs to queue so many kernels.
  void get_ahead(int64_t kernels) const {
    constexpr double kSecondsPerLaunch = 2e-5;
    const double products = kSecondsPerLaunch * static_cast<double>(kernels) / product_seconds_;
    for (int i = 0; i < std::min(static_cast<int>(products) + 1, 64); ++i)
      at::matmul(square_, square_);
  }

  /// `run` calls the kernel as often as the case says; the first run warms up.
  void time(const Case& one, const std::function<void()>& run) {
    std::vector<double> seconds;
    for (int i = 0; i <= sizes_.runs; ++i) {
      synchronize(kDevice);
      if (one.queued && !kEmulated) get_ahead(4 * one.calls);
      DeviceStopwatch watch(kDevice);
      run();
      seconds.push_back(watch.lap().value() / static_cast<double>(one.calls));
    }
    seconds.erase(seconds.begin());
    const double typical = median(seconds);
    Json line{
        {"kernel", one.kernel}, {"shape", one.shape},
        {"seconds", typical},   {"fastest", *std::min_element(seconds.begin(), seconds.end())},
        {"runs", sizes_.runs},  {"with_host", !one.queued}};
    if (one.work.bytes > 0) {
      line["bytes"] = one.work.bytes;
      line["of_bandwidth"] = static_cast<double>(one.work.bytes) / typical / bandwidth_;
    }
    if (one.work.operations > 0) {
      line["operations"] = one.work.operations;
      line["of_matrix_rate"] = static_cast<double>(one.work.operations) / typical / matrix_rate_;
    }
    print(line);
  }

  static void print(const Json& line) {
    fmt::print("{}\n", line.dump());
    std::fflush(stdout);
  }

  CacheShape shape() const {
    return {.layers = sizes_.layers,
            .kv_heads = sizes_.heads,
            .head_dim = sizes_.head_dim,
            .dtype = at::kBFloat16,
            .device = kDevice};
  }
  /// Bytes of a token in one layer: key and value of every head.
  int64_t token_bytes() const { return 4 * sizes_.heads * sizes_.head_dim; }

  /// A cache of so many slots. Scattered: those that a plan has kept of a whole prompt, which lie
  /// where they lay.
  KVCache cache_of(int64_t slots, bool scattered) const {
    KVCache cache(shape());
    const int64_t entries = scattered ? sizes_.slots : slots;
    for (int64_t layer = 0; layer < sizes_.layers; ++layer) {
      cache.adopt(layer, random_on_device({sizes_.heads, entries, sizes_.head_dim}),
                  random_on_device({sizes_.heads, entries, sizes_.head_dim}), 0);
    }
    if (!scattered) return cache;
    KVCache fork = cache.fork();
    LayerPlan plan;
    plan.kept = at::linspace(0, static_cast<double>(entries - 1), slots).to(at::kLong).unsqueeze(0);
    for (int64_t layer = 0; layer < sizes_.layers; ++layer) fork.apply(layer, plan);
    return fork;
  }

  /// What a decode step calls, for rows of one length.
  void decode(int64_t rows, int64_t slots, bool scattered) {
    std::vector<KVCache> caches;
    for (int64_t r = 0; r < rows; ++r) {
      caches.push_back(cache_of(slots, scattered));
      caches.back().reserve(sizes_.runs + 4);
    }
    int64_t next = sizes_.slots;
    const auto begin_step = [&] {
      std::vector<SlotRow> batch;
      for (KVCache& cache : caches) batch.push_back({.cache = &cache, .token_index = next});
      ++next;
      SlotBatch begun(std::move(batch), /*tokens=*/1, sizes_.heads);
      Upload inputs;
      begun.add_to(inputs);
      begun.read_from(inputs.send(kDevice), begun.longest());
      return begun;
    };
    const std::string shape =
        fmt::format("{} x {} slots{}", rows, slots, scattered ? ", scattered" : "");
    std::optional<SlotBatch> batch = begin_step();  // the first tells the device of all slots
    time({"begin a step (update_slots)", shape, {}, 1, /*queued=*/false},
         [&] { batch.emplace(begin_step()); });

    const at::Tensor product = random_on_device({rows, 3 * sizes_.heads, sizes_.head_dim});
    const NewTokens tokens{product.narrow(1, 0, sizes_.heads),
                           product.narrow(1, sizes_.heads, sizes_.heads),
                           product.narrow(1, 2 * sizes_.heads, sizes_.heads)};
    const RotaryTable rotary(sizes_.head_dim, RotaryRule{10000.0}, 4096, kDevice);
    const RotaryTable::Angles angles = rotary.angles(
        at::arange(rows, at::TensorOptions(at::kLong).device(kDevice)), at::kBFloat16);
    // Queries are turned in place, keys and values read and written.
    const int64_t appended = rows * token_bytes() * 3;
    time({"rotate_and_append", shape, {.bytes = appended}, sizes_.layers}, [&] {
      for (int64_t layer = 0; layer < sizes_.layers; ++layer) batch->append(layer, tokens, angles);
    });

    const at::Tensor queries = random_on_device({rows, sizes_.heads, sizes_.head_dim});
    const int64_t length = caches[0].max_length(0);
    time({"decode attention", shape, {.bytes = rows * length * token_bytes()}, sizes_.layers}, [&] {
      for (int64_t layer = 0; layer < sizes_.layers; ++layer) batch->attend(layer, queries, 0.1);
    });
    nearest(caches, shape, length);
    // A cache that nobody has forked holds its entries itself.
    if (!scattered) join(caches, shape);
  }

  /// The key most like that of one slot, in every layer of every row: half of the caches is read.
  void nearest(std::vector<KVCache>& caches, const std::string& shape, int64_t length) {
    std::vector<NearestQuery> queries;
    for (KVCache& cache : caches) {
      for (int64_t layer = 0; layer < sizes_.layers; ++layer) {
        NearestQuery query;
        query.heads = cache.mirror().heads() + layer * sizes_.heads;
        query.head_count = static_cast<int32_t>(sizes_.heads);
        query.source = 1;
        queries.push_back(query);
      }
    }
    Upload upload;
    SentSlots work = description(queries.size());
    work.offset = upload.add(queries);
    work.sent = upload.send(kDevice);
    const int64_t bytes = std::ssize(queries) * length * token_bytes() / 2;
    time({"nearest keys", shape, {.bytes = bytes}}, [&] { accelerator_.find_nearest(work); });
  }

  /// Two entries join a third in every layer of every row.
  void join(std::vector<KVCache>& caches, const std::string& shape) {
    const std::vector<JoinSource> sources{{.place = ~1, .turn = 0, .weight = 1},
                                          {.place = ~2, .turn = 0, .weight = 1}};
    Upload upload;
    const int64_t sources_at = upload.add(sources);
    std::vector<SlotJoin> joins;
    for (KVCache& cache : caches) {
      for (int64_t layer = 0; layer < sizes_.layers; ++layer) {
        SlotJoin one;
        one.heads = cache.mirror().heads() + layer * sizes_.heads;
        one.head_count = static_cast<int32_t>(sizes_.heads);
        one.sources = sources_at;
        one.source_count = static_cast<int32_t>(sources.size());
        one.from = ~0;
        one.to = ~0;
        joins.push_back(one);
      }
    }
    SentSlots work = description(joins.size());
    work.offset = upload.add(joins);
    work.sent = upload.send(kDevice);
    time({"join", shape, {.bytes = std::ssize(joins) * 4 * token_bytes()}},
         [&] { accelerator_.join_slots(work); });
  }

  SentSlots description(size_t count) const {
    SentSlots work;
    work.count = static_cast<int64_t>(count);
    work.most_heads = sizes_.heads;
    work.head_dim = sizes_.head_dim;
    work.dtype = at::kBFloat16;
    return work;
  }

  void prefill() {
    const at::Tensor queries = random_on_device({sizes_.heads, sizes_.prompt, sizes_.head_dim});
    const at::Tensor keys = random_on_device(queries.sizes());
    const at::Tensor values = random_on_device(queries.sizes());
    const std::string shape = fmt::format("{} tokens", sizes_.prompt);
    // Of one product of queries and keys, half of which is masked.
    const int64_t operations = sizes_.heads * sizes_.prompt * sizes_.prompt * sizes_.head_dim;
    time({"prefill attention (LibTorch's)", shape, {.operations = 2 * operations}, 8}, [&] {
      for (int i = 0; i < 8; ++i) accelerator_.attention_and_lse(queries, keys, values, 0.1);
    });
    const at::Tensor lse = std::get<1>(accelerator_.attention_and_lse(queries, keys, values, 0.1));
    PrefillRequest request;
    request.column_sums = true;
    time({"column sums", shape, {.operations = operations}, 8}, [&] {
      for (int i = 0; i < 8; ++i) accelerator_.column_statistics(queries, keys, lse, 0.1, request);
    });
  }

  /// Known tokens behind a prompt, as scoring an answer in one pass runs them.
  void chunk(int64_t rows) {
    const int64_t length = sizes_.prompt + sizes_.chunk;
    std::vector<int64_t> starts;
    for (int64_t head = 0; head < sizes_.heads; ++head) starts.push_back(head * length);
    const std::vector<int64_t> lengths(starts.size(), length);
    std::vector<ChunkSlots> slots(1);
    for (int64_t i = 0; i < length; ++i) {
      slots[0].first.push_back(static_cast<int32_t>(std::max<int64_t>(0, i - sizes_.prompt)));
      slots[0].until.push_back(static_cast<int32_t>(sizes_.chunk));
    }
    std::vector<ChunkRow> all(static_cast<size_t>(rows));
    for (ChunkRow& row : all) {
      row.keys = random_on_device({sizes_.heads * length, sizes_.head_dim});
      row.values = random_on_device({sizes_.heads * length, sizes_.head_dim});
      row.starts = &starts;
      row.lengths = &lengths;
      row.slots = &slots;
    }
    const at::Tensor queries =
        random_on_device({rows, sizes_.chunk, sizes_.heads, sizes_.head_dim});
    const int64_t pairs = sizes_.chunk * sizes_.prompt + sizes_.chunk * (sizes_.chunk + 1) / 2;
    time({"chunk attention",
          fmt::format("{} x {} tokens over {} slots", rows, sizes_.chunk, length),
          {.bytes = rows * length * token_bytes(),
           .operations = 4 * rows * pairs * sizes_.heads * sizes_.head_dim},
          4},
         [&] {
           for (int i = 0; i < 4; ++i) accelerator_.chunk_attention(queries, all, 0.1);
         });
  }

  /// A prompt's compression to a fifth: every entry that goes joins the one before it that stays.
  void merge() {
    const int64_t group = 5;
    const int64_t kept = sizes_.prompt / group;
    const at::Tensor all = at::arange(kept * group, at::kLong);
    MergeRows rows;
    rows.kept = at::arange(0, kept * group, group, at::kLong).to(kDevice);
    rows.source = all.masked_select(all.remainder(group).ne(0)).to(kDevice);
    rows.anchor = rows.source.floor_divide(group);
    std::vector<at::Tensor> entries;
    const int64_t bytes = token_bytes() / 2 * kept * group;
    for (int64_t held = 0; held <= sizes_.cold_bytes; held += bytes)
      entries.push_back(random_on_device({sizes_.heads, kept * group, sizes_.head_dim}));
    time({"gather and merge",
          fmt::format("{} entries to {}", kept * group, kept),
          {.bytes = bytes + token_bytes() / 2 * kept},
          std::ssize(entries)},
         [&] {
           for (const at::Tensor& x : entries) accelerator_.gather_and_merge(x, rows);
         });
  }

  void elementwise(int64_t rows) {
    std::vector<at::Tensor> inputs;
    // At most so many that the host stays ahead.
    const auto make = [&](int64_t width) {
      inputs.clear();
      const int64_t bytes = 2 * rows * width;
      for (int64_t held = 0; held <= sizes_.cold_bytes && inputs.size() < 64; held += bytes)
        inputs.push_back(random_on_device({rows, width}));
    };
    make(sizes_.hidden);
    const at::Tensor weight = random_on_device({sizes_.hidden});
    time({"rms_norm",
          fmt::format("{} x {}", rows, sizes_.hidden),
          {.bytes = 4 * rows * sizes_.hidden},
          std::ssize(inputs)},
         [&] {
           for (const at::Tensor& x : inputs) accelerator_.rms_norm(x, weight, 1e-5);
         });
    make(2 * sizes_.intermediate);
    time({"gated_silu",
          fmt::format("{} x {}", rows, sizes_.intermediate),
          {.bytes = 6 * rows * sizes_.intermediate},
          std::ssize(inputs)},
         [&] {
           for (const at::Tensor& x : inputs) accelerator_.gated_silu(x);
         });
  }

  Sizes sizes_;
  const Accelerator& accelerator_;
  at::Tensor square_;
  double bandwidth_ = 0;        // bytes read and written per second
  double matrix_rate_ = 0;      // operations per second
  double product_seconds_ = 0;  // of square_ with itself
};

int run(const std::vector<std::string>& arguments) {
  const bool quick = arguments == std::vector<std::string>{"--quick"};
  if (!quick && !arguments.empty()) {
    fmt::print(stderr, "error: only --quick is taken, not '{}'\n", arguments[0]);
    return 1;
  }
  try {
    require_available(kDevice);
    const at::NoGradGuard no_gradients;
    Timings(quick ? Sizes::tiny() : Sizes()).run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace elastikv

int main(int argc, char** argv) {
  return elastikv::run(std::vector<std::string>(argv + 1, argv + argc));
}
