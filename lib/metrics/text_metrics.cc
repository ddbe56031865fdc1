#include "metrics/text_metrics.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/nearest_name.h"

namespace elastikv {
namespace {

constexpr std::string_view kSentences = "-sentences";

constexpr std::array<std::pair<std::string_view, RougeWords>, 3> kOtherWords{
    {{"-stem", RougeWords::kGoogleStem},
     {"-characters", RougeWords::kCharacters},
     {"-unicode", RougeWords::kUnicode}}};

std::string_view words_text(RougeWords words) {
  switch (words) {
    case RougeWords::kGoogle:
    case RougeWords::kGoogleStem:
      return "google[a-z0-9]";
    case RougeWords::kCharacters:
      return "characters[LMN]-1";
    case RougeWords::kUnicode:
      return "unicode[LMN]-1";
  }
  throw InternalError("a choice of words without a name");
}

}  // namespace

const std::vector<std::string>& text_metric_names() {
  static const std::vector<std::string> names{"rouge-1-pltrdy", "rouge-2-pltrdy", "rouge-l-pltrdy",
                                              "rouge1",         "rouge2",         "rougeL",
                                              "rougeLsum",      "rouge1-stem",    "rouge2-stem",
                                              "rougeL-stem",    "rougeLsum-stem"};
  return names;
}

std::string rouge_variant(std::string_view name, std::string_view words,
                          std::string_view sentences) {
  const bool plain = name.starts_with("rouge") && name.find('-') == std::string_view::npos;
  if (!plain) return "";
  std::string variant(name);
  if (words != "words") variant += fmt::format("-{}", words);
  if (sentences == "marks" && name == "rougeLsum") variant += kSentences;
  return variant;
}

bool TextMetrics::parse(std::string_view name, Metric& metric) {
  const auto take_end = [&name](std::string_view end) {
    if (!name.ends_with(end)) return false;
    name.remove_suffix(end.size());
    return true;
  };
  metric.pltrdy = take_end("-pltrdy");
  const bool sentences = !metric.pltrdy && take_end(kSentences);
  metric.sentences = sentences ? RougeSentences::kMarks : RougeSentences::kLines;
  metric.words = RougeWords::kGoogle;
  for (const auto& [end, words] : kOtherWords) {
    if (metric.pltrdy || !take_end(end)) continue;
    metric.words = words;
    break;
  }
  const std::string_view start = metric.pltrdy ? "rouge-" : "rouge";
  if (!name.starts_with(start)) return false;
  name.remove_prefix(start.size());
  const char greatest = metric.pltrdy ? '5' : '9';
  metric.n = 0;
  if (name.size() == 1 && name[0] >= '1' && name[0] <= greatest) {
    metric.kind = Kind::kN;
    metric.n = name[0] - '0';
    return !sentences;
  }
  metric.kind = name == "Lsum" ? Kind::kLsum : Kind::kL;
  if (sentences && metric.kind != Kind::kLsum) return false;
  return metric.pltrdy ? name == "l" : name == "L" || name == "Lsum";
}

TextMetrics::TextMetrics(const std::vector<std::string>& names, EmptyText empty)
    : names_(names), empty_(empty) {
  if (names.empty()) fail("no metric was asked for{}", suggestion("", text_metric_names()));
  for (const std::string& name : names) {
    Metric metric{};
    if (!parse(name, metric))
      fail("metric '{}' is not known{}", name, suggestion(name, text_metric_names()));
    if (std::count(names.begin(), names.end(), name) > 1) fail("metric '{}' is given twice", name);
    metrics_.push_back(metric);
  }
}

std::vector<TextScore> TextMetrics::score(std::string_view reference,
                                          std::string_view candidate) const {
  std::map<std::pair<RougeWords, RougeSentences>, GoogleRouge> google;
  std::optional<PltrdyRouge> pltrdy;
  std::vector<TextScore> scores;
  for (const Metric& metric : metrics_) {
    if (metric.pltrdy) {
      if (!pltrdy) pltrdy.emplace(reference, candidate, empty_);
      scores.push_back(metric.kind == Kind::kN ? pltrdy->rouge_n(metric.n) : pltrdy->rouge_l());
      continue;
    }
    const GoogleRouge& rouge = google
                                   .try_emplace({metric.words, metric.sentences}, reference,
                                                candidate, metric.words, metric.sentences)
                                   .first->second;
    scores.push_back(metric.kind == Kind::kN   ? rouge.rouge_n(metric.n)
                     : metric.kind == Kind::kL ? rouge.rouge_l()
                                               : rouge.rouge_lsum());
  }
  return scores;
}

std::vector<TextScore> TextMetrics::score_best(const std::vector<std::string>& references,
                                               std::string_view candidate) const {
  ELASTIKV_ASSERT(!references.empty(), "a text is scored without a reference");
  std::vector<TextScore> best = score(references.front(), candidate);
  for (size_t i = 1; i < references.size(); ++i) {
    const std::vector<TextScore> other = score(references[i], candidate);
    for (size_t m = 0; m < best.size(); ++m) {
      // A score of 0 that stands for none (a reference without words) gives way to a real one.
      const bool better = other[m].f > best[m].f || (other[m].defined && !best[m].defined);
      if (better) best[m] = other[m];
    }
  }
  return best;
}

std::string TextMetrics::signature(size_t index, const SignatureContext& context) const {
  ELASTIKV_ASSERT(index < metrics_.size(), "metric {} of {}", index, metrics_.size());
  const Metric& metric = metrics_[index];
  std::string definition;
  if (metric.pltrdy) {
    // Exclusive is the package's word for n-grams and words as sets.
    definition = fmt::format("type:f|tok:pltrdy-1.0.1|exclusive:yes|sent:dot|empty:{}",
                             empty_ == EmptyText::kZero ? "zero" : "error");
  } else {
    definition = fmt::format("type:f|tok:{}|stem:{}", words_text(metric.words),
                             metric.words == RougeWords::kGoogleStem ? "nltk-porter" : "no");
    if (metric.kind != Kind::kN) {
      definition +=
          metric.sentences == RougeSentences::kMarks ? "|lsum:newline+marks-1" : "|lsum:newline";
    }
  }
  return metric_signature(names_[index], definition, "mean", context);
}

std::string TextMetrics::missing_words(size_t index) const {
  ELASTIKV_ASSERT(index < metrics_.size(), "metric {} of {}", index, metrics_.size());
  const Metric& metric = metrics_[index];
  const bool ascii = !metric.pltrdy && (metric.words == RougeWords::kGoogle ||
                                        metric.words == RougeWords::kGoogleStem);
  const std::string_view of = ascii ? " of a-z and 0-9" : "";
  const bool letters = !metric.pltrdy && metric.words == RougeWords::kCharacters;
  if (metric.n < 2) return fmt::format("a {}{}", letters ? "letter or digit" : "word", of);
  return fmt::format("{} {}{}", metric.n, letters ? "letters or digits" : "words", of);
}

}  // namespace elastikv
