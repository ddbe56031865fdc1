#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace elastikv {

/// What is wrong with a text that is not JSON.
struct JsonProblem {
  size_t line = 1;     ///< from 1
  size_t column = 1;   ///< from 1, in characters
  std::string reason;  ///< "NaN is not JSON (write null or a number)"
};

/// The place and the reason of an error of nlohmann's parser about this text: its `byte`, from 1,
/// and its what().
JsonProblem json_problem(std::string_view text, size_t byte, std::string_view what);

}  // namespace elastikv
