#pragma once

#include <string>

#include "strategies/statistics.h"

namespace elastikv {

/// A copy of what a request asks for of a prompt's statistics, and nothing else of them: whoever
/// reads it cannot depend on what others asked for, nor change what they read. Of the last rows as
/// many as are asked for.
PromptStatistics copy_of(const PromptStatistics& prompt, const StatisticsRequest& request);
/// The same of one layer. `tokens_after_image`: rows that post_image_rows stands for.
LayerStatistics copy_of(const LayerStatistics& layer, const StatisticsRequest& request,
                        int64_t tokens_after_image);

/// What of a copy is no longer what it was: "layer 2's keys", or an empty text. Of tensors over
/// 1 MiB a sixteenth is looked at.
std::string changed_in(const PromptStatistics& copy, const PromptStatistics& original);
std::string changed_in(const LayerStatistics& copy, const LayerStatistics& original);
/// Whether a copy of a tensor is no longer what it was, looked at likewise.
bool has_changed(const at::Tensor& copy, const at::Tensor& original);

}  // namespace elastikv
