#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "strategies/budget.h"

namespace elastikv {

/// When a prompt's cache is compressed: how much of the prompt is prefilled before, which is all
/// that a strategy sees and that a budget is of. The rest goes through the compressed cache.
enum class CompressAt {
  kPromptEnd,        ///< all of it: the first token of an answer comes from the uncompressed cache
  kBeforeLastToken,  ///< all but its last token
  kBeforeQuestion,   ///< what stands before the question: system text, images, context
};
/// All of them, the latest first.
inline constexpr std::array kCompressMoments{CompressAt::kPromptEnd, CompressAt::kBeforeLastToken,
                                             CompressAt::kBeforeQuestion};
/// "prompt_end", "before_last_token" or "before_question".
std::string_view compress_at_name(CompressAt at);

/// What becomes of the entries of a question that comes after the compression.
enum class QuestionEntries {
  kKeep,    ///< they are kept, on top of the budget, until the answer begins
  kPolicy,  ///< the generation policy treats them like those of an answer
};
/// "keep" or "policy".
std::string_view question_entries_name(QuestionEntries question);

/// A moment of compression with all that belongs to it.
struct CompressionMoment {
  CompressAt at = CompressAt::kPromptEnd;
  /// Under kBeforeQuestion; the last token of a prompt is always treated as one of an answer.
  QuestionEntries question = QuestionEntries::kKeep;

  bool operator==(const CompressionMoment&) const = default;
  /// Whether a question's entries are kept on top of the budget.
  bool keeps_question() const {
    return at == CompressAt::kBeforeQuestion && question == QuestionEntries::kKeep;
  }
  /// "before_question", "before_question-policy": the part of a name that tells moments apart.
  std::string name() const;
};

/// When a cache of this budget is compressed. One without a limit never is: it holds the same
/// whenever that would be, and its whole prompt is prefilled, so that its numbers are the same to
/// the last bit under any moment.
inline CompressAt effective(CompressAt at, const Budget& budget) {
  return budget.is_unlimited() ? CompressAt::kPromptEnd : at;
}

}  // namespace elastikv
