#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <c10/core/ScalarType.h>

namespace elastikv {

/// A tensor as the pickle of a state dict describes it; nothing of it is checked against the
/// storage yet. Numbers count elements.
struct PickledTensor {
  /// Name of the file of its storage, in the archive's folder `data`; points into the pickle.
  std::string_view storage;
  /// Bytes that the storage is said to have.
  int64_t storage_bytes;
  c10::ScalarType dtype;
  int64_t offset;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
};

/// Reads the pickle (protocol 2 to 5) of a dictionary from names to tensors, as torch.save writes
/// it for a model's state_dict(); also one that is the only entry, 'model' or 'state_dict', of
/// another dictionary. In the pickle's order.
///
/// A pickle is a program that can call any function of Python. Here it can call none: the few names
/// that state dicts need (tensors, parameters, storages, ordered dictionaries) are known by what
/// they would give, and any other name or instruction is an Error. So is a pickle that is cut off,
/// broken, or larger in any way than a state dict could be; time and memory are proportional to its
/// bytes whatever it holds.
///
/// `file` begins every message; specifications: Python's pickletools, torch/_utils.py.
std::vector<std::pair<std::string, PickledTensor>> read_state_dict(std::string_view pickle,
                                                                   std::string_view file);

}  // namespace elastikv
