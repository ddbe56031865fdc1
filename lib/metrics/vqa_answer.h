#pragma once

#include <string>
#include <string_view>

namespace elastikv {

/// Whose normalisation of a short answer before it is compared. All make it lower case, drop
/// articles and punctuation, write numbers to ten as digits and put the apostrophe into
/// contractions, by the rules of the VQA evaluation (S. Antol et al., "VQA: Visual Question
/// Answering", 2015, whose evaluation code is the reference); they part in the details.
enum class VqaRules {
  /// EvalAI's processor, which lmms-eval takes for TextVQA, OKVQA and VizWiz.
  kEvalAi,
  /// lmms-eval's for VQAv2: EvalAI's without its first step, so that commas and question marks
  /// count as other punctuation.
  kVqaV2,
  /// VLMEvalKit's: a period behind a digit stays.
  kVlmEval,
  /// MM-NIAH's and MileBench's: as VLMEvalKit's, but a period behind a digit goes, and
  /// numbers to twenty and round ones to ninety are digits.
  kMmNiah,
};

/// "EvalAI-lmms-eval" and the like, for signatures.
std::string_view vqa_rules_name(VqaRules rules);

/// A text (valid UTF-8) on one line and without punctuation, as the rules leave it out before words
/// are compared.
std::string vqa_without_marks(std::string_view text, VqaRules rules);

/// A text (valid UTF-8) as it is compared.
std::string vqa_answer(std::string_view text, VqaRules rules);

}  // namespace elastikv
