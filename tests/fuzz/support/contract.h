#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

// What a fuzz target is: a function over bytes. tests/fuzz/README.md has the contract.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace elastikv::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// What stands between the files of an input that is several.
inline constexpr std::string_view kCut = "\n--8<--\n";

/// An input cut at kCut into `count` parts; those that are missing are empty.
std::vector<std::string_view> parts_of(std::string_view input, size_t count);

/// Ends the program, which is how a fuzzer learns that something is wrong, unless `kept`.
void require(bool kept, std::string_view promise);

/// Runs `read`; false when it gives an Error, which needs a message and is as good an answer as a
/// result. Whatever else it throws ends the program.
template <typename Read>
bool accepted(const Read& read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    require(error.what()[0] != '\0', "an Error has a message");
    return false;
  }
}

}  // namespace elastikv::fuzz
