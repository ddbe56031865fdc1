#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace elastikv {

/// Whether a folder, or one in it, holds files called *.parquet.
bool holds_parquet(const std::filesystem::path& folder);

/// The Parquet files that a path means: itself, or those of a folder and the folders in it, by
/// name; none for a file that is no Parquet. `split` chooses among those of a folder, whose names
/// tell theirs as the Hugging Face hub has it: "test" of test-00000-of-00002.parquet,
/// test.parquet and test/0000.parquet. Error when a folder has no such split, or several and none
/// is chosen.
std::vector<std::filesystem::path> parquet_files(const std::filesystem::path& path,
                                                 const std::string& split);

}  // namespace elastikv
