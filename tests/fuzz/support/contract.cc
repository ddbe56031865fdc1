#include "fuzz/support/contract.h"

#include <cstdio>
#include <cstdlib>

namespace elastikv::fuzz {

std::vector<std::string_view> parts_of(std::string_view input, size_t count) {
  std::vector<std::string_view> parts;
  while (parts.size() + 1 < count) {
    const size_t cut = input.find(kCut);
    parts.push_back(input.substr(0, cut));
    input = cut == std::string_view::npos ? std::string_view() : input.substr(cut + kCut.size());
  }
  parts.push_back(input);
  return parts;
}

void require(bool kept, std::string_view promise) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %.*s\n", static_cast<int>(promise.size()), promise.data());
  std::abort();
}

}  // namespace elastikv::fuzz
