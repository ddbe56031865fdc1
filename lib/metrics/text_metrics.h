#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/signature.h"
#include "metrics/text_metric.h"
#include "metrics/text_score.h"

namespace elastikv {

/// The metrics of text that a name can ask for, in the order of tables:
/// "rouge-1-pltrdy" "rouge-2-pltrdy" "rouge-l-pltrdy" (rouge 1.0.1, PltrdyRouge),
/// "rouge1" "rouge2" "rougeL" "rougeLsum" (rouge_score 0.1.2, GoogleRouge) and the latter four with
/// "-stem" (its use_stemmer=True). Known as well: "rouge3" to "rouge9" and "rouge-3-pltrdy" to
/// "rouge-5-pltrdy"; "-characters" and "-unicode" in the place of "-stem", which take other words
/// (RougeWords), for texts that are not written in a-z; and "-sentences" at the end of rougeLsum's
/// names, which splits the lines into sentences (RougeSentences::kMarks).
const std::vector<std::string>& text_metric_names();

/// The metrics of answers to a task's questions, which are computed only where a name asks for them
/// (docs/metrics.md): "vqa-accuracy", "anls", "choice-vlmeval" and so on.
const std::vector<std::string>& task_metric_names();

/// The share of questions of which the right option is the likeliest one.
inline constexpr const char* kChoiceLikelihood = "choice-likelihood";
/// The same with each log likelihood over the number of its text's characters.
inline constexpr const char* kChoiceLikelihoodPerCharacter = "choice-likelihood-per-character";
/// Whether what a metric judges is the likeliest option of a question; Error for an unknown name.
bool is_of_likelihood(const std::string& metric);

/// The share of samples whose text is the full cache's own.
inline constexpr const char* kLoyalty = "loyalty";

/// A chosen list of metrics, all computed over a pair of texts at once.
class TextMetrics final {
 public:
  /// Error for an unknown name (with the nearest known one), for a name given twice, and for none.
  explicit TextMetrics(const std::vector<std::string>& names);

  /// One score per name, in the order of names(). Each text is read once per tokenization.
  std::vector<TextScore> score(std::string_view reference, std::string_view candidate) const;

  /// The score beside several references, for each name by itself: of ROUGE that of the first
  /// reference with the highest F, as rouge_score's score_multi. Needs at least one reference.
  std::vector<TextScore> score_best(const std::vector<std::string>& references,
                                    std::string_view candidate) const;
  /// The same of the answer to a question, which has at least one reference.
  std::vector<TextScore> score_answer(const Question& question, std::string_view candidate) const;

  const std::vector<std::string>& names() const { return names_; }
  /// The metrics themselves, in the order of names().
  const std::vector<std::shared_ptr<const TextMetric>>& metrics() const { return metrics_; }
  /// What a text of which names()[index] gives no score lacks: "a word of a-z and 0-9".
  const std::string& missing_words(size_t index) const {
    return metrics_.at(index)->form().lacking;
  }
  /// The signature of names()[index]'s mean F over samples.
  std::string signature(size_t index, const SignatureContext& context) const {
    return metrics_.at(index)->signature(context);
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::shared_ptr<const TextMetric>> metrics_;
};

}  // namespace elastikv
