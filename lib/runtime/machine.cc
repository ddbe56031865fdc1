#include "runtime/machine.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <torch/headeronly/version.h>

#ifdef ELASTIKV_WITH_CUDA
#include <ATen/cuda/CUDAContextLight.h>
#include <cuda_runtime_api.h>
#endif

#include "base/device.h"
#include "base/stopwatch.h"
#include "kernels/cpu/clones.h"
#include "kernels/linear.h"
#include "runtime/control_groups.h"

namespace elastikv {
namespace {

constexpr int kPasses = 10;

/// The number after `key` in a file of lines "key number [kB]", in bytes; 0 when it is not there.
int64_t kilobytes_at(const char* file, std::string_view key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    std::istringstream rest(line.substr(key.size()));
    int64_t value = 0;
    rest >> value;
    return value * 1024;
  }
  return 0;
}

/// Four streams side by side: one alone does not keep a core's line buffers full.
ELASTIKV_CPU_CLONES uint64_t sum_of(const uint64_t* words, int64_t count) {
  const int64_t quarter = count / 4;
  uint64_t sums[4] = {};
  for (int64_t i = 0; i < quarter; ++i) {
    sums[0] += words[i];
    sums[1] += words[quarter + i];
    sums[2] += words[2 * quarter + i];
    sums[3] += words[3 * quarter + i];
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

/// Bytes per second of the fastest pass after one that is not counted.
template <typename Pass>
double best_rate(c10::Device device, double bytes, Pass pass) {
  pass();
  synchronize(device);
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kPasses; ++i) {
    Stopwatch watch;
    pass();
    synchronize(device);
    best = std::min(best, watch.lap());
  }
  return bytes / best;
}

/// The allocator of a GPU, which knows its devices once CUDA has been started.
c10::DeviceAllocator* allocator_of(c10::Device device) {
  at::globalContext().lazyInitDevice(device.type());
  return c10::getDeviceAllocator(device.type());
}

int64_t allocated_bytes(c10::Device device, bool peak) {
  using c10::CachingAllocator::StatType;
  const auto stats = allocator_of(device)->getDeviceStats(device.index());
  const auto& bytes = stats.allocated_bytes[static_cast<size_t>(StatType::AGGREGATE)];
  return peak ? bytes.peak : bytes.current;
}

}  // namespace

void synchronize(c10::Device device) {
  if (device.is_cpu()) return;
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

int64_t available_bytes(c10::Device device) {
  if (!device.is_cpu()) {
    c10::DeviceAllocator* allocator = allocator_of(device);
    const auto [free, total] = allocator->getMemoryInfo(device.index());
    const auto stats = allocator->getDeviceStats(device.index());
    constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    return static_cast<int64_t>(free) + stats.reserved_bytes[kAll].current -
           stats.allocated_bytes[kAll].current;
  }
  int64_t available = kilobytes_at("/proc/meminfo", "MemAvailable:");
  if (available == 0) available = std::numeric_limits<int64_t>::max();
  if (const std::optional<int64_t> room = control_group_room())
    available = std::min(available, *room);
  return std::max<int64_t>(available, 0);
}

int64_t resident_bytes() { return kilobytes_at("/proc/self/status", "VmRSS:"); }

PeakMemory::PeakMemory(c10::Device device) : device_(device) {
  if (device.is_cpu()) {
    malloc_trim(/*pad=*/0);
    // 5 resets the peak of the resident set (man 5 proc).
    std::ofstream("/proc/self/clear_refs") << "5";
    before_ = resident_bytes();
  } else {
    synchronize(device);
    allocator_of(device)->resetPeakStats(device.index());
    before_ = allocated_bytes(device, /*peak=*/false);
  }
}

int64_t PeakMemory::peak() const {
  // Linux keeps the resident set in a sum per thread and brings them together now and then, so that
  // its peak, asked for soon after, can be a little less than what was read at the beginning.
  return std::max(before_, device_.is_cpu() ? kilobytes_at("/proc/self/status", "VmHWM:")
                                            : allocated_bytes(device_, /*peak=*/true));
}

void Bandwidth::take_better(const Bandwidth& other) {
  buffer_bytes = std::max(buffer_bytes, other.buffer_bytes);
  read_bytes_per_second = std::max(read_bytes_per_second, other.read_bytes_per_second);
  copy_bytes_per_second = std::max(copy_bytes_per_second, other.copy_bytes_per_second);
}

Bandwidth measure_bandwidth(c10::Device device, int64_t working_set) {
  constexpr int64_t kLeast = int64_t{64} << 20;
  constexpr int64_t kMost = int64_t{2} << 30;
  const int64_t bytes =
      std::clamp(std::min(working_set, available_bytes(device) / 4), kLeast, kMost) / 4096 * 4096;
  Bandwidth bandwidth;
  bandwidth.buffer_bytes = bytes;
  const auto size = static_cast<double>(bytes);
  const auto options = at::TensorOptions().dtype(at::kByte).device(device);
  const at::Tensor from = at::empty({bytes}, options).fill_(1);
  const at::Tensor to = at::empty({bytes}, options);
  if (!device.is_cpu()) {
    bandwidth.copy_bytes_per_second = best_rate(device, 2 * size, [&] { to.copy_(from); });
    bandwidth.read_bytes_per_second = bandwidth.copy_bytes_per_second;
    return bandwidth;
  }
  constexpr int64_t kBlock = int64_t{1} << 20;
  const int64_t blocks = (bytes + kBlock - 1) / kBlock;
  const auto* source = from.const_data_ptr<uint8_t>();
  auto* target = to.mutable_data_ptr<uint8_t>();
  const auto in_blocks = [&](const auto& use) {
    at::parallel_for(0, blocks, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      use(begin * kBlock, std::min(end * kBlock, bytes));
    });
  };
  std::vector<uint64_t> sums(static_cast<size_t>(at::get_num_threads()) + 1);
  bandwidth.read_bytes_per_second = best_rate(device, size, [&] {
    in_blocks([&](int64_t begin, int64_t end) {
      // Kept, so that the reading is not optimized away.
      sums[static_cast<size_t>(at::get_thread_num())] +=
          sum_of(reinterpret_cast<const uint64_t*>(source + begin), (end - begin) / 8);
    });
  });
  bandwidth.copy_bytes_per_second = best_rate(device, 2 * size, [&] {
    in_blocks([&](int64_t begin, int64_t end) {
      std::memcpy(target + begin, source + begin, static_cast<size_t>(end - begin));
    });
  });
  return bandwidth;
}

double measure_arithmetic(c10::Device device, c10::ScalarType dtype, int64_t rows) {
  constexpr int64_t kSide = 1024;
  // Few rows wait for weights, of which caches must not hold all; many do not.
  const int64_t count = rows < kManyRows ? 16 : 1;
  const auto options = at::TensorOptions().device(device).dtype(dtype);
  std::vector<Linear> layers;
  layers.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    layers.emplace_back(at::ones({kSide, kSide}, options), at::Tensor());
  const at::Tensor x = at::ones({rows, kSide}, options);
  const auto operations = static_cast<double>(2 * rows * kSide * kSide * count);
  return best_rate(device, operations, [&] {
    for (const Linear& layer : layers) layer(x);
  });
}

MachineRates rates_of(c10::Device device, c10::ScalarType dtype) {
  if (!is_available(device)) {
    // NVIDIA's data sheet of the A100 80 GB SXM: 312 TFLOP/s in 16 bits (TF32 is not used for fp32:
    // 19.5), 2,039 GB/s.
    const double peak = dtype == c10::ScalarType::Float ? 19.5e12 : 312e12;
    return {0.5 * peak, 0.5 * 2039e9, "no GPU here: half of an NVIDIA A100 80 GB's data sheet"};
  }
  constexpr int64_t kWorkingSet = int64_t{1} << 28;
  return {measure_arithmetic(device, dtype, kManyRows),
          measure_bandwidth(device, kWorkingSet).bound(),
          fmt::format("measured on {}", processor_name(device))};
}

std::string processor_name(c10::Device device) {
#ifdef ELASTIKV_WITH_CUDA
  if (device.is_cuda() && is_available(device))
    return at::cuda::getDeviceProperties(device.index())->name;
#endif
  if (!device.is_cpu()) return "unknown";
  std::ifstream lines("/proc/cpuinfo");
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string cuda_version() {
#ifdef ELASTIKV_WITH_CUDA
  int runtime = 0;
  int driver = 0;
  if (cudaRuntimeGetVersion(&runtime) == cudaSuccess &&
      cudaDriverGetVersion(&driver) == cudaSuccess)
    return fmt::format("{}.{}, driver for {}.{}", runtime / 1000, runtime % 1000 / 10,
                       driver / 1000, driver % 1000 / 10);
#endif
  return "none";
}

std::string libtorch_version() {
  return fmt::format("{}.{}.{}", TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR, TORCH_VERSION_PATCH);
}

}  // namespace elastikv
