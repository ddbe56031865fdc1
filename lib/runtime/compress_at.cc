#include "runtime/compress_at.h"

#include <fmt/format.h>

#include "base/error.h"

namespace elastikv {

std::string_view compress_at_name(CompressAt at) {
  switch (at) {
    case CompressAt::kPromptEnd:
      return "prompt_end";
    case CompressAt::kBeforeLastToken:
      return "before_last_token";
    case CompressAt::kBeforeQuestion:
      return "before_question";
  }
  throw InternalError("a moment of compression without a name");
}

std::string_view question_entries_name(QuestionEntries question) {
  return question == QuestionEntries::kKeep ? "keep" : "policy";
}

std::string CompressionMoment::name() const {
  const bool policy = at == CompressAt::kBeforeQuestion && question == QuestionEntries::kPolicy;
  return fmt::format("{}{}", compress_at_name(at), policy ? "-policy" : "");
}

}  // namespace elastikv
