// The metrics of rouge 1.0.1 (pltrdy): "rouge-1-pltrdy" to "rouge-5-pltrdy" and "rouge-l-pltrdy".
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "metrics/rouge_pltrdy.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

constexpr std::string_view kPltrdyStart = "rouge-";
constexpr std::string_view kPltrdyEnd = "-pltrdy";

class PltrdyMetric final : public PairMetric {
 public:
  /// `n`: of its n-grams; 0: longest common subsequences.
  PltrdyMetric(std::string_view name, int n)
      : PairMetric(
            TextForm{.name = std::string(name),
                     .label = fmt::format("ROUGE-{} (pltrdy)", n == 0 ? "L" : std::to_string(n)),
                     .mean = "F",
                     // Exclusive is the package's word for n-grams and words as sets.
                     .definition = "type:f|tok:pltrdy-1.0.1|exclusive:yes|sent:dot|empty:zero",
                     .lacking = n < 2 ? "a word" : fmt::format("{} words", n),
                     .kept = {{"precision", &TextScore::precision},
                              {"recall", &TextScore::recall},
                              {"f", &TextScore::f}}}),
        n_(n) {}

  TextScore score_pair(TextPair& texts) const override {
    const auto& rouge = texts.as<PltrdyRouge>();
    return n_ == 0 ? rouge.rouge_l() : rouge.rouge_n(n_);
  }

 private:
  int n_;
};

std::shared_ptr<const TextMetric> make_pltrdy(std::string_view name) {
  std::string_view kind = name;
  if (!kind.starts_with(kPltrdyStart) || !kind.ends_with(kPltrdyEnd)) return nullptr;
  kind.remove_prefix(kPltrdyStart.size());
  kind.remove_suffix(std::min(kPltrdyEnd.size(), kind.size()));
  if (kind == "l") return std::make_shared<PltrdyMetric>(name, 0);
  if (kind.size() != 1 || kind[0] < '1' || kind[0] > '5') return nullptr;
  return std::make_shared<PltrdyMetric>(name, kind[0] - '0');
}

}  // namespace

TextFamily pltrdy_rouge() {
  return {.names = {"rouge-1-pltrdy", "rouge-2-pltrdy", "rouge-l-pltrdy"}, .make = make_pltrdy};
}

}  // namespace elastikv
