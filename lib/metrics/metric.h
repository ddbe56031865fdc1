#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/clusters.h"
#include "metrics/intervals.h"
#include "metrics/model_output.h"
#include "metrics/question.h"
#include "metrics/scorer.h"
#include "metrics/signature.h"

namespace elastikv {

/// What a metric is called and where it stands.
struct MetricTraits {
  std::string name = {};              // of CSV files, columns and signatures
  std::string title = {};             // of its tables
  std::string short_title = {};       // of the page's charts
  std::string label = {};             // of the plots' axes
  std::string difference_name = {};   // what differences are of: the metric, or its logarithm
  std::string difference_title = {};  // the same in titles
  std::string reference = {};         // compared with: "full-cache" (its output), "dataset"
  Bounds bounds = {};                 // what a value can be at all
  bool higher_is_better = true;       // or lower
  bool full_row = true;               // whether the full cache has it
  bool in_summary = true;             // in the summary and by category
  bool in_pairs = true;               // strategies are compared by it
  bool minus_full = false;            // report.md has a table of differences from the full cache
  bool may_be_undefined = false;      // of some samples a 0 stands for no value
  bool right_or_wrong = false;        // every sample's value is 0 or 1
  bool from_records = false;          // of what records keep for others: they do not depend on it
  double log_from = 0;  // largest over smallest value from which plots are logarithmic; 0: never
  std::vector<std::string> more = {};  // columns of cells.csv for Measurement::more

  bool needs_full() const { return reference == "full-cache"; }
};

/// One sample of a cell, as its record has it.
struct MeasuredSample {
  const ModelOutput& output;
  std::span<const std::optional<Score>> scores;  // one per scorer of the sweep, or none at all
  const Question* question = nullptr;            // null where it is not kept

  /// By the scorer's place; nullptr where there is none.
  const Score* score(size_t scorer) const {
    return scorer < scores.size() && scores[scorer] ? &*scores[scorer] : nullptr;
  }
};

/// What a metric makes of the samples of a cell.
struct Measurement {
  std::optional<double> value = std::nullopt;       // absent where no sample counts
  std::optional<Interval> interval = std::nullopt;  // 95 %
  std::vector<std::optional<double>> more = {};
  size_t of = 0;  // samples of the cell

  /// The samples that count, by their places among the cell's, ascending; what differences are made
  /// of.
  std::vector<size_t> samples = {};
  std::vector<double> values = {};
  std::vector<double> weights = {};    // empty: all count alike
  std::vector<size_t> undefined = {};  // of the samples: those without a value of their own
  size_t fixed = 0;                    // of the samples: how many no strategy can change
};

/// Whether it has to be said that no strategy can change `fixed` of `of` samples: over 1 %.
bool is_worth_saying(size_t fixed, size_t of);

/// A cell with its measurement by one metric.
struct MeasuredCell {
  std::string_view id;
  bool hidden = false;  // not shown in tables
  const Measurement& measurement;
  const Clusters& clusters;  // of all samples of the cell
};

/// A metric: everything that records, tables, pages and plots know of it. One object of a sweep
/// sees all of its cells.
class Metric {
 public:
  Metric(const Metric&) = delete;
  Metric& operator=(const Metric&) = delete;
  virtual ~Metric() = default;

  const MetricTraits& traits() const { return traits_; }
  /// What is printed below tables; the context's reference is the metric's.
  std::string signature(SignatureContext context) const;

  /// Over the samples of a cell, none of which failed.
  virtual Measurement measure(std::span<const MeasuredSample> samples, const Clusters& clusters,
                              const Bootstrap& bootstrap) const = 0;
  /// The values of two cells over the samples that they are compared on; absent where one has none.
  virtual std::optional<PairedValues> pairs(const MeasuredCell& a, const MeasuredCell& b) const = 0;
  /// a - b as papers print it; absent where one has no value.
  virtual std::optional<PairedDifference> printed_difference(const MeasuredCell& a,
                                                             const MeasuredCell& b,
                                                             const Bootstrap& bootstrap) const;

  // What a reader has to know beside the numbers, as plain sentences or parts of one; empty where
  // there is nothing to say.

  /// Before a table, of its cells that have numbers.
  virtual std::vector<std::string> notes(std::span<const MeasuredCell> cells) const;
  /// Below a table of differences.
  virtual std::string difference_note(const Measurement& any_cell) const;
  /// Below a table by category, of the categories' names and any cell's measurement of each.
  virtual std::string category_note(
      std::span<const std::pair<std::string, const Measurement*>> categories) const;
  /// Which of the samples are the same to every strategy, where they are many.
  virtual std::string unmoved(const Measurement& any_cell) const;
  /// How much was measured beyond the samples: "72 scored tokens".
  virtual std::string amount(const Measurement& any_cell) const;

 protected:
  explicit Metric(MetricTraits traits) : traits_(std::move(traits)) {}

 private:
  virtual std::string signature_of(const SignatureContext& context) const = 0;

  MetricTraits traits_;
};

/// A metric that is the mean of one number per sample, over the samples that have one. What is no
/// such mean (F1, BLEU) is one by over_samples().
class MeanMetric : public Metric {
 public:
  Measurement measure(std::span<const MeasuredSample> samples, const Clusters& clusters,
                      const Bootstrap& bootstrap) const final;
  /// Over the samples that count in both.
  std::optional<PairedValues> pairs(const MeasuredCell& a, const MeasuredCell& b) const final;

 protected:
  explicit MeanMetric(MetricTraits traits) : Metric(std::move(traits)) {}

  /// A sample's number; absent for one that does not count.
  virtual std::optional<double> value(const MeasuredSample& sample) const = 0;
  /// Whether that is a value, not a 0 that stands for none.
  virtual bool is_defined(const MeasuredSample& /*sample*/) const { return true; }
  /// Whether strategies can change it.
  virtual bool is_fixed(const MeasuredSample& /*sample*/) const { return false; }
  /// May replace the samples' numbers by others whose mean is the metric's value: of the samples
  /// that count, all together.
  virtual void over_samples(std::span<const MeasuredSample* const> /*samples*/,
                            std::span<double> /*values*/) const {}
};

}  // namespace elastikv
