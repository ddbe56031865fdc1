#include "datasets/file_text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "datasets/encoding.h"

namespace elastikv {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

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

std::string latin1_problem(unsigned char byte) {
  std::string letter;
  append_utf8(letter, windows1252_character(byte));
  return fmt::format(
      "not UTF-8 but, by its bytes, Latin-1 or Windows-1252 (0x{:02x} is '{}' there); save it as "
      "UTF-8",
      byte, letter);
}

}  // namespace

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

FileText::FileText(const std::filesystem::path& file, Problems& problems) : text_(read_file(file)) {
  const std::string_view kind = other_kind_of_file(text_);
  if (!kind.empty()) fail("{}: not UTF-8 text but {}", file.string(), kind);
  if (text_.starts_with(kByteOrderMark)) text_.erase(0, kByteOrderMark.size());
  unify_line_ends(text_);
  if (is_blank(text_)) fail("{}: the file is empty", file.string());

  bool broken = false;
  bool latin1 = false;
  int64_t line = 1;
  size_t counted = 0;  // up to here, lines are
  for (size_t at = next_broken(text_, 0); at < text_.size();) {
    if (!broken) latin1 = looks_like_latin1(text_);
    broken = true;
    line += std::count(text_.begin() + static_cast<ptrdiff_t>(counted),
                       text_.begin() + static_cast<ptrdiff_t>(at), '\n');
    counted = at;
    const auto byte = static_cast<unsigned char>(text_[at]);
    problems.add_line(
        ProblemKind::kEncoding, line,
        latin1 ? latin1_problem(byte) : fmt::format("not UTF-8 (byte 0x{:02x})", byte));
    const size_t end = text_.find('\n', at);
    if (end == std::string::npos) break;
    at = next_broken(text_, end);
  }
  if (broken) text_ = replace_broken_utf8(text_);
}

}  // namespace elastikv
