#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace elastikv {

/// Whether something is there. Unlike std::filesystem's, Error naming the path and the system's
/// reason where that cannot be told: a name that is too long, a folder that may not be entered.
bool path_exists(const std::filesystem::path& path);
/// Whether a folder is there, with the same errors.
bool is_folder(const std::filesystem::path& path);

/// The whole file as bytes; Error naming the file and the system's reason when it cannot be read.
std::string read_file(const std::filesystem::path& file);

/// Replaces a file in one step (temporary file in the same folder, then rename), so that a reader
/// never sees half of it and a power cut leaves the old file or the new one, whole: file and folder
/// are on the disk when it returns. Error when the folder is not writable or the disk is full; the
/// temporary file is gone then, and the old one as it was.
void write_file_atomically(const std::filesystem::path& file, std::string_view bytes);

/// Writes to an open file and returns when the bytes are on the disk. Error naming `file` and the
/// system's reason when the disk is full.
void append_durably(int descriptor, std::string_view bytes, const std::filesystem::path& file);

/// A read-only memory map of a whole file. Pages are loaded on first touch and shared between
/// processes.
class MappedFile {
 public:
  /// Error naming the file and the system's reason; an empty file maps to size 0.
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view view() const { return {data_, size_}; }

  /// Lets the system take back the memory behind bytes that will not be needed soon; they are read
  /// from the file again when they are. Nothing else changes, and neighbours on the same pages may
  /// be taken back with them.
  void release(size_t offset, size_t size) const;

 private:
  const char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace elastikv
