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

/// Whether a comma list has an entry.
bool names(const std::string& list, std::string_view wanted) {
  std::istringstream entries(list);
  for (std::string entry; std::getline(entries, entry, ',');) {
    if (entry == wanted) return true;
  }
  return false;
}

/// Where a hierarchy of groups can be seen.
struct Mount {
  fs::path point;
  std::string group;  // that lies at the point; "/" mostly, a container's own in some
  bool version2 = false;
};

/// Those that may say something of a controller ("memory", "cpu").
std::vector<Mount> mounts(const fs::path& root, std::string_view controller) {
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
    const bool version2 = type == "cgroup2";
    if (!version2 && (type != "cgroup" || !names(options, controller))) continue;
    found.push_back({root / fs::path(point).relative_path(), group, version2});
  }
  return found;
}

/// The process's group in a hierarchy, as /proc/self/cgroup has it.
std::string own_group(const fs::path& root, bool version2, std::string_view controller) {
  std::ifstream lines(root / "proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    // NUMBER:CONTROLLERS:GROUP, with 0 and no controllers for version 2
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool same = version2 ? line.starts_with("0::") : names(controllers, controller);
    if (same) return line.substr(second + 1);
  }
  return "/";
}

/// A folder of a group that the process is in.
struct Group {
  fs::path folder;
  bool version2 = false;
};

/// The process's groups that may limit a controller: its own and those around it, as far as they
/// can be seen.
std::vector<Group> groups_of(const fs::path& root, std::string_view controller) {
  std::vector<Group> groups;
  for (const Mount& mount : mounts(root, controller)) {
    const fs::path group =
        fs::path(own_group(root, mount.version2, controller)).lexically_relative(mount.group);
    // A group outside what is mounted cannot be walked to; what is mounted is around it then.
    std::vector<Group> chain{{mount.point, mount.version2}};
    for (const fs::path& part : group) {
      if (part == "..") {
        chain.resize(1);
        break;
      }
      if (part != ".") chain.push_back({chain.back().folder / part, mount.version2});
    }
    groups.insert(groups.end(), chain.begin(), chain.end());
  }
  return groups;
}

/// The processors that a group's quota lets run at a time; nothing without a quota.
std::optional<double> quota_of(const Group& group) {
  std::optional<int64_t> quota;
  std::optional<int64_t> period;
  if (group.version2) {
    std::ifstream file(group.folder / "cpu.max");  // "200000 100000", "max 100000"
    std::string first;
    int64_t value = 0;
    int64_t every = 0;
    if (file >> first >> every && parse_int(first, value)) {
      quota = value;
      period = every;
    }
  } else {
    quota = number_in(group.folder / "cpu.cfs_quota_us");
    period = number_in(group.folder / "cpu.cfs_period_us");
  }
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

}  // namespace

std::optional<int64_t> control_group_room(const fs::path& root) {
  std::optional<int64_t> least;
  for (const Group& group : groups_of(root, "memory")) {
    const Version& version = group.version2 ? kVersion2 : kVersion1;
    const std::optional<int64_t> used = number_in(group.folder / version.used);
    if (!used) continue;
    for (const char* file : version.limits) {
      if (const auto limit = number_in(group.folder / file))
        take_least(least, *limit - *used + file_pages(group.folder, version));
    }
  }
  return least;
}

std::optional<double> control_group_processors(const fs::path& root) {
  std::optional<double> least;
  for (const Group& group : groups_of(root, "cpu")) {
    if (const auto quota = quota_of(group)) least = std::min(*quota, least.value_or(*quota));
  }
  return least;
}

}  // namespace elastikv
