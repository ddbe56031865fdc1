#include "base/files.h"

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace {

/// What this program's own fsync saw, and what it is to answer.
struct Disk {
  std::vector<std::string> synchronized;  // "file", "folder", in order
  int interruptions = 0;                  // answers EINTR so many times first
  int failure = 0;                        // errno of every call for a file; 0: none
};
Disk disk;

}  // namespace

/// Stands before the C library's.
extern "C" int fsync(int descriptor) {
  if (disk.interruptions > 0) {
    --disk.interruptions;
    errno = EINTR;
    return -1;
  }
  struct stat status {};
  fstat(descriptor, &status);
  const bool folder = S_ISDIR(status.st_mode);
  if (disk.failure != 0 && !folder) {
    errno = disk.failure;
    return -1;
  }
  disk.synchronized.emplace_back(folder ? "folder" : "file");
  return static_cast<int>(syscall(SYS_fsync, descriptor));
}

namespace elastikv {
namespace {

class AtomicWrite : public testing::Test {
 protected:
  AtomicWrite() { disk = Disk{}; }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      all.push_back(entry.path().filename().string());
    return all;
  }
  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "table.md";
};

TEST_F(AtomicWrite, TheBytesAreOnTheDiskBeforeTheName) {
  write_file_atomically(file_, "one");
  EXPECT_EQ(read_file(file_), "one");
  EXPECT_EQ(disk.synchronized, (std::vector<std::string>{"file", "folder"}));
  write_file_atomically(file_, "two");
  EXPECT_EQ(read_file(file_), "two");
  EXPECT_EQ(names(), std::vector<std::string>{"table.md"});
}

TEST_F(AtomicWrite, AnInterruptedCallIsMadeAgain) {
  disk.interruptions = 3;
  write_file_atomically(file_, "one");
  EXPECT_EQ(read_file(file_), "one");
  EXPECT_EQ(disk.synchronized, (std::vector<std::string>{"file", "folder"}));
}

TEST_F(AtomicWrite, AFailureLeavesTheOldFileAndNothingBesideIt) {
  write_file_atomically(file_, "old");
  disk.failure = EIO;
  EXPECT_ERROR(write_file_atomically(file_, "new"),
               file_.string() + ": cannot write: Input/output error");
  EXPECT_EQ(read_file(file_), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"table.md"});
}

TEST_F(AtomicWrite, ANameThatCannotBeTakenLeavesNoTemporaryFile) {
  std::filesystem::create_directory(file_);
  EXPECT_ERROR(write_file_atomically(file_, "new"),
               file_.string() + ": cannot write: Is a directory");
  EXPECT_EQ(names(), std::vector<std::string>{"table.md"});
}

TEST_F(AtomicWrite, AFileWithoutAFolderIsInTheCurrentOne) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  write_file_atomically("plain", "one");
  std::filesystem::current_path(before);
  EXPECT_EQ(read_file(folder_.path() / "plain"), "one");
}

}  // namespace
}  // namespace elastikv
