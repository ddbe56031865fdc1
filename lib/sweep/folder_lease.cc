#include "sweep/folder_lease.h"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fields.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPlace = "writing";
constexpr const char* kOwner = "owner";
constexpr std::chrono::seconds kSign{5};
/// An owner on another machine who shows nothing for so long has ended.
constexpr std::chrono::seconds kWatch{25};

std::string first_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

/// Since when a process runs, in the system's ticks; empty where there is none of that number.
std::string start_of(int64_t process) {
  const std::string line = first_line(fmt::format("/proc/{}/stat", process));
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return "";
  size_t at = name_end + 2;
  for (int field = 3; field < 22 && at != std::string::npos; ++field) {
    at = line.find(' ', at);
    if (at != std::string::npos) ++at;
  }
  return at == std::string::npos ? "" : line.substr(at, line.find(' ', at) - at);
}

/// Where numbers of processes mean the same ones.
std::string processes_space() {
  std::error_code ignored;
  return fmt::format("{} {}", first_line("/proc/sys/kernel/random/boot_id"),
                     fs::read_symlink("/proc/self/ns/pid", ignored).string());
}

/// "PROCESS START SPACE", a line of the owner's file.
struct Owner {
  std::string line;
  int64_t process = -1;
  std::string start;
  std::string space;

  explicit Owner(std::string text) : line(std::move(text)) {
    const size_t first = line.find(' ');
    if (first == std::string::npos) return;
    const size_t second = line.find(' ', first + 1);
    if (second == std::string::npos || !parse_int(line.substr(0, first), process)) return;
    start = line.substr(first + 1, second - first - 1);
    space = line.substr(second + 1);
  }
};

std::string own_line() {
  return fmt::format("{} {} {}", getpid(), start_of(getpid()), processes_space());
}

int64_t size_of(const fs::path& file) {
  struct stat status {};
  // Opened first: a file system that machines share may otherwise tell what it remembers.
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return -1;
  const bool known = fstat(descriptor, &status) == 0;
  close(descriptor);
  return known ? static_cast<int64_t>(status.st_size) : -1;
}

/// Whether the owner of a place lives.
bool lives(const fs::path& place) {
  const fs::path file = place / kOwner;
  const Owner owner(first_line(file));
  if (owner.process < 0) return false;  // half of a process that was killed
  if (owner.space == processes_space()) return start_of(owner.process) == owner.start;
  const int64_t size = size_of(file);
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < kWatch) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const int64_t now = size_of(file);
    if (now < 0) return false;
    if (now != size) return true;
  }
  return false;
}

void remove_place(const fs::path& place) {
  std::error_code ignored;
  fs::remove(place / kOwner, ignored);
  fs::remove(place, ignored);
}

}  // namespace

void FolderLease::require_free(const fs::path& folder) {
  std::error_code ignored;
  const fs::path place = folder / kPlace;
  if (!fs::exists(place / kOwner, ignored)) return;
  if (lives(place)) fail("{}: another process is writing a sweep there", folder.string());
}

FolderLease::FolderLease(const fs::path& folder)
    : place_(folder / kPlace), own_(folder / fmt::format("{}.{}", kPlace, getpid())) {
  std::error_code error;
  fs::create_directory(own_, error);
  {
    std::ofstream file(own_ / kOwner);
    file << own_line() << "\n";
    if (!file.flush()) error = std::make_error_code(std::errc::io_error);
  }
  if (error) {
    remove_place(own_);
    fail("{}: cannot be written to: {}", folder.string(), error.message());
  }
  while (std::rename(own_.c_str(), place_.c_str()) != 0) {
    const int reason = errno;
    const bool taken = reason == ENOTEMPTY || reason == EEXIST;
    if (!taken || lives(place_)) {
      remove_place(own_);
      if (taken) fail("{}: another process is writing a sweep there", folder.string());
      fail("{}: cannot rename: {}", own_.string(), std::strerror(reason));
    }
    // Of several that find it so one takes it away.
    const fs::path gone = folder / fmt::format("{}.gone.{}", kPlace, getpid());
    if (std::rename(place_.c_str(), gone.c_str()) == 0) remove_place(gone);
  }
  thread_ = std::thread([this] { show_life(); });
}

FolderLease::~FolderLease() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  ending_.notify_all();
  thread_.join();
  if (std::rename(place_.c_str(), own_.c_str()) == 0) remove_place(own_);
}

void FolderLease::show_life() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ending_.wait_for(lock, kSign, [&] { return ended_; })) {
    std::ofstream(place_ / kOwner, std::ios::app) << ".";
  }
}

}  // namespace elastikv
