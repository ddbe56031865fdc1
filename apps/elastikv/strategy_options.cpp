#include "strategy_options.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/fields.h"
#include "usage_error.h"

namespace elastikv {

Budget BudgetOptions::budget() const {
  if (keep && keep_tokens) fail("--keep and --keep-tokens exclude each other");
  if (keep_tokens) return Budget::tokens(*keep_tokens);
  if (!keep) return Budget::unlimited();
  return Budget::fraction(
      *keep, growth == "prompt" ? Budget::Growth::kPrompt : Budget::Growth::kGeneration);
}

void add_budget_options(CLI::App& verb, BudgetOptions& options) {
  verb.add_option("--keep", options.keep, "Budget: fraction of the cache kept, above 0 up to 1")
      ->check(not_empty());
  verb.add_option("--keep-tokens", options.keep_tokens, "Budget: slots per layer, at least 1")
      ->check(not_empty());
  verb.add_option("--growth", options.growth,
                  "A fraction applies to all tokens so far, or to the prompt only")
      ->check(CLI::IsMember({"generation", "prompt"}))
      ->capture_default_str();
}

CompressionMoment MomentOptions::moment() const {
  CompressionMoment moment;
  for (const CompressAt at : kCompressMoments) {
    if (compress_at == compress_at_name(at)) moment.at = at;
  }
  if (question == question_entries_name(QuestionEntries::kPolicy))
    moment.question = QuestionEntries::kPolicy;
  return moment;
}

AskedText MomentOptions::asked(const std::string& question_text) const {
  if (context.empty()) return {question_text, 0};
  return {context + "\n" + question_text, context.size() + 1};
}

void add_moment_options(CLI::App& verb, MomentOptions& options) {
  std::vector<std::string> moments;
  moments.reserve(std::size(kCompressMoments));
  for (const CompressAt at : kCompressMoments) moments.emplace_back(compress_at_name(at));
  verb.add_option("--compress-at", options.compress_at,
                  "When the prompt's cache is compressed; what follows goes through it")
      ->check(CLI::IsMember(moments))
      ->capture_default_str();
  verb.add_option("--context", options.context,
                  "A text that the question is about: it comes before the question")
      ->check(not_empty());
}

void add_plugin_option(CLI::App& verb, std::vector<std::string>& plugins) {
  verb.add_option("--plugin", plugins,
                  "File with components of your own (.so, or .py where the program is that of the "
                  "Python package); may be repeated")
      ->allow_extra_args(false)
      ->check(not_empty());
}

TokenizedPrompt prompt_of_ids(const std::string& text, int64_t vocabulary) {
  std::vector<int64_t> ids;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    int64_t id = 0;
    if (!parse_int(std::string_view(text).substr(begin, end - begin), id) || id < 0) {
      fail("--prompt-ids: '{}' is no token id (a list such as 1,2,3 is needed)",
           text.substr(begin, end - begin));
    }
    if (id >= vocabulary) fail("--prompt-ids: {} is outside the vocabulary of {}", id, vocabulary);
    ids.push_back(id);
    begin = end + 1;
  }
  return PromptReader::from_ids(std::move(ids));
}

}  // namespace elastikv
