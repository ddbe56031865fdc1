#include "weights/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "weights/strict_json.h"
#include "weights/tensor_names.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kLongestHeader = 100'000'000;
constexpr std::string_view kMetadataKey = "__metadata__";

/// The value as it may stand in a message.
std::string value_text(const Json& value) { return printable_name(value.dump()); }

/// One entry of the header being checked; every message names the file and the tensor.
class EntryReader final {
 public:
  EntryReader(std::string_view file, std::string_view name, const Json& entry, size_t data_bytes)
      : file_(file), name_(name), entry_(entry), data_bytes_(data_bytes) {}

  TensorInfo read() const {
    if (!entry_.is_object()) problem("entry is {}, an object is needed", entry_.type_name());
    TensorInfo info;
    const Json& dtype = field("dtype");
    if (!dtype.is_string()) problem("dtype is {}, a string is needed", value_text(dtype));
    info.dtype = dtype.get<std::string>();
    info.scalar_type = scalar_type_of(info.dtype);

    const Json& shape = field("shape");
    if (!shape.is_array()) problem("shape is {}, a list is needed", value_text(shape));
    if (shape.size() > kMostDimensions)
      problem("shape has {} dimensions, at most {} are possible", shape.size(), kMostDimensions);
    // Zeros count as ones here: torch derives strides from the other sizes, which must not overflow
    // either.
    int64_t product =
        info.scalar_type ? static_cast<int64_t>(c10::elementSize(*info.scalar_type)) : int64_t{1};
    for (const Json& size : shape) {
      info.shape.push_back(static_cast<int64_t>(non_negative("shape", size)));
      if (__builtin_mul_overflow(product, std::max<int64_t>(info.shape.back(), 1), &product))
        problem("shape {} is too large", shape_text(info.shape));
    }

    const Json& offsets = field("data_offsets");
    if (!offsets.is_array() || offsets.size() != 2)
      problem("data_offsets is {}, two numbers are needed", value_text(offsets));
    info.begin = non_negative("data_offsets", offsets[0]);
    info.end = non_negative("data_offsets", offsets[1]);
    if (info.begin > info.end)
      problem("data_offsets [{}, {}] end before they begin", info.begin, info.end);
    if (info.end > data_bytes_) {
      problem("data_offsets [{}, {}] reach beyond the file's {} bytes of data (is it cut off?)",
              info.begin, info.end, data_bytes_);
    }
    if (info.scalar_type) {
      const size_t needed =
          static_cast<size_t>(info.elements()) * c10::elementSize(*info.scalar_type);
      if (info.bytes() != needed) {
        problem("data_offsets [{}, {}] hold {} bytes, {} of shape {} needs {}", info.begin,
                info.end, info.bytes(), info.dtype, shape_text(info.shape), needed);
      }
    }
    return info;
  }

 private:
  template <typename... Args>
  [[noreturn]] void problem(fmt::format_string<Args...> format, Args&&... args) const {
    fail("{}: tensor '{}': {}", file_, printable_name(name_),
         fmt::format(format, std::forward<Args>(args)...));
  }

  const Json& field(const char* key) const {
    const auto found = entry_.find(key);
    if (found == entry_.end()) problem("{} is missing", key);
    return *found;
  }

  uint64_t non_negative(std::string_view key, const Json& value) const {
    // The parser holds what does not fit 64 bits as a floating-point number, which lands here too.
    if (!value.is_number_unsigned() ||
        value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      problem("{} holds {}, a non-negative 64-bit integer is needed", key, value_text(value));
    }
    return value.get<uint64_t>();
  }

  std::string_view file_;
  std::string_view name_;
  const Json& entry_;
  size_t data_bytes_;
};

}  // namespace

SafetensorsFile::SafetensorsFile(std::filesystem::path file) : WeightFile(std::move(file)) {
  read_header();
  check_coverage();
}

void SafetensorsFile::read_header() {
  const std::string file = path_.string();
  const std::string_view all = map_->view();
  if (all.size() < kLengthBytes) {
    fail("{}: not a safetensors file: {} bytes long, the header length alone takes {}", file,
         all.size(), kLengthBytes);
  }
  uint64_t length = 0;
  std::memcpy(&length, all.data(), kLengthBytes);
  if (length > kLongestHeader) {
    fail("{}: not a safetensors file: its header would be {} bytes long, at most {} are allowed",
         file, length, kLongestHeader);
  }
  if (length > all.size() - kLengthBytes) {
    fail("{}: the header of {} bytes reaches beyond the file's {} bytes (is it cut off?)", file,
         length, all.size());
  }
  data_ = all.substr(kLengthBytes + length);

  // The header, an entry, its shape.
  constexpr int kDepth = 3;
  const Json header =
      parse_strict_json(all.substr(kLengthBytes, length), file + ": header", kDepth);
  if (!header.is_object())
    fail("{}: header is {}, a JSON object is needed", file, header.type_name());
  for (const auto& item : header.items()) {
    if (item.key() != kMetadataKey) {
      tensors_.emplace(item.key(),
                       EntryReader(file, item.key(), item.value(), data_.size()).read());
      continue;
    }
    if (!item.value().is_object())
      fail("{}: {} is {}, an object is needed", file, kMetadataKey, item.value().type_name());
    for (const auto& pair : item.value().items()) {
      if (!pair.value().is_string()) {
        fail("{}: {}: key '{}' is {}, a string is needed", file, kMetadataKey,
             printable_name(pair.key()), value_text(pair.value()));
      }
    }
  }
}

void SafetensorsFile::check_coverage() const {
  using Range = std::tuple<size_t, size_t, const std::string*>;
  std::vector<Range> ranges;
  ranges.reserve(tensors_.size());
  for (const auto& [name, info] : tensors_) ranges.emplace_back(info.begin, info.end, &name);
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
  });
  const std::string* previous = nullptr;
  size_t covered = 0;
  for (const auto& [begin, end, name] : ranges) {
    if (begin < covered) {
      fail("{}: tensor '{}': data_offsets [{}, {}] overlap those of tensor '{}'", path_.string(),
           printable_name(*name), begin, end, printable_name(*previous));
    }
    if (begin > covered) {
      fail("{}: bytes {} to {} of the data, before tensor '{}', belong to no tensor",
           path_.string(), covered, begin, printable_name(*name));
    }
    covered = end;
    previous = name;
  }
  if (covered < data_.size()) {
    fail("{}: bytes {} to {} of the data, after the last tensor, belong to no tensor",
         path_.string(), covered, data_.size());
  }
}

}  // namespace elastikv
