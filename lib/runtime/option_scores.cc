#include "runtime/option_scores.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <span>
#include <utility>

#include <ATen/ops/tensor.h>

#include "base/error.h"
#include "kernels/token_scores.h"
#include "kernels/transfer.h"
#include "runtime/batch_memory.h"
#include "runtime/evaluation.h"
#include "runtime/late_tokens.h"

namespace elastikv {
namespace {

/// An option behind a compressed prompt, whose first token is scored.
struct Row {
  size_t sequence;
  size_t option;
  /// Of the sequence's late tokens: what they predict scores the first token of all options.
  bool predicts = false;
};

/// Of each option's first token, by the logits that predict it, f32 [vocab].
std::vector<double> of_first_tokens(const at::Tensor& logits,
                                    const std::vector<std::vector<int64_t>>& options) {
  std::vector<int64_t> first;
  first.reserve(options.size());
  for (const std::vector<int64_t>& option : options) first.push_back(option.front());
  std::vector<double> nll =
      score_tokens(logits.unsqueeze(0).expand({std::ssize(options), -1}).contiguous(), first);
  for (double& one : nll) one = -one;
  return nll;
}

/// Runs rows piece by piece.
class OptionRuns {
 public:
  OptionRuns(const LanguageModel& model, c10::Device device,
             const std::vector<Sequence*>& sequences,
             const std::vector<std::vector<int64_t>>& options, const OptionScoring& scoring,
             std::vector<OptionScores>& scores)
      : model_(model),
        device_(device),
        sequences_(sequences),
        options_(options),
        scoring_(scoring),
        scores_(scores) {
    const auto longest = std::max_element(
        options.begin(), options.end(),
        [](const auto& one, const auto& other) { return one.size() < other.size(); });
    longest_ = static_cast<size_t>(longest - options.begin());
    steps_ = std::ssize(*longest) - 1;
    for (const std::vector<int64_t>& option : options) {
      padded_.push_back(option);
      padded_.back().resize(static_cast<size_t>(steps_), option.back());
    }
  }

  void run() {
    std::vector<Row> rows;
    for (size_t s = 0; s < sequences_.size(); ++s) {
      const size_t before = rows.size();
      for (size_t o = 0; o < options_.size(); ++o) {
        if (options_[o].size() > 1) rows.push_back({s, o});
      }
      if (sequences_[s]->late().ids.empty()) continue;
      if (rows.size() == before) rows.push_back({s, 0});
      rows[before].predicts = true;
    }
    of_ = std::ssize(rows);
    while (done_ < of_) {
      std::span<const Row> rest(rows.data() + done_, static_cast<size_t>(of_ - done_));
      std::vector<Sequence> restarts = begin(rest);
      rest = rest.first(restarts.size());
      std::vector<size_t> foreseen;
      std::vector<size_t> stepped;
      for (size_t i = 0; i < restarts.size(); ++i)
        (foresee(restarts[i]) ? foreseen : stepped).push_back(i);
      run_late(rest, restarts);
      if (!foreseen.empty()) score_in_chunks(rest, restarts, foreseen);
      if (!stepped.empty()) score_in_steps(rest, restarts, stepped);
      finish(rest, restarts);
      done_ += std::ssize(restarts);
    }
  }

 private:
  bool foresee(Sequence& restart) const {
    return scoring_.one_pass && steps_ > 0 &&
           restart.foresee(std::ssize(restart.late().ids) + steps_);
  }

  /// Runs what comes before the options.
  void run_late(std::span<const Row> rows, std::vector<Sequence>& restarts) const {
    const std::vector<Sequence*> all = pointers_to(restarts);
    if (!any_late(all)) return;
    const at::Tensor logits = begin_answers(
        model_, all, [this](int64_t together) { tell(0, together); }, scoring_.graphs);
    for (size_t i = 0; i < rows.size(); ++i) {
      if (!rows[i].predicts) continue;
      const std::vector<double> first = of_first_tokens(logits[static_cast<int64_t>(i)], options_);
      std::vector<double>& sums = scores_[rows[i].sequence].log_likelihoods;
      for (size_t o = 0; o < first.size(); ++o) sums[o] += first[o];
    }
  }

  /// Restarts for the first of the rows, as many as can run together.
  std::vector<Sequence> begin(std::span<const Row> rows) const {
    int64_t late = 0;
    for (const Sequence* sequence : sequences_)
      late = std::max(late, std::ssize(sequence->late().ids));
    const int64_t at_once = std::clamp<int64_t>(std::max(steps_, late), 1, kTokensTogether);
    const int64_t most = std::max<int64_t>(1, kRowsTogether / at_once);
    BatchMemory memory(model_, device_, {.scored_tokens = steps_, .late_tokens = late});
    std::vector<Sequence> restarts;
    for (const Row& row : rows) {
      if (std::ssize(restarts) == most) break;
      Sequence restart = sequences_[row.sequence]->restart();
      if (!memory.add(restart) && !restarts.empty()) break;
      restart.reserve(steps_);
      restarts.push_back(std::move(restart));
    }
    return restarts;
  }

  /// Adds the log likelihood of a row's token.
  void add(const Row& row, double nll) const {
    scores_[row.sequence].log_likelihoods[row.option] -= nll;
  }

  void score_in_chunks(std::span<const Row> rows, std::vector<Sequence>& restarts,
                       const std::vector<size_t>& which) const {
    const int64_t count = std::ssize(which);
    std::vector<Sequence*> batch;
    batch.reserve(which.size());
    for (const size_t i : which) batch.push_back(&restarts[i]);
    for (int64_t begin = 0; begin < steps_; begin += kTokensTogether) {
      const int64_t tokens = std::min(kTokensTogether, steps_ - begin);
      std::vector<std::span<const int64_t>> chunk;
      std::vector<int64_t> places;  // of hidden states, row by row
      std::vector<int64_t> targets;
      std::vector<const Row*> scored;
      for (int64_t i = 0; i < count; ++i) {
        const Row& row = rows[which[static_cast<size_t>(i)]];
        const std::vector<int64_t>& option = options_[row.option];
        chunk.push_back(std::span<const int64_t>(padded_[row.option])
                            .subspan(static_cast<size_t>(begin), static_cast<size_t>(tokens)));
        for (int64_t t = 0; t < tokens && begin + t + 1 < std::ssize(option); ++t) {
          places.push_back(i * tokens + t);
          targets.push_back(option[static_cast<size_t>(begin + t + 1)]);
          scored.push_back(&row);
        }
      }
      // On a CPU one chunk of a large model takes minutes.
      const auto watch = [&](int64_t layer, int64_t layers) {
        const int64_t passed = begin * layers + tokens * layer;
        tell(count * passed / (steps_ * layers), count);
      };
      const at::Tensor hidden = run_chunk(model_, batch, chunk, watch).flatten(0, 1);
      for (int64_t from = 0; from < std::ssize(targets); from += kLogitRowsTogether) {
        const int64_t to = std::min<int64_t>(from + kLogitRowsTogether, std::ssize(targets));
        const std::vector<int64_t> some(targets.begin() + from, targets.begin() + to);
        const at::Tensor chosen = sent(
            at::tensor(std::vector<int64_t>(places.begin() + from, places.begin() + to), at::kLong),
            hidden.device());
        const std::vector<double> nll =
            score_tokens(model_.logits(hidden.index_select(0, chosen)).contiguous(), some);
        for (size_t i = 0; i < nll.size(); ++i) add(*scored[static_cast<size_t>(from) + i], nll[i]);
      }
    }
  }

  void score_in_steps(std::span<const Row> rows, std::vector<Sequence>& restarts,
                      const std::vector<size_t>& which) const {
    for (int64_t k = 0; k < steps_; ++k) {
      const auto place = static_cast<size_t>(k);
      std::vector<Sequence*> batch;
      std::vector<const Row*> scored;
      std::vector<int64_t> tokens;
      std::vector<int64_t> targets;
      for (const size_t i : which) {
        const std::vector<int64_t>& option = options_[rows[i].option];
        if (place + 1 >= option.size()) continue;
        batch.push_back(&restarts[i]);
        scored.push_back(&rows[i]);
        tokens.push_back(option[place]);
        targets.push_back(option[place + 1]);
      }
      tell(std::ssize(which) * k / steps_, std::ssize(batch));
      const std::vector<double> nll =
          score_tokens(decode_step(model_, batch, tokens, scoring_.graphs).contiguous(), targets);
      for (size_t i = 0; i < nll.size(); ++i) add(*scored[i], nll[i]);
    }
  }

  /// Takes what is to be told of restarts whose options were run.
  void finish(std::span<const Row> rows, std::vector<Sequence>& restarts) const {
    for (size_t i = 0; i < restarts.size(); ++i) {
      OptionScores& scores = scores_[rows[i].sequence];
      const std::vector<int64_t>& option = options_[rows[i].option];
      if (!std::isfinite(scores.log_likelihoods[rows[i].option])) {
        restarts[i].note_failure(model_, {option.begin(), option.end() - 1});
        if (scores.failure.empty()) scores.failure = restarts[i].failure();
      }
      // No token was put behind the longest option.
      if (rows[i].option == longest_) scores.cache_bytes_end = restarts[i].cache().bytes();
    }
  }

  void tell(int64_t more, int64_t rows) const {
    if (scoring_.on_step) scoring_.on_step(done_ + more, of_, rows);
  }

  const LanguageModel& model_;
  c10::Device device_;
  const std::vector<Sequence*>& sequences_;
  const std::vector<std::vector<int64_t>>& options_;
  const OptionScoring& scoring_;
  std::vector<OptionScores>& scores_;
  std::vector<std::vector<int64_t>> padded_;  // what is run of each option
  size_t longest_ = 0;
  int64_t steps_ = 0;
  int64_t done_ = 0;
  int64_t of_ = 0;
};

}  // namespace

std::vector<OptionScores> score_options(const LanguageModel& model, c10::Device device,
                                        const std::vector<Sequence*>& sequences,
                                        const std::vector<std::vector<int64_t>>& options,
                                        const OptionScoring& scoring) {
  ELASTIKV_ASSERT(!sequences.empty() && !options.empty(), "nothing to score");
  for (const std::vector<int64_t>& option : options)
    ELASTIKV_ASSERT(!option.empty(), "an option without a token");
  std::vector<OptionScores> scores(sequences.size());
  at::Tensor of_prompt;  // many sequences have the same
  std::vector<double> first;
  for (size_t s = 0; s < sequences.size(); ++s) {
    const at::Tensor& logits = sequences[s]->answer_logits();
    if (!logits.is_same(of_prompt)) first = of_first_tokens(logits, options);
    of_prompt = logits;
    scores[s].log_likelihoods = first;
    // Behind late tokens the compressed cache predicts an option's first token.
    if (!sequences[s]->late().ids.empty()) scores[s].log_likelihoods.assign(options.size(), 0.0);
    scores[s].cache_bytes_end = sequences[s]->cache().bytes();
  }
  OptionRuns(model, device, sequences, options, scoring, scores).run();
  return scores;
}

}  // namespace elastikv
