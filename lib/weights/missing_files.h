#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace elastikv {

/// The weight files that a folder lacks: the shards that its index lists and that are not there, or
/// one entry that names all forms (see Checkpoint) where there are no weights at all; empty when
/// every file is there. Opens none but the index; Error for one that is not sound.
std::vector<std::string> missing_weight_files(const std::filesystem::path& folder);

}  // namespace elastikv
