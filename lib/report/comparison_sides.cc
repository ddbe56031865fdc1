#include "report/comparison_sides.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/fields.h"

namespace elastikv {
namespace {

/// Budgets are fractions with a few decimals.
bool same_budget(double a, double b) { return std::abs(a - b) < 1e-9; }

/// Two cells could stand beside one number, and nothing says which.
[[noreturn]] void fail_ambiguous(const PublishedTable& table, const std::string& first,
                                 const std::string& second) {
  fail(
      "{}: both {} and {} could stand beside a number of it, which does not say of what its "
      "budgets "
      "are a fraction; compare a run with one of the two",
      table.id, first, second);
}

/// A group of cells of a sweep.
class SweepSide final : public Side {
 public:
  SweepSide(const PublishedTable& table, const GroupSummary& group,
            const std::vector<Measure>& measures, const BootstrapChoice& bootstrap)
      : table_(table),
        group_(group),
        measures_(measures),
        bootstrap_(bootstrap.iterations, bootstrap.seed),
        both_growths_(has(Growth::kGeneration) && has(Growth::kPrompt)) {}

  std::vector<std::string> strategies() const override {
    std::vector<std::string> labels;
    for (const CellSummary& cell : group_.cells) {
      const std::string& label = cell.cell.strategy.label;
      if (!cell.cell.hidden && std::find(labels.begin(), labels.end(), label) == labels.end()) {
        labels.push_back(label);
      }
    }
    return labels;
  }

  bool fill(const std::string& strategy, const std::string& minus,
            ComparedValue& value) const override {
    const CellSummary* cell = find(strategy, value.theirs);
    if (cell == nullptr) return false;
    if (!check(*cell, "", value)) return true;
    const CellSummary* other = minus.empty() ? nullptr : find(minus, value.theirs);
    if (!minus.empty() && other == nullptr) return false;
    if (other != nullptr && !check(*other, minus + ": ", value)) return true;
    const Measure* measure = find_measure(measures_, value.theirs.measure);
    if (measure != nullptr && other == nullptr) {
      fill_single(*measure, *cell, value);
    } else if (measure != nullptr) {
      fill_difference(*measure, *cell, *other, value);
    }
    if (!value.ours) value.status = "not measured";
    return true;
  }

 private:
  bool has(Growth growth) const {
    return std::any_of(group_.cells.begin(), group_.cells.end(), [&](const CellSummary& cell) {
      return !cell.cell.hidden && cell.cell.budget.keep && cell.cell.budget.growth == growth;
    });
  }

  /// Whether a budget is a fraction of what the table's are. Where the sweep has one growth alone
  /// it is taken as it is, and the protocol says in what it differs.
  bool growth_fits(const BudgetChoice& budget) const {
    if (!both_growths_) return true;
    const std::string growth = table_.protocol_of("growth");
    const auto says = [&](Growth one) { return growth == growth_name(one); };
    return says(budget.growth) || (!says(Growth::kGeneration) && !says(Growth::kPrompt));
  }

  bool has_budget(const BudgetChoice& own, const PublishedValue& theirs) const {
    if (theirs.budget_tokens) return own.keep_tokens == theirs.budget_tokens;
    return own.keep && same_budget(*own.keep, theirs.budget) && growth_fits(own);
  }

  const CellSummary* find(const std::string& strategy, const PublishedValue& theirs) const {
    const CellSummary* found = nullptr;
    for (const CellSummary& cell : group_.cells) {
      if (cell.cell.hidden || cell.cell.strategy.label != strategy) continue;
      if (cell.cell.is_full() && theirs.budget == 1) return &cell;
      if (!has_budget(cell.cell.budget, theirs)) continue;
      if (found != nullptr) fail_ambiguous(table_, found->cell.id, cell.cell.id);
      found = &cell;
    }
    return found;
  }

  /// Whether a cell has numbers at all; else says why not.
  static bool check(const CellSummary& cell, const std::string& whose, ComparedValue& value) {
    if (cell.ok()) return true;
    if (!cell.failures.empty()) value.reason = cell.failures.front().reason;
    value.status = whose + (cell.failed > 0 ? fmt::format("failed {}/{}", cell.failed, cell.samples)
                                            : "no samples");
    return false;
  }

  static void fill_single(const Measure& measure, const CellSummary& cell, ComparedValue& value) {
    const std::optional<Entry> entry = measure.read(cell);
    if (!entry) return;
    set(entry->value, entry->interval, value);
  }

  /// Ours on the scale of what is printed.
  static void set(double ours, const std::optional<Interval>& interval, ComparedValue& value) {
    const double most = value.theirs.out_of;
    value.ours = most * ours;
    if (interval) value.interval = Interval{most * interval->low, most * interval->high};
  }

  void fill_difference(const Measure& measure, const CellSummary& cell, const CellSummary& other,
                       ComparedValue& value) const {
    const std::optional<PairedDifference> difference = measure.metric->printed_difference(
        cell.measured(measure.place), other.measured(measure.place), bootstrap_);
    if (!difference) return;
    set(difference->difference, difference->interval, value);
  }

  const PublishedTable& table_;
  const GroupSummary& group_;
  const std::vector<Measure>& measures_;
  Bootstrap bootstrap_;
  bool both_growths_;
};

/// One model of a benchmark.
class BenchSide final : public Side {
 public:
  BenchSide(const PublishedTable& table, const StoredBench& bench, const StoredBenchModel& model)
      : table_(table), bench_(bench), model_(model) {}

  std::vector<std::string> strategies() const override {
    std::vector<std::string> labels;
    for (const StoredBenchCell& cell : bench_.cells) {
      if (mine(cell) && std::find(labels.begin(), labels.end(), cell.strategy) == labels.end()) {
        labels.push_back(cell.strategy);
      }
    }
    return labels;
  }

  bool fill(const std::string& strategy, const std::string& /*minus*/,
            ComparedValue& value) const override {
    const StoredBenchCell* cell = find(strategy, value.theirs.budget, value.theirs);
    if (cell == nullptr) return false;
    if (!check(*cell, "", value)) return true;
    if (value.theirs.measure == kThroughputGainMeasure) {
      fill_gain(*cell, value);
    } else {
      const bool latency = value.theirs.measure == kLatencyMeasure;
      const BenchFigure& figure = latency ? *cell->latency : *cell->throughput;
      value.ours = figure.median;
      value.interval = figure.quartiles;
    }
    return true;
  }

 private:
  bool mine(const StoredBenchCell& cell) const {
    return cell.model == model_.label && cell.dtype == model_.dtype && cell.device == model_.device;
  }

  const StoredBenchCell* find(const std::string& strategy, double budget,
                              const PublishedValue& theirs) const {
    const StoredBenchCell* found = nullptr;
    for (const StoredBenchCell& cell : bench_.cells) {
      // "0.2p" is a fraction of the prompt alone; "256t" is none.
      std::string_view text = cell.budget;
      if (text.ends_with('p')) text.remove_suffix(1);
      double keep = 0;
      if (mine(cell) && cell.strategy == strategy && parse_double(text, keep) &&
          same_budget(keep, budget) && cell.batch == theirs.batch &&
          cell.prompt_tokens == theirs.prompt_tokens && cell.new_tokens == theirs.new_tokens) {
        if (found != nullptr && found->budget != cell.budget) {
          fail_ambiguous(table_, fmt::format("{} at budget {}", strategy, found->budget),
                         fmt::format("{} at budget {}", strategy, cell.budget));
        }
        if (found == nullptr) found = &cell;
      }
    }
    return found;
  }

  static bool check(const StoredBenchCell& cell, const std::string& whose, ComparedValue& value) {
    if (cell.latency && cell.throughput) return true;
    value.reason = cell.skipped;
    value.status = whose + (cell.skipped.empty() ? "not run" : "too large");
    return false;
  }

  /// Percent of throughput over the full cache's; medians have no interval of their ratio.
  void fill_gain(const StoredBenchCell& cell, ComparedValue& value) const {
    const StoredBenchCell* full = nullptr;
    for (const std::string& label : strategies()) {
      if (full == nullptr) full = find(label, /*budget=*/1, value.theirs);
    }
    if (full == nullptr) {
      value.status = "no full cache in the run";
    } else if (check(*full, "full cache: ", value)) {
      value.ours = 100 * (cell.throughput->median / full->throughput->median - 1);
    }
  }

  const PublishedTable& table_;
  const StoredBench& bench_;
  const StoredBenchModel& model_;
};

}  // namespace

std::unique_ptr<Side> sweep_side(const PublishedTable& table, const GroupSummary& group,
                                 const std::vector<Measure>& measures,
                                 const BootstrapChoice& bootstrap) {
  return std::make_unique<SweepSide>(table, group, measures, bootstrap);
}

std::unique_ptr<Side> bench_side(const PublishedTable& table, const StoredBench& bench,
                                 const StoredBenchModel& model) {
  return std::make_unique<BenchSide>(table, bench, model);
}

}  // namespace elastikv
