// The mean over samples of each metric of texts.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "metrics/metric_makers.h"
#include "metrics/text_metrics.h"

namespace elastikv {
namespace {

class TextMean final : public MeanMetric {
 public:
  /// `place`: of the scores; absent where records keep none.
  TextMean(std::shared_ptr<const TextMetric> text, std::optional<size_t> place,
           TextReference reference)
      : MeanMetric(traits_of(*text, text->form().reference.value_or(reference))),
        text_(std::move(text)),
        place_(place) {}

  std::vector<std::string> notes(std::span<const MeasuredCell> cells) const override {
    std::vector<std::string> notes;
    if (std::string text = undefined_note(cells); !text.empty()) notes.push_back(std::move(text));
    // Where all strategies compress before the first token of a text or an option, only the full
    // cache, which is the first, has it from an uncompressed prompt.
    const bool all_see =
        cells.size() > 1 && std::all_of(cells.begin() + 1, cells.end(), [](const MeasuredCell& c) {
          return c.measurement.fixed == 0;
        });
    const std::string fixed = cells.empty() || all_see ? "" : fixed_note(cells.front().measurement);
    if (!fixed.empty()) {
      notes.push_back(fmt::format(
          "{}: {} With `compress_at: before_last_token` it comes from the compressed cache.", fixed,
          text_->form().of_likelihood
              ? "the uncompressed prompt's own logits score it, so that every strategy chooses as "
                "the full cache does there."
              : "it comes from the uncompressed prompt, so that a strategy decides only whether "
                "the text ends there."));
    }
    return notes;
  }

  std::string unmoved(const Measurement& any_cell) const override { return fixed_note(any_cell); }

 private:
  /// How many questions have options of one token alone, or texts one token.
  std::string fixed_note(const Measurement& any_cell) const {
    const size_t of = any_cell.samples.size();
    if (text_->form().of_likelihood) {
      if (any_cell.fixed == 0) return "";
      return fmt::format("{} of {} questions have options of one token alone", any_cell.fixed, of);
    }
    if (!is_worth_saying(any_cell.fixed, of)) return "";
    return fmt::format("{} of {} texts ({:.1f} %) have one token", any_cell.fixed, of,
                       100 * static_cast<double>(any_cell.fixed) / static_cast<double>(of));
  }

  /// How many pairs of texts have no score of their own.
  std::string undefined_note(std::span<const MeasuredCell> cells) const {
    std::optional<size_t> least;
    size_t most = 0;
    size_t pairs = 0;
    for (const MeasuredCell& cell : cells) {
      if (cell.hidden) continue;
      const size_t undefined = cell.measurement.undefined.size();
      least = std::min(least.value_or(undefined), undefined);
      most = std::max(most, undefined);
      pairs = cell.measurement.of;
    }
    if (most == 0) return "";
    const std::string count =
        *least == most ? fmt::format("{}", most) : fmt::format("{} to {}", *least, most);
    if (text_->form().of_question) {
      return fmt::format("{} of {} samples{} have not {}, and {} counts them as 0.", count, pairs,
                         *least == most ? "" : " of a cell", text_->form().lacking, traits().name);
    }
    return fmt::format(
        "In {} of {} pairs{} a text has not {}: {} has no score for them, and they count as 0, the "
        "full cache beside itself too.",
        count, pairs, *least == most ? "" : " of a cell", text_->form().lacking, traits().name);
  }

  static MetricTraits traits_of(const TextMetric& text, TextReference reference) {
    const TextForm& form = text.form();
    const bool to_full = reference == TextReference::kFullCache;
    MetricTraits traits;
    traits.name = form.name;
    traits.title = form.title;
    if (form.title.empty()) {
      traits.title = fmt::format("{} against {} (mean {}, higher is better)", form.name,
                                 to_full ? "the full cache's own text" : "the answers", form.mean);
    }
    traits.short_title = form.name;
    traits.label = fmt::format("{} {} against {}", form.label, form.mean,
                               to_full ? "the full cache" : "the answers");
    traits.difference_name = form.name;
    traits.difference_title = form.name;
    traits.reference = to_full ? "full-cache" : "dataset";
    traits.bounds = form.bounds;
    traits.full_row = form.of_full;
    traits.may_be_undefined = !form.kept.empty();
    traits.right_or_wrong = form.right_or_wrong;
    return traits;
  }

  std::string signature_of(const SignatureContext& context) const override {
    return text_->signature(context);
  }
  std::optional<double> value(const MeasuredSample& sample) const override {
    if (!place_) return 0;
    const Score* score = sample.score(*place_);
    if (score == nullptr) return std::nullopt;
    return text_->value(*score);
  }
  bool is_defined(const MeasuredSample& sample) const override {
    if (!place_) return true;
    const Score* score = sample.score(*place_);
    return score != nullptr && text_->is_defined(*score);
  }
  bool is_fixed(const MeasuredSample& sample) const override {
    if (sample.output.compressed_tokens > 0) return false;
    if (!text_->form().of_likelihood) return sample.output.token_ids.size() == 1;
    const std::vector<OptionLikelihood>& options = sample.output.options;
    return !options.empty() &&
           std::all_of(options.begin(), options.end(),
                       [](const OptionLikelihood& option) { return option.tokens == 1; });
  }
  void over_samples(std::span<const MeasuredSample* const> samples,
                    std::span<double> values) const override {
    if (!text_->form().of_all) return;
    std::vector<Answered> texts;
    for (const MeasuredSample* sample : samples) {
      // A folder from before samples were kept.
      if (sample->question == nullptr) fail("{}: the samples' answers are not kept", traits().name);
      texts.push_back({sample->output.text, *sample->question});
    }
    text_->over_samples(texts, values);
  }

  std::shared_ptr<const TextMetric> text_;
  std::optional<size_t> place_;
};

}  // namespace

void make_text_means(const MetricChoice& choice, MetricSet& set) {
  if (choice.text.empty()) return;
  const TextMetrics texts(choice.text);
  for (const std::shared_ptr<const TextMetric>& text : texts.metrics()) {
    std::optional<size_t> place;
    if (!text->form().kept.empty()) place = set.add(text);
    if (text->form().of_question) set.need_question();
    set.add(std::make_shared<TextMean>(text, place, choice.reference));
  }
}

}  // namespace elastikv
