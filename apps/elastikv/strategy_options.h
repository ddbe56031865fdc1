#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "runtime/compress_at.h"
#include "runtime/prompt_encoder.h"
#include "runtime/prompt_split.h"
#include "strategies/budget.h"

namespace elastikv {

/// The budget options that `generate` and `explain` share.
struct BudgetOptions {
  std::optional<double> keep;
  std::optional<int64_t> keep_tokens;
  std::string growth = "generation";

  bool given() const { return keep.has_value() || keep_tokens.has_value(); }
  /// Unlimited when none is given. Error for both, and for one out of range.
  Budget budget() const;
};

/// Adds --keep, --keep-tokens and --growth to a subcommand that owns `options`.
void add_budget_options(CLI::App& verb, BudgetOptions& options);

/// When the prompt is compressed, for `generate` and `explain`.
struct MomentOptions {
  std::string compress_at{compress_at_name(CompressAt::kPromptEnd)};
  std::string question{question_entries_name(QuestionEntries::kKeep)};
  std::string context;

  CompressionMoment moment() const;
  /// A question behind the context, if there is one.
  AskedText asked(const std::string& question_text) const;
};

/// Adds --compress-at and --context to a subcommand that owns `options`.
void add_moment_options(CLI::App& verb, MomentOptions& options);

/// Adds --plugin, which may be repeated.
void add_plugin_option(CLI::App& verb, std::vector<std::string>& plugins);

/// The ids of "--prompt-ids 1,2,3" as a prompt. Error for anything that is no id of a vocabulary of
/// that size.
TokenizedPrompt prompt_of_ids(const std::string& text, int64_t vocabulary);

}  // namespace elastikv
