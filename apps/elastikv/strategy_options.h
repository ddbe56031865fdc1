#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "runtime/prompt_encoder.h"
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

/// The ids of "--prompt-ids 1,2,3" as a prompt. Error for anything that is no id of a vocabulary of
/// that size.
TokenizedPrompt prompt_of_ids(const std::string& text, int64_t vocabulary);

}  // namespace elastikv
