#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace elastikv {

/// Whether a prompt begins with the tokenizer's BOS.
enum class BosRule {
  kAuto,    ///< as the tokenizer has it: what `tokenizer(text)` of transformers begins with
  kAlways,  ///< also where the tokenizer has a BOS and leaves it out (GPT-2)
  kNever,
};

/// "auto", "always" or "never".
std::string_view bos_rule_name(BosRule rule);

/// The ids that stand before a text: the special ids that the tokenizer puts in front, else, with
/// kAlways, its BOS. Error when that is asked for and the tokenizer has none.
std::vector<int64_t> ids_before_text(const Tokenizer& tokenizer, BosRule rule);

}  // namespace elastikv
