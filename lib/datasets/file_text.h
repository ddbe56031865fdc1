#pragma once

#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "datasets/problems.h"

namespace elastikv {

/// Nothing but white space.
bool is_blank(std::string_view text);

/// The text of a data file, as valid UTF-8 without a byte order mark and with "\n" as line ends.
class FileText {
 public:
  /// No text, which keeps texts all the same: of a data set whose files are no text.
  FileText() = default;
  /// Error when the file cannot be read, holds nothing, or is of an encoding or a container that is
  /// recognised as another one (UTF-16, Parquet, gzip, zip). Broken bytes are noted line by line,
  /// as Latin-1 where they look like it,
  /// and replaced, so that what else is wrong is found too.
  FileText(const std::filesystem::path& file, Problems& problems);

  FileText(const FileText&) = delete;
  FileText& operator=(const FileText&) = delete;

  std::string_view view() const { return text_; }
  /// Keeps a text that views may point to as long as this object lives.
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

 private:
  std::string text_;
  std::deque<std::string> kept_;
};

}  // namespace elastikv
