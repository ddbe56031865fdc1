#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  /// In records, beside `defined`; TextScore::f, which is averaged, is among them.
  std::vector<TextField> kept;
};

/// A metric of a generated text beside its references. Every score lies in 0..1.
class TextMetric : public Scorer {
 public:
  const TextForm& form() const { return form_; }
  /// Of the mean over samples.
  std::string signature(const SignatureContext& context) const;

  /// The candidate beside each reference: at least one pair.
  virtual TextScore score_texts(std::span<TextPair> texts) const = 0;
  Score score(const ScoreInput& input) const final;

  /// What is averaged of a score that a record kept, and whether it is a score of the texts' own.
  double value(const Score& score) const { return score[value_]; }
  bool is_defined(const Score& score) const { return score[form_.kept.size()] != 0; }

 protected:
  explicit TextMetric(TextForm form);

 private:
  TextForm form_;
  size_t value_;
};

/// A metric of one pair of texts. Of several references the best score counts: that of the first
/// one with the highest F, as rouge_score's score_multi.
class PairMetric : public TextMetric {
 public:
  TextScore score_texts(std::span<TextPair> texts) const final;
  virtual TextScore score_pair(TextPair& texts) const = 0;

 protected:
  explicit PairMetric(TextForm form) : TextMetric(std::move(form)) {}
};

/// Metrics of one kind.
struct TextFamily {
  /// Those that are listed.
  std::vector<std::string> names;
  /// By its name, which need not be listed; nullptr for one that is not of the family.
  std::shared_ptr<const TextMetric> (*make)(std::string_view name);
};

}  // namespace elastikv
