#pragma once

#include <stdexcept>
#include <utility>

#include <arrow/result.h>
#include <arrow/status.h>

namespace elastikv::parquet_module {

/// Arrow's failures as exceptions.
inline void check(const arrow::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.message());
}
template <typename T>
T checked(arrow::Result<T> result) {
  check(result.status());
  return std::move(result).ValueUnsafe();
}

}  // namespace elastikv::parquet_module
