#pragma once

#include <filesystem>

#include "parquet/table.h"

namespace elastikv {

/// Whether a file is Parquet by its name or its first bytes.
bool is_parquet(const std::filesystem::path& file);

/// The shared module that knows Arrow, libelastikv_parquet.so: in ../lib beside the program's
/// folder; where this code is part of a shared library, in lib beside that.
std::filesystem::path parquet_module();

/// Opens a Parquet file. Error naming the file when it is damaged or not Parquet, when it needs
/// more memory than its size explains, and, with how to get it, when the program is without Arrow.
/// The same goes for the table's functions.
ParquetTable open_parquet(const std::filesystem::path& file,
                          const std::filesystem::path& module = parquet_module());

}  // namespace elastikv
