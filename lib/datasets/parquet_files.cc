#include "datasets/parquet_files.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <system_error>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/files.h"
#include "base/nearest_name.h"
#include "parquet/open.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = ".parquet";

/// Files of a folder and of the folders in it, by name.
std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  const auto take = [&](const fs::directory_entry& entry) {
    std::error_code ignored;
    if (entry.path().extension() == kExtension && entry.is_regular_file(ignored))
      files.push_back(entry.path());
  };
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    take(entry);
    std::error_code ignored;
    if (!entry.is_directory(ignored)) continue;
    for (const fs::directory_entry& inner : fs::directory_iterator(entry.path(), ignored))
      take(inner);
  }
  if (error) fail("{}: cannot read the folder: {}", folder.string(), error.message());
  std::sort(files.begin(), files.end());
  return files;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// "test" of test-00000-of-00002.parquet, and of test/0000.parquet or test/part-0.parquet below the
/// folder.
std::string split_of(const fs::path& file, const fs::path& folder) {
  std::string name = file.stem().string();
  const size_t of = name.rfind("-of-");
  // The hub has put a hash behind the number of shards: test-00003-of-00004-53ae1794f93b1e35.
  if (of != std::string::npos) {
    const size_t hash = name.find('-', of + 4);
    if (hash != std::string::npos &&
        name.find_first_not_of("0123456789abcdef", hash + 1) == std::string::npos)
      name.resize(hash);
  }
  const size_t dash = of == std::string::npos ? of : name.rfind('-', of - 1);
  if (dash != std::string::npos && dash > 0 && of > 0 &&
      is_number(std::string_view(name).substr(dash + 1, of - dash - 1)) &&
      is_number(std::string_view(name).substr(of + 4)))
    return name.substr(0, dash);
  const fs::path above = fs::relative(file.parent_path(), folder);
  return above == "." ? name : above.filename().string();
}

}  // namespace

bool holds_parquet(const fs::path& folder) { return !files_in(folder).empty(); }

std::vector<fs::path> parquet_files(const fs::path& path, const std::string& split) {
  if (!is_folder(path)) {
    if (!is_parquet(path)) return {};
    return {path};
  }
  std::vector<fs::path> files = files_in(path);
  std::set<std::string> splits;
  for (const fs::path& file : files) splits.insert(split_of(file, path));
  if (split.empty() && splits.size() > 1)
    fail("{}: holds Parquet files of the splits {}; name one with 'split'", path.string(),
         fmt::join(splits, ", "));
  if (!split.empty() && !splits.contains(split)) {
    const std::vector<std::string> known(splits.begin(), splits.end());
    fail("{}: holds no Parquet files of the split '{}'{}", path.string(), split,
         suggestion(split, known));
  }
  if (!split.empty())
    std::erase_if(files, [&](const fs::path& file) { return split_of(file, path) != split; });
  return files;
}

}  // namespace elastikv
