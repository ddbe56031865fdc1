#include "runtime/control_groups.h"

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/fields.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

/// The files of one version that say what a group may use and does.
struct Version {
  std::initializer_list<const char*> limits;
  const char* used;
  /// In memory.stat, of this group and those below it: pages that hold files, without those of
  /// tmpfs, which nothing can give back.
  std::initializer_list<std::string_view> files;
};
const Version kVersion1{{"memory.limit_in_bytes"},
                        "memory.usage_in_bytes",
                        {"total_active_file", "total_inactive_file"}};
const Version kVersion2{
    {"memory.max", "memory.high"}, "memory.current", {"active_file", "inactive_file"}};

/// A file that holds one number; nothing for anything else ("max").
std::optional<int64_t> number_in(const fs::path& file) {
  std::ifstream stream(file);
  std::string text;
  int64_t value = 0;
  if (!(stream >> text) || !parse_int(text, value)) return std::nullopt;
  return value;
}

int64_t file_pages(const fs::path& group, const Version& version) {
  std::ifstream lines(group / "memory.stat");
  std::string key;
  int64_t value = 0;
  int64_t pages = 0;
  while (lines >> key >> value) {
    if (std::find(version.files.begin(), version.files.end(), key) != version.files.end())
      pages += value;
  }
  return pages;
}

void take_least(std::optional<int64_t>& least, int64_t room) {
  least = std::max<int64_t>(0, std::min(room, least.value_or(room)));
}

/// Whether "memory" is an entry of a comma list.
bool names_memory(const std::string& list) {
  std::istringstream entries(list);
  for (std::string entry; std::getline(entries, entry, ',');) {
    if (entry == "memory") return true;
  }
  return false;
}

/// Where a hierarchy of groups can be seen.
struct Mount {
  fs::path point;
  std::string group;  // that lies at the point; "/" mostly, a container's own in some
  const Version* version;
};

std::vector<Mount> mounts(const fs::path& root) {
  std::vector<Mount> found;
  std::ifstream lines(root / "proc/self/mountinfo");
  for (std::string line; std::getline(lines, line);) {
    // 36 35 0:31 ROOT POINT OPTIONS [MORE...] - TYPE SOURCE OPTIONS (man 5 proc)
    std::istringstream words(line);
    std::string skipped;
    std::string group;
    std::string point;
    words >> skipped >> skipped >> skipped >> group >> point;
    std::string word;
    while (words >> word && word != "-") {
    }
    std::string type;
    std::string options;
    words >> type >> skipped >> options;
    const bool memory = names_memory(options);
    if (type != "cgroup2" && (type != "cgroup" || !memory)) continue;
    found.push_back({root / fs::path(point).relative_path(), group,
                     type == "cgroup2" ? &kVersion2 : &kVersion1});
  }
  return found;
}

/// The process's group in a hierarchy, as /proc/self/cgroup has it.
std::string own_group(const fs::path& root, const Version* version) {
  std::ifstream lines(root / "proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    // NUMBER:CONTROLLERS:GROUP, with 0 and no controllers for version 2
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool same = version == &kVersion2 ? line.starts_with("0::") : names_memory(controllers);
    if (same) return line.substr(second + 1);
  }
  return "/";
}

}  // namespace

std::optional<int64_t> control_group_room(const fs::path& root) {
  std::optional<int64_t> least;
  for (const Mount& mount : mounts(root)) {
    const fs::path group = fs::path(own_group(root, mount.version)).lexically_relative(mount.group);
    // A group outside what is mounted cannot be walked to; what is mounted is around it then.
    std::vector<fs::path> chain{mount.point};
    for (const fs::path& part : group) {
      if (part == "..") {
        chain.resize(1);
        break;
      }
      if (part != ".") chain.push_back(chain.back() / part);
    }
    for (const fs::path& folder : chain) {
      const std::optional<int64_t> used = number_in(folder / mount.version->used);
      if (!used) continue;
      for (const char* file : mount.version->limits) {
        if (const auto limit = number_in(folder / file))
          take_least(least, *limit - *used + file_pages(folder, *mount.version));
      }
    }
  }
  return least;
}

}  // namespace elastikv
