#pragma once

#include <string>
#include <string_view>

#include "datasets/dataset.h"

namespace elastikv::fuzz {

/// Reads a data file of this name with the settings that `options` chooses, and checks what every
/// reader promises of samples. Images are looked for beside the tests' data.
void read_data_file(const std::string& name, std::string_view bytes, DataOptions options);

}  // namespace elastikv::fuzz
