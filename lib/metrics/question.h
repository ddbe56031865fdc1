#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// What a data set says of a question, for metrics that judge an answer by more than one text
/// beside it. All texts are UTF-8.
struct Question {
  /// The expected answer as the data set has it.
  std::string answer = {};
  /// All accepted answers, each once as a rule; never empty.
  std::vector<std::string> references = {};
  /// The answers that people gave, one per person, equal ones as often as they were given; empty
  /// where the data set has no such list.
  std::vector<std::string> votes = {};
  /// The texts of a multiple choice, A first; one that is empty is not offered. Empty: they are
  /// not known.
  std::vector<std::string> options = {};
  std::vector<std::string> categories = {};
  /// What questions have in common that are judged together: MME's two of an image.
  std::string group = {};

  /// The answers that people gave, and the accepted ones where nobody was asked.
  const std::vector<std::string>& answers() const { return votes.empty() ? references : votes; }
};

/// A text that answers a question.
struct Answered {
  std::string_view text;
  const Question& question;
};

}  // namespace elastikv
