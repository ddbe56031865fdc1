#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "datasets/sample.h"
#include "runtime/compress_at.h"
#include "runtime/conversation_tokens.h"
#include "runtime/prompt_encoder.h"
#include "strategies/budget.h"
#include "strategies/statistics.h"
#include "strategies/strategy.h"
#include "sweep/cell.h"

namespace elastikv {

/// The strategy that a sweep names. Error naming the place in the sweep.
std::unique_ptr<Strategy> make_strategy(const StrategyChoice& choice);

/// The same, composed once in a process for all choices of one preset with the same parameters: a
/// sweep asks for the strategies of all its cells several times, and a preset is a file.
const Strategy& strategy_of(const StrategyChoice& choice);

/// Whether a strategy draws by the sample's seed when it compresses a prompt.
bool draws(const StrategyChoice& choice);

/// What all cells' strategies read together.
StatisticsRequest needs_of(std::span<const Cell> cells);

Budget make_budget(const BudgetChoice& choice);

/// What a model entry says of image processing.
ImageChoice image_choice(const ModelChoice& choice);

/// What reads prompts for a model as the sweep wants them.
PromptReader make_reader(const ModelChoice& choice);

/// A turn of a conversation with all turns before it; of any other sample its prompt alone. Error
/// as tokenize_conversation's.
ConversationTokens conversation_of(const PromptReader& reader, const Sample& sample);

/// What a sample asks: the ids of a window of tokens as they are, else one user turn, behind the
/// turns before it where it is one of a conversation.
TokenizedPrompt prompt_of(const PromptReader& reader, const Sample& sample);
/// How many tokens of a sample's prompt are prefilled before caches are compressed; of a turn of a
/// conversation this is asked of the first one (first_turn). Error as tokens_before's.
int64_t compressed_tokens(const PromptReader& reader, const Sample& sample,
                          const TokenizedPrompt& prompt, CompressAt at);
/// The ids of its expected answer, which perplexity scores: none without it. With
/// EvaluationSettings::score_end the token that ends the model's turn behind them, but for a window
/// of tokens, where the text goes on.
std::vector<int64_t> answer_of(const PromptReader& reader, const Sample& sample,
                               const EvaluationSettings& settings);

/// The ids of the options that are scored, in the sample's order; none without them. Error for one
/// that has no token.
std::vector<std::vector<int64_t>> options_of(const PromptReader& reader, const Sample& sample);

/// What the sample's data set says of the texts to it goes before what the sweep says.
EvaluationSettings settings_of(EvaluationSettings settings, const Sample& sample);

/// The seed of strategies that draw: a sample's draw does not depend on which others are evaluated.
uint64_t seed_of(uint64_t sweep_seed, const Sample& sample);

}  // namespace elastikv
