#pragma once

#include <string>
#include <string_view>

/// Where the sources and the programs of this build lie. paths.cc alone is compiled with the name
/// of that folder: a compiler cache filled in one clone then serves another.

/// `inside` (no slash before it) below the folder of the sources, or that which
/// $ELASTIKV_SOURCE_DIR names (scripts/bundle.sh takes tests elsewhere); that folder itself when
/// empty.
std::string source_path(std::string_view inside = {});

/// A program of this build, beside the tests.
std::string program_path(std::string_view name = "elastikv");
