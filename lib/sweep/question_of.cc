#include "sweep/question_of.h"

#include <string>
#include <vector>

#include <fmt/format.h>

namespace elastikv {
namespace {

/// What is judged together with a sample, where its data set does not say: what it is clustered
/// with, and then itself alone.
template <typename AnySample>
const std::string& group_of(const AnySample& sample) {
  if (!sample.group.empty()) return sample.group;
  return sample.cluster.empty() ? sample.id : sample.cluster;
}

/// Each with its length, so that no two lists have the same text.
void append_list(const std::vector<std::string>& list, std::string& text) {
  text += fmt::format("{}:", list.size());
  for (const std::string& entry : list) text += fmt::format("{}:{}", entry.size(), entry);
}

}  // namespace

Question question_of(const Sample& sample) {
  return {.answer = sample.answer,
          .references = sample.accepted(),
          .votes = sample.votes,
          .options = sample.options,
          .categories = sample.categories,
          .group = group_of(sample)};
}

Question question_of(const StoredSample& sample) {
  return {.answer = sample.answer,
          .references = sample.references.empty() ? std::vector<std::string>{sample.answer}
                                                  : sample.references,
          .votes = {},
          .options = {},
          .categories = sample.categories,
          .group = group_of(sample)};
}

std::string question_text(const Question& question) {
  std::string text;
  append_list(question.votes, text);
  append_list(question.options, text);
  append_list(question.categories, text);
  return text;
}

}  // namespace elastikv
