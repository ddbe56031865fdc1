#include "text/bos.h"

#include <optional>

#include "base/error.h"

namespace elastikv {

std::string_view bos_rule_name(BosRule rule) {
  switch (rule) {
    case BosRule::kAuto:
      return "auto";
    case BosRule::kAlways:
      return "always";
    case BosRule::kNever:
      return "never";
  }
  ELASTIKV_ASSERT(false, "no such rule: {}", static_cast<int>(rule));
  return {};
}

std::vector<int64_t> ids_before_text(const Tokenizer& tokenizer, BosRule rule) {
  if (rule == BosRule::kNever) return {};
  const std::vector<int64_t>& prefix = tokenizer.special_ids().prefix;
  if (rule == BosRule::kAuto || !prefix.empty()) return prefix;
  const std::optional<int64_t> bos = tokenizer.bos_id();
  if (!bos) {
    fail(
        "bos is 'always', but the tokenizer has no BOS: it puts nothing before a text, and neither "
        "tokenizer_config.json nor special_tokens_map.json names a 'bos_token' of its vocabulary");
  }
  return {*bos};
}

}  // namespace elastikv
