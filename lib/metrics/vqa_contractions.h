#pragma once

#include <string_view>

namespace elastikv {

/// The word with its apostrophe, "dont" as "don't", by the list of the VQA evaluation, whose slips
/// ("somebody'd" loses its own) are kept; any other word as it is. The word is in lower case.
std::string_view contraction_of(std::string_view word);

}  // namespace elastikv
