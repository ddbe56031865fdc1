#include "report/rank_agreement.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "report/cell_differences.h"

namespace elastikv {
namespace {

constexpr size_t kLeastStrategies = 3;
constexpr const char* kAllBudgets = "all";

/// What samples are resampled by: the samples of a cluster are called after its first one, and
/// "scene_7#2", the second question about an item, belongs to "scene_7".
std::vector<std::string> unit_names(const ReportGroup& group) {
  std::map<std::string, std::string> of_cluster;
  std::vector<std::string> units;
  for (const std::string& sample : group.summary.sample_ids) {
    std::string unit = sample.substr(0, sample.rfind('#'));
    const auto cluster = group.source.clusters.find(sample);
    if (cluster != group.source.clusters.end())
      unit = of_cluster.try_emplace(cluster->second, unit).first->second;
    units.push_back(std::move(unit));
  }
  return units;
}

/// Of resamples: those that measures over the same units share, or others.
enum class Draws { kCommon, kOwn };

/// The strategies at a budget by one measure.
struct Ranking {
  std::set<std::string> units;
  std::map<std::string, const CellSummary*> cells;                      // by strategy
  std::map<std::pair<std::string, Draws>, ResampledScore> scores = {};  // once asked for
};

/// The rankings of one measure, by budget.
class Rankings {
 public:
  explicit Rankings(const RankingMeasure& of)
      : of_(of),
        common_(of.group->differences->bootstrap()),
        own_(common_.replicates(), common_.seed() + 1),
        units_(unit_names(*of.group)) {
    for (const CellSummary& cell : of.group->summary.cells) {
      const Measurement* measurement = cell.measurement(of.measure->place);
      if (cell.cell.is_full() || cell.cell.hidden || measurement == nullptr ||
          measurement->samples.empty()) {
        continue;
      }
      Ranking& ranking = by_budget_[cell.cell.budget.text()];
      ranking.cells[cell.cell.strategy.label] = &cell;
      for (const size_t sample : measurement->samples) ranking.units.insert(units_[sample]);
    }
  }

  const RankingMeasure& of() const { return of_; }
  /// In the table's order.
  std::vector<std::string> budgets() const { return budget_columns(of_.group->summary); }
  const Ranking* at(const std::string& budget) const {
    const auto ranking = by_budget_.find(budget);
    return ranking == by_budget_.end() ? nullptr : &ranking->second;
  }
  const ResampledScore& score(const std::string& budget, const std::string& strategy, Draws draws) {
    Ranking& ranking = by_budget_.at(budget);
    const auto [score, is_new] = ranking.scores.try_emplace({strategy, draws});
    if (is_new) {
      const Measurement& measurement = *ranking.cells.at(strategy)->measurement(of_.measure->place);
      std::vector<std::string> units;
      for (const size_t sample : measurement.samples) units.push_back(units_[sample]);
      score->second =
          resampled_score(measurement.values, measurement.weights, units,
                          of_.measure->higher_is_better, draws == Draws::kCommon ? common_ : own_);
    }
    return score->second;
  }

 private:
  RankingMeasure of_;
  Bootstrap common_;
  Bootstrap own_;
  std::vector<std::string> units_;
  std::map<std::string, Ranking> by_budget_;
};

/// Of every two of the strategies, the first one's by one: -1, 0 or 1 as the first is worse, not
/// told apart (95 %) or better.
std::vector<int> orders(const Rankings& by, const Ranking& ranking,
                        const std::vector<std::string>& strategies) {
  std::vector<CellPair> pairs;
  for (size_t i = 0; i < strategies.size(); ++i) {
    for (size_t j = i + 1; j < strategies.size(); ++j)
      pairs.push_back({ranking.cells.at(strategies[i]), ranking.cells.at(strategies[j])});
  }
  const Measure& measure = *by.of().measure;
  const int better = measure.higher_is_better ? 1 : -1;
  std::vector<int> result;
  for (const auto& difference : by.of().group->differences->of(measure, pairs)) {
    const bool above = difference && difference->interval && difference->interval->low > 0;
    const bool below = difference && difference->interval && difference->interval->high < 0;
    result.push_back(above ? better : below ? -better : 0);
  }
  return result;
}

/// Adds what two measures say of a budget; returns their rankings, with fewer than three strategies
/// empty ones.
TwoRankings compare_at(const std::string& budget, Rankings& a, Rankings& b,
                       RankAgreement& agreement) {
  TwoRankings both;
  const Ranking* of_a = a.at(budget);
  const Ranking* of_b = b.at(budget);
  if (of_a == nullptr || of_b == nullptr) return both;
  std::vector<std::string> strategies;
  for (const auto& [strategy, cell] : of_a->cells) {
    if (of_b->cells.count(strategy) > 0) strategies.push_back(strategy);
  }
  if (strategies.size() < kLeastStrategies) return both;
  const Draws draws_of_b = of_a->units == of_b->units ? Draws::kCommon : Draws::kOwn;
  for (const std::string& strategy : strategies) {
    both.a.push_back(&a.score(budget, strategy, Draws::kCommon));
    both.b.push_back(&b.score(budget, strategy, draws_of_b));
  }
  const std::vector<int> by_a = orders(a, *of_a, strategies);
  const std::vector<int> by_b = orders(b, *of_b, strategies);
  for (size_t i = 0; i < by_a.size(); ++i) {
    const bool apart = by_a[i] != 0 && by_b[i] != 0;
    agreement.told_apart += apart ? 1 : 0;
    agreement.alike += apart && by_a[i] == by_b[i] ? 1 : 0;
  }
  agreement.strategies = static_cast<int64_t>(strategies.size());
  return both;
}

void add_agreements(const std::string& model, Rankings& a, Rankings& b,
                    std::vector<RankAgreement>& agreements) {
  RankAgreement all{model, a.of(), b.of(), kAllBudgets, 0, {}, 0, 0};
  std::vector<RankAgreement> each;
  std::vector<TwoRankings> rankings;
  for (const std::string& budget : a.budgets()) {
    RankAgreement one{model, a.of(), b.of(), budget, 0, {}, 0, 0};
    TwoRankings both = compare_at(budget, a, b, one);
    const auto correlation = rank_correlation({&both, 1});
    if (!correlation) continue;
    one.correlation = *correlation;
    all.told_apart += one.told_apart;
    all.alike += one.alike;
    all.strategies = rankings.empty() ? one.strategies : std::min(all.strategies, one.strategies);
    rankings.push_back(std::move(both));
    each.push_back(std::move(one));
  }
  const auto correlation = rank_correlation(rankings);
  if (!correlation) return;
  all.correlation = *correlation;
  agreements.push_back(std::move(all));
  std::move(each.begin(), each.end(), std::back_inserter(agreements));
}

/// Of a data set's measures those by which its strategies are ranked: all, or, where it names its
/// own metrics, these and whatever else compares with its answers (perplexity).
std::vector<RankingMeasure> ranking_measures(const ReportGroup& group) {
  std::vector<RankingMeasure> result;
  const std::vector<std::string>& own = group.summary.group.data.metrics;
  for (const Measure& measure : group.measures) {
    const bool wanted = own.empty() || measure.reference == "dataset" ||
                        std::find(own.begin(), own.end(), measure.name) != own.end();
    if (measure.in_pairs && measure.in_summary && wanted) result.push_back({&group, &measure});
  }
  return result;
}

std::string share_text(const RankAgreement& agreement) {
  return fmt::format("{} of {}", agreement.alike, agreement.told_apart);
}

}  // namespace

std::string RankingMeasure::name() const {
  return fmt::format("{} of {}", measure->name, group->summary.group.data.name);
}

std::vector<RankAgreement> rank_agreements(const std::vector<ReportGroup>& groups,
                                           Compared compared) {
  std::vector<RankAgreement> agreements;
  for (size_t first = 0; first < groups.size();) {
    const std::string& model = groups[first].summary.group.model_name;
    auto& made = groups[first].rank_agreements->by_measures;
    std::vector<std::unique_ptr<Rankings>> rankings;
    for (; first < groups.size() && groups[first].summary.group.model_name == model; ++first) {
      for (const RankingMeasure& measure : ranking_measures(groups[first]))
        rankings.push_back(std::make_unique<Rankings>(measure));
    }
    const size_t firsts =
        compared == Compared::kAll ? rankings.size() : std::min<size_t>(1, rankings.size());
    for (size_t a = 0; a < firsts; ++a) {
      for (size_t b = a + 1; b < rankings.size(); ++b) {
        const auto [of_two, is_new] = made.try_emplace({a, b});
        if (is_new) add_agreements(model, *rankings[a], *rankings[b], of_two->second);
        agreements.insert(agreements.end(), of_two->second.begin(), of_two->second.end());
      }
    }
  }
  return agreements;
}

Table rank_agreement_csv(const std::vector<ReportGroup>& groups) {
  Table table;
  table.header = {"model",
                  "data_a",
                  "measure_a",
                  "data_b",
                  "measure_b",
                  "budget",
                  "strategies",
                  "kendall_tau",
                  "low",
                  "high",
                  "pairs_told_apart_by_both",
                  "pairs_in_the_same_order"};
  for (const RankAgreement& one : rank_agreements(groups, Compared::kAll)) {
    const std::optional<Interval>& interval = one.correlation.interval;
    table.rows.push_back({one.model, one.a.group->summary.group.data.name, one.a.measure->name,
                          one.b.group->summary.group.data.name, one.b.measure->name, one.budget,
                          std::to_string(one.strategies), long_number(one.correlation.tau),
                          interval ? long_number(interval->low) : "",
                          interval ? long_number(interval->high) : "",
                          std::to_string(one.told_apart), std::to_string(one.alike)});
  }
  return table;
}

std::vector<RankAgreementTable> rank_agreement_tables(const std::vector<ReportGroup>& groups) {
  std::vector<RankAgreementTable> tables;
  for (const RankAgreement& one : rank_agreements(groups, Compared::kAgainstFirst)) {
    if (tables.empty() || tables.back().model != one.model) {
      tables.push_back({one.model, {}});
      tables.back().table.header = {"measure", "against " + one.a.name(), "budgets",
                                    "pairs in the same order"};
    }
    if (one.budget != kAllBudgets) continue;
    tables.back().table.rows.push_back(
        {one.b.name(), signed_with_interval(one.correlation.tau, one.correlation.interval),
         std::to_string(one.correlation.rankings), share_text(one)});
  }
  return tables;
}

std::string rank_agreement_note() {
  return "Whether two measures order the strategies alike: Kendall's tau-b over the strategies of "
         "a "
         "budget, averaged over budgets, with its 95 % percentile interval over samples. 1: the "
         "same order, 0: nothing in common; a star where the interval excludes 0. Beside it, of "
         "the "
         "pairs of strategies that both measures tell apart, those that both put in the same "
         "order.";
}

}  // namespace elastikv
