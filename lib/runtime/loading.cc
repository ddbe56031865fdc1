#include "runtime/loading.h"

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "base/device.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/machine.h"
#include "runtime/memory.h"
#include "weights/missing_files.h"

namespace elastikv {
namespace {

/// Shows how far loading is, from its second second on and at most ten times a second.
class LoadingLine {
 public:
  explicit LoadingLine(std::string name) : name_(std::move(name)) {}
  ~LoadingLine() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
  }
  LoadingLine(const LoadingLine&) = delete;
  LoadingLine& operator=(const LoadingLine&) = delete;

  void show(int64_t taken, int64_t all) {
    const auto now = std::chrono::steady_clock::now();
    if (isatty(fileno(stderr)) == 0 || now < next_) return;
    next_ = now + std::chrono::milliseconds(100);
    shown_ = true;
    fmt::print(stderr, "\rloading {}: {} of {}\x1b[K", name_, bytes_text(taken), bytes_text(all));
    std::fflush(stderr);
  }

 private:
  std::string name_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point next_ =
      std::chrono::steady_clock::now() + std::chrono::seconds(1);
};

ModelInterceptor& interceptor() {
  static ModelInterceptor the_one;
  return the_one;
}

}  // namespace

c10::ScalarType held_dtype(const std::filesystem::path& folder, c10::Device device,
                           c10::ScalarType dtype) {
  if (!device.is_cpu() || dtype != c10::ScalarType::Float) return dtype;
  if (!missing_weight_files(folder).empty()) return dtype;  // nothing says how they are stored
  const Checkpoint checkpoint = open_weights(folder);
  for (const std::string& name : checkpoint.names()) {
    const TensorInfo& info = checkpoint.info(name);
    if (info.shape.size() == 2 && info.scalar_type != c10::ScalarType::BFloat16) return dtype;
  }
  return c10::ScalarType::BFloat16;
}

std::unique_ptr<Model> open_model(const std::filesystem::path& folder, c10::Device device,
                                  c10::ScalarType dtype) {
  const int64_t available = memory_left(device);
  const MemoryNeed need =
      memory_for_weights(summarize_model(folder).decoder, dtype, device, count_parameters(folder),
                         held_dtype(folder, device, dtype));
  const std::string problem = refusal(need, available);
  if (!problem.empty()) {
    fail("{} in {} on {} {}", folder.string(), dtype_name(dtype), device.str(), problem);
  }
  LoadingLine line(folder.filename().string());
  LoadOptions options;
  if (device.is_cpu()) options.room_for_files = available_bytes(device) - need.weights;
  options.progress = [&](int64_t taken, int64_t all) { line.show(taken, all); };
  std::unique_ptr<Model> model = load_model(folder, device, dtype, options);
  return interceptor() ? interceptor()(std::move(model)) : std::move(model);
}

void intercept_models(ModelInterceptor given) { interceptor() = std::move(given); }

}  // namespace elastikv
