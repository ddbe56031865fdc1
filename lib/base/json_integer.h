#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace elastikv {

/// A JSON number that is an integer of int64_t's range, else nothing. `Json` is any of nlohmann's
/// types, whose get() would turn a fraction or a larger number into something else.
template <typename Json>
std::optional<int64_t> integer_in(const Json& value) {
  constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.template get<uint64_t>() <= kMost);
  return fits ? std::optional(value.template get<int64_t>()) : std::nullopt;
}

}  // namespace elastikv
