#include "metrics/text_metrics.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/nearest_name.h"

namespace elastikv {

const std::vector<std::string>& text_metric_names() {
  static const std::vector<std::string> names{"rouge-1-pltrdy", "rouge-2-pltrdy", "rouge-l-pltrdy",
                                              "rouge1",         "rouge2",         "rougeL",
                                              "rougeLsum",      "rouge1-stem",    "rouge2-stem",
                                              "rougeL-stem",    "rougeLsum-stem"};
  return names;
}

bool TextMetrics::parse(std::string_view name, Metric& metric) {
  const auto take_end = [&name](std::string_view end) {
    if (!name.ends_with(end)) return false;
    name.remove_suffix(end.size());
    return true;
  };
  const bool pltrdy = take_end("-pltrdy");
  metric.package = pltrdy              ? Package::kPltrdy
                   : take_end("-stem") ? Package::kGoogleStem
                                       : Package::kGoogle;
  const std::string_view start = pltrdy ? "rouge-" : "rouge";
  if (!name.starts_with(start)) return false;
  name.remove_prefix(start.size());
  const char greatest = pltrdy ? '5' : '9';
  metric.n = 0;
  if (name.size() == 1 && name[0] >= '1' && name[0] <= greatest) {
    metric.kind = Kind::kN;
    metric.n = name[0] - '0';
    return true;
  }
  metric.kind = name == "Lsum" ? Kind::kLsum : Kind::kL;
  return pltrdy ? name == "l" : name == "L" || name == "Lsum";
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
  std::optional<GoogleRouge> plain;
  std::optional<GoogleRouge> stemmed;
  std::optional<PltrdyRouge> pltrdy;
  std::vector<TextScore> scores;
  for (const Metric& metric : metrics_) {
    if (metric.package == Package::kPltrdy) {
      if (!pltrdy) pltrdy.emplace(reference, candidate, empty_);
      scores.push_back(metric.kind == Kind::kN ? pltrdy->rouge_n(metric.n) : pltrdy->rouge_l());
      continue;
    }
    const bool stem = metric.package == Package::kGoogleStem;
    std::optional<GoogleRouge>& google = stem ? stemmed : plain;
    if (!google) google.emplace(reference, candidate, stem ? Stemming::kPorter : Stemming::kNone);
    scores.push_back(metric.kind == Kind::kN   ? google->rouge_n(metric.n)
                     : metric.kind == Kind::kL ? google->rouge_l()
                                               : google->rouge_lsum());
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
  if (metric.package == Package::kPltrdy) {
    // Exclusive is the package's word for n-grams and words as sets.
    definition = fmt::format("type:f|tok:pltrdy-1.0.1|exclusive:yes|sent:dot|empty:{}",
                             empty_ == EmptyText::kZero ? "zero" : "error");
  } else {
    definition = fmt::format("type:f|tok:google[a-z0-9]|stem:{}",
                             metric.package == Package::kGoogleStem ? "nltk-porter" : "no");
    if (metric.kind != Kind::kN) definition += "|lsum:newline";
  }
  return metric_signature(names_[index], definition, "mean", context);
}

}  // namespace elastikv
