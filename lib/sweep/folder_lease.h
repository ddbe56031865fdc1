#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

namespace elastikv {

/// That a folder is one sweep's while this lives, where machines share the folder and a lock of the
/// file system may not reach from one to the other. The folder `writing` inside it names the owner,
/// who adds a letter to that file every few seconds. It comes into place by renaming, which fails
/// where one is there; that of an owner who has ended is taken away first. Nothing is asked of the
/// file system but renaming and appending.
class FolderLease final {
 public:
  /// Error when another process has it. To find out about one on another machine may take half a
  /// minute.
  explicit FolderLease(const std::filesystem::path& folder);
  ~FolderLease();
  FolderLease(const FolderLease&) = delete;
  FolderLease& operator=(const FolderLease&) = delete;

  /// The same Error where another process has the folder; takes nothing.
  static void require_free(const std::filesystem::path& folder);

 private:
  void show_life();

  std::filesystem::path place_;  // the folder `writing`
  std::filesystem::path own_;    // what it is called before and after
  std::mutex mutex_;
  std::condition_variable ending_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace elastikv
