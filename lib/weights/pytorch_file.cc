#include "weights/pytorch_file.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/error.h"
#include "weights/state_dict_pickle.h"
#include "weights/tensor_names.h"
#include "weights/zip_archive.h"

namespace elastikv {
namespace {

using Members = std::map<std::string, std::string_view, std::less<>>;

/// How a file from before 1.6 begins: the pickle of a number that torch chose.
constexpr std::string_view kOldBeginning(
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
constexpr std::string_view kPickle = "/data.pkl";

/// The archive's only folder, with its slash.
std::string root_of(const Members& members, const std::string& file) {
  for (const auto& [name, bytes] : members) {
    if (name.ends_with(kPickle) && name.find('/') == name.size() - kPickle.size())
      return name.substr(0, name.size() - kPickle.size() + 1);
  }
  fail("{}: a zip archive without data.pkl; torch.save writes one", file);
}

bool contiguous(c10::IntArrayRef shape, c10::IntArrayRef strides) {
  int64_t expected = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) continue;
    if (strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

}  // namespace

PytorchFile::PytorchFile(std::filesystem::path file) : WeightFile(std::move(file)) {
  const std::string path = path_.string();
  if (data_.starts_with(kOldBeginning)) {
    fail(
        "{}: written by torch.save before PyTorch 1.6, in a form that is not read; convert it in "
        "Python: torch.save(torch.load(FILE, weights_only=True), FILE)",
        path);
  }
  const Members members = read_zip(data_, path);
  const std::string root = root_of(members, path);
  // Before PyTorch 2.1 the byte order was not written.
  if (const auto order = members.find(root + "byteorder");
      order != members.end() && order->second != "little") {
    fail("{}: byte order is '{}', only little is read", path, printable_name(order->second));
  }
  for (auto& [name, tensor] : read_state_dict(members.at(root + "data.pkl"), path)) {
    const auto storage = members.find(fmt::format("{}data/{}", root, tensor.storage));
    if (storage == members.end()) {
      fail("{}: tensor '{}': its storage data/{} is missing", path, printable_name(name),
           printable_name(tensor.storage));
    }
    TensorInfo info = located(name, tensor, storage->second);
    tensors_.emplace(std::move(name), std::move(info));
  }
}

TensorInfo PytorchFile::located(std::string_view name, const PickledTensor& tensor,
                                std::string_view storage) const {
  const auto problem = [&](const std::string& text) {
    fail("{}: tensor '{}': {}", path_.string(), printable_name(name), text);
  };
  if (static_cast<uint64_t>(tensor.storage_bytes) != storage.size()) {
    problem(fmt::format("its storage data/{} has {} bytes, not {}", printable_name(tensor.storage),
                        storage.size(), tensor.storage_bytes));
  }
  if (tensor.shape.size() != tensor.strides.size()) {
    problem(fmt::format("shape {} and strides {} differ in length", shape_text(tensor.shape),
                        shape_text(tensor.strides)));
  }
  TensorInfo info;
  info.dtype = stored_dtype_name(tensor.dtype);
  info.scalar_type = tensor.dtype;
  info.shape = tensor.shape;
  const auto item_bytes = static_cast<int64_t>(c10::elementSize(tensor.dtype));
  const int64_t available = tensor.storage_bytes / item_bytes;

  // Zeros count as ones in the product, as torch derives strides from the other sizes. `last` is
  // the offset of the last element; numbers below zero are refused before they are used.
  int64_t product = item_bytes;
  int64_t last = tensor.offset;
  bool possible = tensor.offset >= 0;
  for (size_t i = 0; i < tensor.shape.size() && possible; ++i) {
    const int64_t size = tensor.shape[i];
    int64_t reach = 0;
    possible = size >= 0 && tensor.strides[i] >= 0 &&
               !__builtin_mul_overflow(product, std::max<int64_t>(size, 1), &product) &&
               !__builtin_mul_overflow(std::max<int64_t>(size, 1) - 1, tensor.strides[i], &reach) &&
               !__builtin_add_overflow(last, reach, &last);
  }
  if (!possible) {
    problem(fmt::format("offset {}, shape {} and strides {} are not possible", tensor.offset,
                        shape_text(tensor.shape), shape_text(tensor.strides)));
  }
  const auto storage_begin = static_cast<size_t>(storage.data() - data_.data());
  if (info.elements() == 0) {
    info.begin = info.end = storage_begin;
    return info;
  }
  if (last >= available) {
    problem(fmt::format(
        "offset {}, shape {} and strides {} reach beyond its storage of {} elements", tensor.offset,
        shape_text(tensor.shape), shape_text(tensor.strides), available));
  }
  // A few bytes could otherwise stand for any number of elements.
  if (info.elements() > available) {
    problem(fmt::format("shape {} has {} elements, its storage only {}", shape_text(tensor.shape),
                        info.elements(), available));
  }
  info.begin = storage_begin + static_cast<size_t>(tensor.offset * item_bytes);
  info.end = storage_begin + static_cast<size_t>((last + 1) * item_bytes);
  if (!contiguous(tensor.shape, tensor.strides)) {
    info.strides = tensor.strides;
    // The stride along a single element says nothing, and may be any number.
    for (size_t i = 0; i < info.shape.size(); ++i) {
      if (info.shape[i] == 1 && info.strides[i] > available) info.strides[i] = 1;
    }
  }
  return info;
}

}  // namespace elastikv
