#include "runtime/generation.h"

#include <algorithm>
#include <iterator>

#include <ATen/ops/argmax.h>

#include "runtime/late_tokens.h"

namespace elastikv {
namespace {

/// Of each answer, after what comes before it was run.
std::vector<int64_t> first_of_answers(const LanguageModel& model,
                                      const std::vector<Sequence*>& sequences,
                                      const GreedyOptions& options) {
  const auto on_rows = [&](int64_t rows) {
    if (options.on_step) options.on_step(0, options.max_new_tokens, rows);
  };
  const at::Tensor logits = begin_answers(model, sequences, on_rows, options.graphs);
  const at::Tensor first = logits.argmax(-1).cpu();
  const auto* ids = first.const_data_ptr<int64_t>();
  return {ids, ids + first.numel()};
}

}  // namespace

std::vector<GreedyText> generate_greedy(const LanguageModel& model,
                                        const std::vector<Sequence*>& sequences,
                                        const GreedyOptions& options) {
  std::vector<GreedyText> texts(sequences.size());
  std::vector<size_t> running;
  std::vector<int64_t> tokens;
  const auto most = [&](size_t sequence) {
    return options.most_of_each.empty() ? options.max_new_tokens : options.most_of_each[sequence];
  };
  const auto take = [&](size_t sequence, int64_t token) {
    GreedyText& text = texts[sequence];
    if (std::find(options.end_tokens.begin(), options.end_tokens.end(), token) !=
        options.end_tokens.end()) {
      text.finished = true;
      return false;
    }
    text.token_ids.push_back(token);
    if (options.on_token) options.on_token(sequence, token);
    if (options.ends && options.ends(sequence, token)) {
      text.finished = true;
      return false;
    }
    return std::ssize(text.token_ids) < most(sequence);
  };
  const std::vector<int64_t> first = first_of_answers(model, sequences, options);
  for (size_t i = 0; i < sequences.size(); ++i) {
    texts[i].failure = sequences[i]->failure();
    if (most(i) > 0 && texts[i].failure.empty() && take(i, first[i])) {
      running.push_back(i);
      tokens.push_back(first[i]);
    }
  }
  for (int64_t step = 0; !running.empty() && !(options.should_stop && options.should_stop());
       ++step) {
    if (options.on_step)
      options.on_step(step, options.max_new_tokens - 1, static_cast<int64_t>(running.size()));
    std::vector<Sequence*> batch;
    batch.reserve(running.size());
    for (const size_t i : running) batch.push_back(sequences[i]);
    const std::vector<int64_t> next = greedy_step(model, batch, tokens, options.graphs);
    std::vector<size_t> still_running;
    std::vector<int64_t> next_tokens;
    for (size_t r = 0; r < running.size(); ++r) {
      texts[running[r]].failure = batch[r]->failure();
      if (!batch[r]->failure().empty()) continue;
      const int64_t token = next[r];
      if (!take(running[r], token)) continue;
      still_running.push_back(running[r]);
      next_tokens.push_back(token);
    }
    running = std::move(still_running);
    tokens = std::move(next_tokens);
  }
  return texts;
}

}  // namespace elastikv
