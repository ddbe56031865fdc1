// Runs a fuzz target over files, or over the files of a folder, in the order of their names: the
// corpus as a regression test, without libFuzzer.
//   REPLAY FILE|FOLDER...

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <vector>

#include <sys/resource.h>

#include "base/files.h"
#include "fuzz/support/contract.h"

namespace {

/// What one input may add to the memory in use; a sanitizer's own memory is not counted against it.
constexpr long kMostKilobytes = 512 * 1024;

long peak_kilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace

int main(int count, char** names) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < count; ++i) {
    if (!std::filesystem::is_directory(names[i])) {
      files.emplace_back(names[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(names[i])) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  int failed = 0;
  for (const std::filesystem::path& file : files) {
    // Said first: a crash would end the program before it is told which input it was.
    std::printf("%s\n", file.c_str());
    std::fflush(stdout);
    const std::string bytes = elastikv::read_file(file);
    const long before = peak_kilobytes();
    try {
      LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s: an exception that is no Error: %s\n", file.c_str(), error.what());
      ++failed;
    }
    if (!kSanitized && peak_kilobytes() - before > kMostKilobytes) {
      std::fprintf(stderr, "%s: took %ld KB of memory\n", file.c_str(), peak_kilobytes() - before);
      ++failed;
    }
  }
  if (files.empty()) {
    std::fprintf(stderr, "no inputs\n");
    return 1;
  }
  std::printf("%zu inputs, %d failed\n", files.size(), failed);
  return failed == 0 ? 0 : 1;
}
