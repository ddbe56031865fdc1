#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "metrics/rank_correlation.h"
#include "report/runs.h"
#include "report/table.h"

namespace elastikv {

/// A measure of a model on a data set.
struct RankingMeasure {
  const ReportGroup* group = nullptr;
  const Measure* measure = nullptr;

  /// "exact-match of questions"
  std::string name() const;
};

/// Whether two measures of a model order its strategies alike, at one budget or over all of them.
struct RankAgreement {
  std::string model;
  RankingMeasure a;
  RankingMeasure b;
  std::string budget;      // "all": the mean over budgets
  int64_t strategies = 0;  // in the smallest ranking; the full cache takes no part
  RankCorrelation correlation;
  int64_t told_apart = 0;  // pairs of strategies that both measures tell apart (95 %)
  int64_t alike = 0;       // of these, pairs that both put in the same order
};

/// Those that were made of a model's measures, by the places of the two. Several tables show the
/// same: each is made once.
struct MadeRankAgreements {
  std::map<std::pair<size_t, size_t>, std::vector<RankAgreement>> by_measures;
};

/// Which measures are compared with which.
enum class Compared { kAll, kAgainstFirst };

/// Every two measures of a model (or its first with every other), on one data set or two, at each
/// budget at which at least three strategies have both, and over all of these ("all" comes first).
/// Samples of one image are resampled together: with the same draws for both measures where they
/// are over the same images. Of data sets that name metrics of their own (tasks) only those count.
std::vector<RankAgreement> rank_agreements(const std::vector<ReportGroup>& groups,
                                           Compared compared);

/// All of them, in long form.
Table rank_agreement_csv(const std::vector<ReportGroup>& groups);

/// For people, of one model: the first measure against each of the others, over all budgets.
struct RankAgreementTable {
  std::string model;
  Table table;
};
std::vector<RankAgreementTable> rank_agreement_tables(const std::vector<ReportGroup>& groups);
/// What such a table says, in sentences.
std::string rank_agreement_note();

}  // namespace elastikv
