#include "weights/weight_reader.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <fnmatch.h>

#include "base/error.h"
#include "weights/tensor_names.h"

namespace elastikv {
namespace {

template <typename Items, typename Text>
std::string first_few(const Items& items, Text text) {
  constexpr size_t kShown = 8;
  std::string line;
  for (size_t i = 0; i < std::min(items.size(), kShown); ++i)
    line += (i == 0 ? "" : ", ") + text(items[i]);
  if (items.size() > kShown) line += fmt::format(" and {} more", items.size() - kShown);
  return line;
}

std::string counted(size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

/// See WeightReader::take.
at::Tensor converted(const at::Tensor& stored, c10::Device device, c10::ScalarType dtype) {
  const bool widens = c10::elementSize(stored.scalar_type()) <= c10::elementSize(dtype);
  const at::Tensor there = widens ? stored.to(device).to(dtype) : stored.to(dtype).to(device);
  return there.contiguous();
}

}  // namespace

struct WeightReader::Account {
  std::optional<Checkpoint> source;  // none: invented weights
  c10::Device device;
  c10::ScalarType dtype;
  Mode mode;
  std::set<std::string> taken;
  std::map<std::string, std::vector<int64_t>> missing;      // shape that was needed
  std::map<std::string, std::vector<int64_t>> wrong_shape;  // the same
  std::vector<std::string> ignored{"*.rotary_emb.inv_freq", "*.position_ids"};
  at::Generator generator{};  // of random weights
  double value = 0;           // of all weights, without a generator
  Progress progress{};
  int64_t all_bytes = 0;
  int64_t taken_bytes = 0;
  bool keep_pages = false;
  bool forget_pages = false;

  const Checkpoint& checkpoint() const {
    ELASTIKV_ASSERT(source.has_value(), "invented weights have no checkpoint");
    return *source;
  }
  /// What is to become of a tensor's pages that were copied.
  void release(const std::string& full_name) const {
    if (keep_pages) return;
    if (forget_pages) {
      checkpoint().forget(full_name);
    } else {
      checkpoint().release(full_name);
    }
  }
};

WeightReader::WeightReader(Checkpoint checkpoint, c10::Device device, c10::ScalarType dtype,
                           Mode mode)
    : account_(std::make_shared<Account>(
          Account{std::move(checkpoint), device, dtype, mode, {}, {}, {}})) {}

WeightReader WeightReader::random(c10::Device device, c10::ScalarType dtype, uint64_t seed) {
  auto account =
      std::make_shared<Account>(Account{std::nullopt, device, dtype, Mode::kLoad, {}, {}, {}});
  account->generator = at::globalContext().defaultGenerator(device).clone();
  account->generator.set_current_seed(seed);
  return {std::move(account), ""};
}

WeightReader WeightReader::uniform(c10::Device device, c10::ScalarType dtype, double value) {
  auto account =
      std::make_shared<Account>(Account{std::nullopt, device, dtype, Mode::kLoad, {}, {}, {}});
  account->value = value;
  return {std::move(account), ""};
}

WeightReader WeightReader::listing() {
  return {std::make_shared<Account>(Account{std::nullopt,
                                            c10::Device(c10::DeviceType::CPU),
                                            c10::ScalarType::Float,
                                            Mode::kDry,
                                            {},
                                            {},
                                            {}}),
          ""};
}

at::Tensor WeightReader::draw(const std::string& full_name, c10::IntArrayRef shape) const {
  const auto options = at::TensorOptions().device(account_->device).dtype(account_->dtype);
  if (shape.size() == 1) {
    return full_name.ends_with("norm.weight") ? at::ones(shape, options)
                                              : at::zeros(shape, options);
  }
  if (!account_->generator.defined()) return at::full(shape, account_->value, options);
  return at::empty(shape, options).normal_(/*mean=*/0, /*std=*/0.02, account_->generator);
}

WeightReader WeightReader::scope(std::string_view prefix) const {
  return {account_, prefix_ + std::string(prefix)};
}

at::Tensor WeightReader::take(std::string_view name, c10::IntArrayRef shape) const {
  const std::string full_name = prefix_ + std::string(name);
  if (!account_->source && !dry()) return draw(full_name, shape);
  if (account_->source && account_->checkpoint().has(full_name))
    return take_present(full_name, shape);
  account_->missing[full_name] = shape.vec();
  return {};
}

at::Tensor WeightReader::take_present(const std::string& full_name, c10::IntArrayRef shape) const {
  const Checkpoint& checkpoint = account_->checkpoint();
  const TensorInfo& info = checkpoint.info(full_name);
  const bool fresh = account_->taken.insert(full_name).second;
  if (fresh) account_->taken_bytes += static_cast<int64_t>(info.bytes());
  if (shape != info.shape) {
    if (dry()) {
      account_->wrong_shape[full_name] = shape.vec();
      return {};
    }
    fail("{}: tensor '{}' has shape {}, the model needs {}", checkpoint.file_of(full_name).string(),
         printable_name(full_name), shape_text(info.shape), shape_text(shape));
  }
  if (!info.scalar_type || c10::isFloat8Type(*info.scalar_type)) {
    fail(
        "{}: tensor '{}' is {}, which models cannot use (a quantised checkpoint?); take one in "
        "F32, F16 or BF16",
        checkpoint.file_of(full_name).string(), printable_name(full_name),
        printable_name(info.dtype));
  }
  if (dry()) return {};
  const at::Tensor stored = checkpoint.tensor(full_name);
  at::Tensor taken = converted(stored, account_->device,
                               stored.is_floating_point() ? account_->dtype : stored.scalar_type());
  if (!taken.is_alias_of(stored)) account_->release(full_name);
  if (fresh && account_->progress) account_->progress(account_->taken_bytes, account_->all_bytes);
  return taken;
}

void WeightReader::on_progress(Progress progress, int64_t all_bytes) const {
  account_->progress = std::move(progress);
  account_->all_bytes = all_bytes;
}

int64_t WeightReader::taken_bytes() const { return account_->taken_bytes; }

void WeightReader::keep_pages() const { account_->keep_pages = true; }

void WeightReader::forget_pages() const { account_->forget_pages = true; }

void WeightReader::release(std::string_view name) const {
  const std::string full_name = prefix_ + std::string(name);
  if (account_->source && account_->checkpoint().has(full_name)) account_->release(full_name);
}

bool WeightReader::has(std::string_view name) const {
  return !account_->source || account_->checkpoint().has(prefix_ + std::string(name));
}

std::optional<std::vector<int64_t>> WeightReader::shape(std::string_view name) const {
  if (!has(name)) return std::nullopt;
  ELASTIKV_ASSERT(account_->source, "invented weights have the shape that is asked for");
  return account_->checkpoint().info(prefix_ + std::string(name)).shape;
}

void WeightReader::ignore(std::string_view pattern) const {
  account_->ignored.push_back(prefix_ + std::string(pattern));
}

WeightReport WeightReader::report() const {
  WeightReport report;
  for (const auto& [name, needed] : account_->missing) report.missing.push_back({name, needed});
  if (!account_->source) return report;
  for (const auto& [name, needed] : account_->wrong_shape)
    report.wrong_shape.push_back({name, account_->checkpoint().info(name).shape, needed});
  for (const std::string& name : account_->checkpoint().names()) {
    const bool ignored = std::any_of(
        account_->ignored.begin(), account_->ignored.end(), [&](const std::string& pattern) {
          return fnmatch(pattern.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
        });
    if (!ignored && account_->taken.count(name) == 0) report.unexpected.push_back(name);
  }
  return report;
}

void WeightReader::finish() const {
  const WeightReport report = this->report();
  if (report.clean()) return;
  std::vector<std::string> parts;
  if (!report.missing.empty()) {
    parts.push_back(counted(report.missing.size(), "tensor is missing: ", "tensors are missing: ") +
                    first_few(report.missing,
                              [](const WeightReport::Missing& missing) { return missing.name; }));
  }
  if (!report.wrong_shape.empty()) {
    parts.push_back(counted(report.wrong_shape.size(),
                            "tensor has another shape: ", "tensors have other shapes: ") +
                    first_few(report.wrong_shape, [](const WeightReport::WrongShape& wrong) {
                      return fmt::format("{} is {}, not {}", wrong.name, shape_text(wrong.found),
                                         shape_text(wrong.needed));
                    }));
  }
  if (!report.unexpected.empty()) {
    parts.push_back(
        counted(report.unexpected.size(),
                "tensor is not used by the model: ", "tensors are not used by the model: ") +
        first_few(report.unexpected, [](const std::string& name) { return printable_name(name); }));
  }
  std::string message = parts.front();
  for (size_t i = 1; i < parts.size(); ++i) message += "; " + parts[i];
  fail("{}: {}", account_->checkpoint().folder().string(), message);
}

c10::Device WeightReader::device() const { return account_->device; }
c10::ScalarType WeightReader::dtype() const { return account_->dtype; }
bool WeightReader::dry() const { return account_->mode == Mode::kDry; }

}  // namespace elastikv
