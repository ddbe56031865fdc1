#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/intervals.h"
#include "metrics/metric_choice.h"
#include "metrics/question.h"
#include "metrics/scorer.h"
#include "metrics/signature.h"
#include "metrics/text_pair.h"
#include "metrics/text_score.h"

namespace elastikv {

/// A number of a text's score that records keep, and its key.
struct TextField {
  const char* key;
  double TextScore::*number;
};

/// What a metric of texts is called and what it computes.
struct TextForm {
  std::string name;        // as `metrics.text` lists it: "rougeL"
  std::string label;       // as plots call it: "ROUGE-L (Google)"
  std::string mean;        // which mean tables show: "F"
  std::string definition;  // in its signature
  std::string lacking;     // what a text without a score has not: "a word of a-z and 0-9"
  /// In records, beside `defined`; TextScore::f, which is averaged, is among them. Empty for what
  /// only all samples together have: records keep nothing.
  std::vector<TextField> kept;

  /// What texts are always compared with, whatever a sweep chose; absent: with what it chose.
  std::optional<TextReference> reference = {};
  std::string title = {};       // of its tables, where it is not "NAME against ... (mean ...)"
  bool of_all = false;          // no mean of samples' scores: over_samples makes its value
  bool right_or_wrong = false;  // every score is 0 or 1
  bool of_full = true;          // whether the full cache has a score, too
  bool of_question = false;     // a score depends on more of the data set than the references
  bool of_likelihood = false;   // what is judged is the likeliest option, not a text
  Bounds bounds = {0, 1};       // of the value over samples
};

/// A metric of a generated text beside its references. Every score lies in 0..1.
class TextMetric : public Scorer {
 public:
  const TextForm& form() const { return form_; }
  /// Of the value over samples.
  std::string signature(const SignatureContext& context) const;

  /// The candidate beside each reference: at least one pair.
  virtual TextScore score_texts(std::span<TextPair> texts, const Question& question) const = 0;
  Score score(const ScoreInput& input) const final;

  /// Of a metric that is no mean of its scores: replaces them by values whose mean over the samples
  /// is its value and whose spread is its uncertainty (metrics/linearised.h).
  virtual void over_samples(std::span<const Answered> /*texts*/,
                            std::span<double> /*values*/) const {}

  /// What is averaged of a score that a record kept, and whether it is a score of the texts' own.
  double value(const Score& score) const { return score[value_]; }
  bool is_defined(const Score& score) const { return score[form_.kept.size()] != 0; }

 protected:
  explicit TextMetric(TextForm form);

 private:
  /// What score() compares: as a rule the texts that it is given.
  virtual TextScore score_input(const ScoreInput& input) const;

  TextForm form_;
  size_t value_ = 0;
};

/// A metric of one pair of texts. Of several references the best score counts: that of the first
/// one with the highest F, as rouge_score's score_multi.
class PairMetric : public TextMetric {
 public:
  TextScore score_texts(std::span<TextPair> texts, const Question& question) const final;
  virtual TextScore score_pair(TextPair& texts) const = 0;

 protected:
  explicit PairMetric(TextForm form) : TextMetric(std::move(form)) {}
};

/// Metrics of one kind.
struct TextFamily {
  /// Those that are listed.
  std::vector<std::string> names;
  /// By its name, which need not be listed; nullptr for one that is not of the family.
  std::function<std::shared_ptr<const TextMetric>(std::string_view name)> make;
  /// Of answers to a task's questions: computed where a name asks for it alone.
  bool of_tasks = false;
};

}  // namespace elastikv
