#include "datasets/file_text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "text/unicode.h"

namespace elastikv {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// What a file's first bytes say it is instead of UTF-8 text; empty when they say nothing.
std::string_view other_kind(std::string_view bytes) {
  using namespace std::string_view_literals;
  constexpr std::pair<std::string_view, std::string_view> kMarks[]{
      {"\xff\xfe\0\0"sv, "UTF-32; save it as UTF-8"},
      {"\0\0\xfe\xff"sv, "UTF-32; save it as UTF-8"},
      {"\xff\xfe"sv, "UTF-16; save it as UTF-8"},
      {"\xfe\xff"sv, "UTF-16; save it as UTF-8"},
      {"PAR1"sv, "Parquet; export it as JSON lines"},
      {"\x1f\x8b"sv, "gzip; unpack it"},
      {"PK\x03\x04"sv, "a zip archive (or a spreadsheet); unpack or export it"},
  };
  for (const auto& [mark, kind] : kMarks) {
    if (bytes.starts_with(mark)) return kind;
  }
  // No text has zeros; UTF-16 without a mark has one in every other place.
  if (bytes.size() > 1 && (bytes[0] == '\0') != (bytes[1] == '\0'))
    return "UTF-16; save it as UTF-8";
  return "";
}

/// The first byte at or after `from` that begins no character, text.size() when there is none.
size_t next_broken(std::string_view text, size_t from) {
  while (from < text.size()) {
    if (static_cast<unsigned char>(text[from]) < 0x80) {
      ++from;
      continue;
    }
    const Utf8Step step = utf8_step(text, from);
    if (!step.valid) return from;
    from += step.size;
  }
  return from;
}

}  // namespace

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

FileText::FileText(const std::filesystem::path& file, Problems& problems) : text_(read_file(file)) {
  const std::string_view kind = other_kind(text_);
  if (!kind.empty()) fail("{}: not UTF-8 text but {}", file.string(), kind);
  if (text_.starts_with(kByteOrderMark)) text_.erase(0, kByteOrderMark.size());
  if (is_blank(text_)) fail("{}: the file is empty", file.string());

  bool broken = false;
  int64_t line = 1;
  size_t counted = 0;  // up to here, lines are
  for (size_t at = next_broken(text_, 0); at < text_.size();) {
    broken = true;
    line += std::count(text_.begin() + static_cast<ptrdiff_t>(counted),
                       text_.begin() + static_cast<ptrdiff_t>(at), '\n');
    counted = at;
    problems.add_line(
        ProblemKind::kEncoding, line,
        fmt::format("not UTF-8 (byte 0x{:02x})", static_cast<unsigned char>(text_[at])));
    const size_t end = text_.find('\n', at);
    if (end == std::string::npos) break;
    at = next_broken(text_, end);
  }
  if (broken) text_ = replace_broken_utf8(text_);
}

}  // namespace elastikv
