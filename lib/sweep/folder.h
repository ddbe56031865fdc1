#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/files.h"
#include "sweep/records.h"

namespace elastikv {

// The files of a sweep's output folder, for those in this room who read and write them.

inline constexpr const char* kRecordsFile = "records.jsonl";
inline constexpr const char* kRecordsStem = "records";
inline constexpr const char* kDetailsStem = "details";
inline constexpr const char* kHeaderFile = "sweep.json";
inline constexpr const char* kSamplesFile = "samples.jsonl";
inline constexpr const char* kDetailsFile = "details.jsonl";

inline SweepHeader read_header(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kHeaderFile;
  return parse_header(read_file(file), file.string());
}

/// Calls `use` with every complete line; returns their length in bytes.
template <typename Use>
size_t each_line(std::string_view text, Use use) {
  size_t start = 0;
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', start)) {
    use(text.substr(start, end - start));
    start = end + 1;
  }
  return start;
}

/// The same with a file's lines and their places ("FILE:LINE").
template <typename Use>
size_t read_lines(const std::filesystem::path& file, Use use) {
  const MappedFile mapped(file);
  int64_t number = 0;
  return each_line(mapped.view(), [&](std::string_view line) {
    use(line, fmt::format("{}:{}", file.string(), ++number));
  });
}

/// Calls `use` with the record of every complete line, in their order; returns the lines' length in
/// bytes. Threads share the parsing. Error with the file and the line of the first damaged one.
size_t read_records(const std::filesystem::path& file, const Scorers& scorers,
                    const std::function<void(Record)>& use);

}  // namespace elastikv
