#include "weights/pickle_globals.h"

#include <algorithm>
#include <array>

namespace elastikv {
namespace {

using Role = PickleGlobal::Role;

constexpr std::array kGlobals{
    PickleGlobal{"collections", "OrderedDict", Role::kOrderedDict},
    PickleGlobal{"torch", "Size", Role::kSize},
    PickleGlobal{"torch._utils", "_rebuild_tensor_v2", Role::kTensorV2},
    PickleGlobal{"torch._utils", "_rebuild_tensor_v3", Role::kTensorV3},
    PickleGlobal{"torch._utils", "_rebuild_parameter", Role::kParameter},
    PickleGlobal{"torch", "DoubleStorage", Role::kStorageType, c10::ScalarType::Double},
    PickleGlobal{"torch", "FloatStorage", Role::kStorageType, c10::ScalarType::Float},
    PickleGlobal{"torch", "HalfStorage", Role::kStorageType, c10::ScalarType::Half},
    PickleGlobal{"torch", "BFloat16Storage", Role::kStorageType, c10::ScalarType::BFloat16},
    PickleGlobal{"torch", "LongStorage", Role::kStorageType, c10::ScalarType::Long},
    PickleGlobal{"torch", "IntStorage", Role::kStorageType, c10::ScalarType::Int},
    PickleGlobal{"torch", "ShortStorage", Role::kStorageType, c10::ScalarType::Short},
    PickleGlobal{"torch", "CharStorage", Role::kStorageType, c10::ScalarType::Char},
    PickleGlobal{"torch", "ByteStorage", Role::kStorageType, c10::ScalarType::Byte},
    PickleGlobal{"torch", "BoolStorage", Role::kStorageType, c10::ScalarType::Bool},
    PickleGlobal{"torch", "ComplexFloatStorage", Role::kStorageType, c10::ScalarType::ComplexFloat},
    PickleGlobal{"torch", "UntypedStorage", Role::kUntypedStorage},
    PickleGlobal{"torch.storage", "UntypedStorage", Role::kUntypedStorage},
    PickleGlobal{"torch", "float64", Role::kDtype, c10::ScalarType::Double},
    PickleGlobal{"torch", "float32", Role::kDtype, c10::ScalarType::Float},
    PickleGlobal{"torch", "float16", Role::kDtype, c10::ScalarType::Half},
    PickleGlobal{"torch", "bfloat16", Role::kDtype, c10::ScalarType::BFloat16},
    PickleGlobal{"torch", "int64", Role::kDtype, c10::ScalarType::Long},
    PickleGlobal{"torch", "int32", Role::kDtype, c10::ScalarType::Int},
    PickleGlobal{"torch", "int16", Role::kDtype, c10::ScalarType::Short},
    PickleGlobal{"torch", "int8", Role::kDtype, c10::ScalarType::Char},
    PickleGlobal{"torch", "uint64", Role::kDtype, c10::ScalarType::UInt64},
    PickleGlobal{"torch", "uint32", Role::kDtype, c10::ScalarType::UInt32},
    PickleGlobal{"torch", "uint16", Role::kDtype, c10::ScalarType::UInt16},
    PickleGlobal{"torch", "uint8", Role::kDtype, c10::ScalarType::Byte},
    PickleGlobal{"torch", "bool", Role::kDtype, c10::ScalarType::Bool},
    PickleGlobal{"torch", "complex64", Role::kDtype, c10::ScalarType::ComplexFloat},
    PickleGlobal{"torch", "float8_e4m3fn", Role::kDtype, c10::ScalarType::Float8_e4m3fn},
    PickleGlobal{"torch", "float8_e5m2", Role::kDtype, c10::ScalarType::Float8_e5m2},
    PickleGlobal{"torch", "float8_e8m0fnu", Role::kDtype, c10::ScalarType::Float8_e8m0fnu},
};

}  // namespace

std::optional<size_t> find_pickle_global(std::string_view module, std::string_view name) {
  const auto* found = std::find_if(
      kGlobals.begin(), kGlobals.end(),
      [&](const PickleGlobal& global) { return global.module == module && global.name == name; });
  if (found == kGlobals.end()) return std::nullopt;
  return static_cast<size_t>(found - kGlobals.begin());
}

const PickleGlobal& pickle_global(size_t index) { return kGlobals.at(index); }

}  // namespace elastikv
