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

WeightsNeed weights_need(const std::filesystem::path& folder, c10::Device device,
                         c10::ScalarType dtype, int64_t available) {
  const LlamaConfig decoder = summarize_model(folder).decoder;
  const int64_t parameters = count_parameters(folder);
  WeightsNeed need;
  need.linear_memory = choose_linear_memory(decoder, dtype, device, parameters, available);
  need.memory = memory_for_weights(decoder, dtype, device, parameters, need.linear_memory);
  return need;
}

std::unique_ptr<Model> open_model(const std::filesystem::path& folder, c10::Device device,
                                  c10::ScalarType dtype) {
  const int64_t available = available_bytes(device);
  const WeightsNeed need = weights_need(folder, device, dtype, available);
  const std::string problem = refusal(need.memory, available);
  if (!problem.empty()) {
    fail("{} in {} on {} {}", folder.string(), dtype_name(dtype), device.str(), problem);
  }
  if (need.linear_memory == LinearMemory::kSmall) {
    inform("{}: weights are held once, without the second copy that makes linear layers faster",
           folder.string());
  }
  LoadingLine line(folder.filename().string());
  LoadOptions options;
  options.linear_memory = need.linear_memory;
  options.progress = [&](int64_t taken, int64_t all) { line.show(taken, all); };
  std::unique_ptr<Model> model = load_model(folder, device, dtype, options);
  return interceptor() ? interceptor()(std::move(model)) : std::move(model);
}

void intercept_models(ModelInterceptor given) { interceptor() = std::move(given); }

}  // namespace elastikv
