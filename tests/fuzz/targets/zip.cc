// The input is a zip archive.

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "weights/zip_archive.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view archive = fuzz::text_of(data, size);
  fuzz::accepted([&] {
    std::vector<std::pair<const char*, const char*>> spans;
    for (const auto& [name, bytes] : read_zip(archive, "w.zip")) {
      if (bytes.empty()) continue;
      spans.emplace_back(bytes.data(), bytes.data() + bytes.size());
      fuzz::require(bytes.data() >= archive.data() &&
                        bytes.data() + bytes.size() <= archive.data() + archive.size(),
                    "a member lies inside its archive");
    }
    std::sort(spans.begin(), spans.end());
    for (size_t i = 1; i < spans.size(); ++i) {
      fuzz::require(spans[i - 1].second <= spans[i].first, "members do not overlap");
    }
  });
  return 0;
}
