#pragma once

#include "base/keys_fwd.h"
#include "datasets/columns.h"

namespace elastikv {

/// The keys of `columns` in an entry of a sweep's `data`.
const Keys<DataColumns>& column_keys();

/// The keys of `images_from` there.
const Keys<ImageTable>& image_table_keys();

/// The keys of `prompt_parts`.
const Keys<PromptParts>& part_keys();

}  // namespace elastikv
