#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/explanation_drawings.h"

namespace elastikv {

/// Writes what the strategies decided of a prompt with an image into a folder that is there: a
/// sheet of what each keeps and, where it ranks entries, of how; attention_lost.*; of several
/// strategies agreement.png and agreement.* too. Tables come in every form for programs. Returns
/// the files' names. Error in a build without OpenCV.
std::vector<std::string> write_explanations(const std::filesystem::path& folder,
                                            const std::vector<Explanation>& explanations,
                                            const ShownPrompt& prompt);

}  // namespace elastikv
