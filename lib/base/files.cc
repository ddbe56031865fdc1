#include "base/files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
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

void write_file_atomically(const std::filesystem::path& file, std::string_view bytes) {
  std::filesystem::path temporary = file;
  temporary += fmt::format(".{}.tmp", getpid());
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.flush();
    if (!out) fail("{}: cannot write: {}", file.string(), std::strerror(errno));
  }
  std::error_code error;
  std::filesystem::rename(temporary, file, error);
  if (error) fail("{}: cannot write: {}", file.string(), error.message());
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
