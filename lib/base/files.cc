#include "base/files.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace elastikv {
namespace {

std::filesystem::file_status status_of(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  // What is not there is no failure, but sets the code all the same.
  if (error && status.type() != std::filesystem::file_type::not_found) {
    fail("{}: cannot be looked at: {}", path.string(), error.message());
  }
  return status;
}

/// fsync, which a signal may interrupt before anything is wrong.
bool synchronize(int descriptor) {
  int result = 0;
  do {
    result = fsync(descriptor);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

/// Makes the name of a new file survive a power cut: it stands in the folder, which is written
/// apart from the file. Some file systems cannot do that for folders; the file itself is safe
/// there, too.
void synchronize_folder(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  const bool done = synchronize(descriptor) || errno == EINVAL || errno == ENOTSUP;
  const int reason = errno;
  close(descriptor);
  if (!done) fail("{}: cannot write: {}", folder.string(), std::strerror(reason));
}

}  // namespace

bool path_exists(const std::filesystem::path& path) {
  return std::filesystem::exists(status_of(path));
}

bool is_folder(const std::filesystem::path& path) {
  return std::filesystem::is_directory(status_of(path));
}

std::string read_file(const std::filesystem::path& file) {
  const MappedFile mapped(file);
  return std::string(mapped.view());
}

void append_durably(int descriptor, std::string_view bytes, const std::filesystem::path& file) {
  size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t got = write(descriptor, bytes.data() + written, bytes.size() - written);
    if (got < 0) {
      if (errno == EINTR) continue;
      fail("{}: cannot write: {}", file.string(), std::strerror(errno));
    }
    written += static_cast<size_t>(got);
  }
  if (!synchronize(descriptor)) fail("{}: cannot write: {}", file.string(), std::strerror(errno));
}

void write_file_atomically(const std::filesystem::path& file, std::string_view bytes) {
  std::filesystem::path temporary = file;
  temporary += fmt::format(".{}.tmp", getpid());
  const int descriptor =
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, /*mode=*/0666);
  if (descriptor < 0) fail("{}: cannot write: {}", file.string(), std::strerror(errno));
  try {
    append_durably(descriptor, bytes, file);
  } catch (...) {
    close(descriptor);
    unlink(temporary.c_str());
    throw;
  }
  close(descriptor);
  if (rename(temporary.c_str(), file.c_str()) != 0) {
    const int reason = errno;
    unlink(temporary.c_str());
    fail("{}: cannot write: {}", file.string(), std::strerror(reason));
  }
  synchronize_folder(file);
}

MappedFile::MappedFile(const std::filesystem::path& file) {
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("{}: cannot open: {}", file.string(), std::strerror(errno));
  struct stat status {};
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(descriptor);
    fail("{}: not a regular file", file.string());
  }
  size_ = static_cast<size_t>(status.st_size);
  if (size_ > 0) {
    void* address = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED) {
      const int reason = errno;
      close(descriptor);
      fail("{}: cannot map into memory: {}", file.string(), std::strerror(reason));
    }
    data_ = static_cast<const char*>(address);
  }
  close(descriptor);
}

void MappedFile::release(size_t offset, size_t size) const {
  ELASTIKV_ASSERT(offset <= size_ && size <= size_ - offset,
                  "bytes {} to {} are not inside a map of {}", offset, offset + size, size_);
  if (size == 0) return;
  // Advice goes by whole pages. The map is never written to, so that a page that is dropped comes
  // back as it was. What fails is only advice, too.
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t begin = offset - offset % page;
  madvise(const_cast<char*>(data_) + begin, offset + size - begin, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<char*>(data_), size_);
}

}  // namespace elastikv
