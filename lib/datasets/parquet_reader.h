#pragma once

#include <functional>
#include <vector>

#include "datasets/readers.h"

namespace elastikv {

/// Reads the rows of Reading::parquet by DataOptions::columns.
void read_parquet_by_columns(const Reading& reading);

/// The rows of Reading::parquet as items: objects of the columns that readers of items look at,
/// with the images whose bytes the files hold.
std::vector<Item> parquet_items(const Reading& reading);

}  // namespace elastikv
