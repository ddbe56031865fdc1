#include "weights/weight_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/nearest_name.h"
#include "weights/tensor_names.h"

namespace elastikv {
namespace {

static_assert(std::endian::native == std::endian::little, "the files' numbers are little-endian");

struct NamedType {
  std::string_view name;
  c10::ScalarType type;
};
constexpr std::array kTypes{
    NamedType{"F64", c10::ScalarType::Double},
    NamedType{"F32", c10::ScalarType::Float},
    NamedType{"F16", c10::ScalarType::Half},
    NamedType{"BF16", c10::ScalarType::BFloat16},
    NamedType{"I64", c10::ScalarType::Long},
    NamedType{"I32", c10::ScalarType::Int},
    NamedType{"I16", c10::ScalarType::Short},
    NamedType{"I8", c10::ScalarType::Char},
    NamedType{"U64", c10::ScalarType::UInt64},
    NamedType{"U32", c10::ScalarType::UInt32},
    NamedType{"U16", c10::ScalarType::UInt16},
    NamedType{"U8", c10::ScalarType::Byte},
    NamedType{"BOOL", c10::ScalarType::Bool},
    NamedType{"F8_E4M3", c10::ScalarType::Float8_e4m3fn},
    NamedType{"F8_E5M2", c10::ScalarType::Float8_e5m2},
    NamedType{"F8_E8M0", c10::ScalarType::Float8_e8m0fnu},
    NamedType{"C64", c10::ScalarType::ComplexFloat},
};

}  // namespace

int64_t TensorInfo::elements() const {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

std::string_view stored_dtype_name(c10::ScalarType type) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(),
                                   [&](const NamedType& entry) { return entry.type == type; });
  return found == kTypes.end() ? std::string_view() : found->name;
}

std::optional<c10::ScalarType> scalar_type_of(std::string_view stored_dtype_name) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(), [&](const NamedType& entry) {
    return entry.name == stored_dtype_name;
  });
  if (found == kTypes.end()) return std::nullopt;
  return found->type;
}

WeightFile::WeightFile(std::filesystem::path file)
    : path_(std::move(file)), map_(std::make_shared<const MappedFile>(path_)) {
  if (map_->view().starts_with("version https://git-lfs")) {
    fail("{}: this is a Git LFS pointer, not the weights; fetch them with: git lfs pull",
         path_.string());
  }
  data_ = map_->view();
}

std::vector<std::string> WeightFile::names() const {
  std::vector<std::string> all;
  all.reserve(tensors_.size());
  for (const auto& [name, info] : tensors_) all.push_back(name);
  return all;
}

bool WeightFile::has(std::string_view name) const { return tensors_.count(name) != 0; }

const TensorInfo& WeightFile::info(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    const std::string nearest = nearest_name(name, names());
    fail("{}: no tensor '{}'{}", path_.string(), printable_name(name),
         nearest.empty() ? "" : fmt::format("; did you mean '{}'?", printable_name(nearest)));
  }
  return found->second;
}

at::Tensor WeightFile::tensor(std::string_view name) const {
  const TensorInfo& tensor_info = info(name);
  if (!tensor_info.scalar_type) {
    fail("{}: tensor '{}': dtype {} is not supported; known: {}", path_.string(),
         printable_name(name), printable_name(tensor_info.dtype), [] {
           std::string known;
           for (const NamedType& entry : kTypes)
             known += (known.empty() ? "" : ", ") + std::string(entry.name);
           return known;
         }());
  }
  const std::string_view bytes = data_.substr(tensor_info.begin, tensor_info.bytes());
  const at::TensorOptions options(*tensor_info.scalar_type);
  if (bytes.empty()) return at::empty(tensor_info.shape, options);
  if (*tensor_info.scalar_type == c10::ScalarType::Bool) {
    // Any other value in a bool is undefined behaviour in whatever reads it.
    const auto odd = std::find_if(bytes.begin(), bytes.end(),
                                  [](char byte) { return static_cast<unsigned char>(byte) > 1; });
    if (odd != bytes.end()) {
      fail("{}: tensor '{}': element {} of a BOOL tensor is the byte {}, 0 or 1 is needed",
           path_.string(), printable_name(name), odd - bytes.begin(),
           static_cast<int>(static_cast<unsigned char>(*odd)));
    }
  }
  const bool strided = !tensor_info.strides.empty();
  const auto item_bytes = options.dtype().itemsize();
  if (reinterpret_cast<uintptr_t>(bytes.data()) % item_bytes != 0) {
    const auto items = static_cast<int64_t>(bytes.size() / item_bytes);
    at::Tensor copy = at::empty(strided ? at::IntArrayRef(items) : tensor_info.shape, options);
    std::memcpy(copy.mutable_data_ptr(), bytes.data(), bytes.size());
    return strided ? copy.as_strided(tensor_info.shape, tensor_info.strides) : copy;
  }
  // from_blob wants a pointer to writable bytes; nobody writes to weights (see the header).
  auto* data = const_cast<char*>(bytes.data());
  const auto keep_map = [map = map_](void*) {};
  if (!strided) return at::from_blob(data, tensor_info.shape, keep_map, options);
  return at::from_blob(data, tensor_info.shape, tensor_info.strides, keep_map, options);
}

size_t WeightFile::offset_of(const TensorInfo& tensor) const {
  return static_cast<size_t>(data_.data() - map_->data()) + tensor.begin;
}

void WeightFile::release(std::string_view name) const {
  const TensorInfo& tensor_info = info(name);
  map_->release(offset_of(tensor_info), tensor_info.bytes());
}

void WeightFile::forget(std::string_view name) const {
  release(name);  // pages that are mapped stay
  const int descriptor = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return;  // it is only advice
  const TensorInfo& tensor_info = info(name);
  posix_fadvise(descriptor, static_cast<off_t>(offset_of(tensor_info)),
                static_cast<off_t>(tensor_info.bytes()), POSIX_FADV_DONTNEED);
  close(descriptor);
}

}  // namespace elastikv
