#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace elastikv::fuzz {

/// A folder for readers that take paths. It lies in memory where the system has such a place, so
/// that an input costs microseconds, and goes with the object; $TMPDIR, where it is set, is used
/// instead (scripts/fuzz.sh clears up there after a crash).
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Makes the file hold `bytes` and returns its path.
  std::filesystem::path write(const std::string& name, std::string_view bytes) const;
  /// The same, or no such file when `bytes` are empty.
  void write_unless_empty(const std::string& name, std::string_view bytes) const;

 private:
  std::filesystem::path path_;
};

}  // namespace elastikv::fuzz
