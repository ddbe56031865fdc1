#include "fuzz/support/scratch_folder.h"

#include <cstdlib>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "fuzz/support/contract.h"

namespace elastikv::fuzz {

namespace fs = std::filesystem;

ScratchFolder::ScratchFolder() {
  constexpr const char* kMemory = "/dev/shm";
  const bool in_memory = std::getenv("TMPDIR") == nullptr && access(kMemory, W_OK) == 0;
  const fs::path parent = in_memory ? fs::path(kMemory) : fs::temp_directory_path();
  std::string pattern = (parent / "elastikv-fuzz-XXXXXX").string();
  require(mkdtemp(pattern.data()) != nullptr, "a temporary folder can be made");
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path ScratchFolder::write(const std::string& name, std::string_view bytes) const {
  fs::path file = path_ / name;
  const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  require(descriptor >= 0 &&
              ::write(descriptor, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
          "the temporary folder can be written to");
  close(descriptor);
  return file;
}

void ScratchFolder::write_unless_empty(const std::string& name, std::string_view bytes) const {
  if (!bytes.empty()) {
    write(name, bytes);
  } else {
    unlink((path_ / name).c_str());
  }
}

}  // namespace elastikv::fuzz
