#include "parquet/module/cells.h"

#include <charconv>
#include <cmath>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <arrow/extension_type.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/util/utf8.h>

namespace elastikv::parquet_module {
namespace {

using Json = nlohmann::json;

constexpr int64_t kBytesOfAValue = 64;  // of JSON, about

template <typename Array>
const Array& as(const arrow::Array& values) {
  return static_cast<const Array&>(values);
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

/// The double with as many digits as the single has: 0.1, not 0.10000000149011612.
Json number(float value) {
  if (!std::isfinite(value)) return Json();
  char text[32];
  const auto end = std::to_chars(std::begin(text), std::end(text), value).ptr;
  double shortest = 0;
  std::from_chars(std::begin(text), end, shortest);
  return Json(shortest);
}

std::string_view bytes_of(const arrow::Array& values, int64_t at) {
  switch (values.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return as<arrow::BinaryArray>(values).GetView(at);
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return as<arrow::LargeBinaryArray>(values).GetView(at);
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW:
      return as<arrow::BinaryViewArray>(values).GetView(at);
    default:
      return as<arrow::FixedSizeBinaryArray>(values).GetView(at);
  }
}

Json text(const arrow::Array& values, int64_t at, Budget& budget) {
  const std::string_view view = bytes_of(values, at);
  budget.spend(static_cast<int64_t>(view.size()));
  if (!arrow::util::ValidateUTF8(view)) throw BrokenText();
  return Json(std::string(view));
}

/// The part of a list's values that one entry is, and their array; null: not a list.
struct Part {
  std::shared_ptr<arrow::Array> values;
  int64_t begin = 0;
  int64_t size = 0;
};
template <typename Array>
Part part_of(const arrow::Array& lists, int64_t at) {
  const auto& typed = as<Array>(lists);
  return {typed.values(), typed.value_offset(at), typed.value_length(at)};
}
Part list_part(const arrow::Array& values, int64_t at) {
  switch (values.type_id()) {
    case arrow::Type::LIST:
    case arrow::Type::MAP:
      return part_of<arrow::ListArray>(values, at);
    case arrow::Type::LARGE_LIST:
      return part_of<arrow::LargeListArray>(values, at);
    case arrow::Type::FIXED_SIZE_LIST:
      return part_of<arrow::FixedSizeListArray>(values, at);
    default:
      return {};
  }
}

/// What a dictionary's value is; Error for an index beyond its end.
std::pair<std::shared_ptr<arrow::Array>, int64_t> looked_up(const arrow::Array& values,
                                                            int64_t at) {
  const auto& coded = as<arrow::DictionaryArray>(values);
  const int64_t index = coded.GetValueIndex(at);
  if (index < 0 || index >= coded.dictionary()->length())
    throw std::runtime_error("a value refers to an entry that its dictionary has not");
  return {coded.dictionary(), index};
}

Json object_of(const arrow::StructArray& values, int64_t at, Budget& budget) {
  Json object = Json::object();
  for (int field = 0; field < values.num_fields(); ++field)
    object[values.struct_type()->field(field)->name()] = cell(*values.field(field), at, budget);
  return object;
}

}  // namespace

void Budget::spend(int64_t bytes) {
  left_ -= bytes;
  if (left_ < 0)
    throw std::runtime_error("its values take more memory than a file of its size explains");
}

bool is_bytes(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::FIXED_SIZE_BINARY:
      return true;
    case arrow::Type::DICTIONARY:
      return is_bytes(*static_cast<const arrow::DictionaryType&>(type).value_type());
    case arrow::Type::EXTENSION:
      return is_bytes(*static_cast<const arrow::ExtensionType&>(type).storage_type());
    default:
      return false;
  }
}

Json cell(const arrow::Array& values, int64_t at, Budget& budget) {
  budget.spend(kBytesOfAValue);
  if (values.IsNull(at)) return Json();
  if (is_bytes(*values.type())) return Json::binary(std::vector<uint8_t>());
  switch (values.type_id()) {
    case arrow::Type::BOOL:
      return as<arrow::BooleanArray>(values).Value(at);
    case arrow::Type::INT8:
      return as<arrow::Int8Array>(values).Value(at);
    case arrow::Type::INT16:
      return as<arrow::Int16Array>(values).Value(at);
    case arrow::Type::INT32:
      return as<arrow::Int32Array>(values).Value(at);
    case arrow::Type::INT64:
      return as<arrow::Int64Array>(values).Value(at);
    case arrow::Type::UINT8:
      return as<arrow::UInt8Array>(values).Value(at);
    case arrow::Type::UINT16:
      return as<arrow::UInt16Array>(values).Value(at);
    case arrow::Type::UINT32:
      return as<arrow::UInt32Array>(values).Value(at);
    case arrow::Type::UINT64:
      return as<arrow::UInt64Array>(values).Value(at);
    case arrow::Type::FLOAT:
      return number(as<arrow::FloatArray>(values).Value(at));
    case arrow::Type::DOUBLE:
      return number(as<arrow::DoubleArray>(values).Value(at));
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW:
      return text(values, at, budget);
    case arrow::Type::STRUCT:
      return object_of(as<arrow::StructArray>(values), at, budget);
    case arrow::Type::DICTIONARY: {
      const auto [dictionary, index] = looked_up(values, at);
      return cell(*dictionary, index, budget);
    }
    case arrow::Type::EXTENSION:
      return cell(*as<arrow::ExtensionArray>(values).storage(), at, budget);
    default:
      break;
  }
  if (const Part part = list_part(values, at); part.values != nullptr) {
    Json list = Json::array();
    for (int64_t i = 0; i < part.size; ++i)
      list.push_back(cell(*part.values, part.begin + i, budget));
    return list;
  }
  const auto scalar = values.GetScalar(at);
  if (!scalar.ok()) throw std::runtime_error(scalar.status().message());
  return Json((*scalar)->ToString());
}

void append_bytes(const arrow::Array& values, int64_t at,
                  std::vector<std::optional<std::string>>& bytes) {
  if (const Part part = list_part(values, at); part.values != nullptr) {
    if (values.IsNull(at)) return;
    for (int64_t i = 0; i < part.size; ++i) append_bytes(*part.values, part.begin + i, bytes);
    return;
  }
  if (values.IsNull(at)) {
    bytes.emplace_back();
    return;
  }
  switch (values.type_id()) {
    case arrow::Type::STRUCT:  // of the one member that was read
      append_bytes(*as<arrow::StructArray>(values).field(0), at, bytes);
      return;
    case arrow::Type::DICTIONARY: {
      const auto [dictionary, index] = looked_up(values, at);
      append_bytes(*dictionary, index, bytes);
      return;
    }
    case arrow::Type::EXTENSION:
      append_bytes(*as<arrow::ExtensionArray>(values).storage(), at, bytes);
      return;
    default:
      bytes.emplace_back(bytes_of(values, at));
  }
}

}  // namespace elastikv::parquet_module
