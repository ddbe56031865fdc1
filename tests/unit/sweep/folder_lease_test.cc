#include "sweep/folder_lease.h"

#include <csignal>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

TEST(FolderLease, IsOneProcessesAtATimeAndLeavesNothing) {
  const TemporaryFolder folder;
  FolderLease::require_free(folder.path());
  {
    const FolderLease lease(folder.path());
    EXPECT_TRUE(fs::exists(folder.path() / "writing/owner"));
    const std::string taken = ": another process is writing a sweep there";
    EXPECT_ERROR_CONTAINS(const FolderLease second(folder.path()), taken);
    EXPECT_ERROR_CONTAINS(FolderLease::require_free(folder.path()), taken);
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
  const FolderLease again(folder.path());
}

TEST(FolderLease, OfAKilledProcessIsTakenOver) {
  const TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    const FolderLease lease(folder.path());
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(fs::exists(folder.path() / "writing/owner"));
  FolderLease::require_free(folder.path());
  {
    const FolderLease lease(folder.path());
    EXPECT_TRUE(read_file(folder.path() / "writing/owner").starts_with(std::to_string(getpid())));
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
  // One that was killed before its line was written.
  folder.write("writing/owner", "");
  const FolderLease lease(folder.path());
}

}  // namespace
}  // namespace elastikv
