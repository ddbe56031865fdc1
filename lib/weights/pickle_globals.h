#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <c10/core/ScalarType.h>

namespace elastikv {

/// What the pickle of a state dict may ask Python for.
struct PickleGlobal {
  enum class Role {
    kOrderedDict,
    kSize,
    kTensorV2,
    kTensorV3,
    kParameter,
    kStorageType,
    kUntypedStorage,
    kDtype,
  };

  std::string_view module;
  std::string_view name;
  Role role;
  c10::ScalarType type = c10::ScalarType::Undefined;  ///< of a storage's type or a dtype
};

/// The index of a name that is known; every other one is nothing that a state dict needs.
std::optional<size_t> find_pickle_global(std::string_view module, std::string_view name);
const PickleGlobal& pickle_global(size_t index);

}  // namespace elastikv
