#include "report/comparison_checks.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace elastikv {
namespace {

/// What runs have that a table could speak of, each once, in the order met.
struct Offer {
  std::vector<std::string> models;
  std::vector<std::string> data;
  std::vector<std::string> strategies;
  std::vector<std::string> budgets;
};

void add_once(std::vector<std::string>& list, const std::string& text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

void add_offer(const ReadRun& read, bool bench, Offer& offer) {
  if (bench && read.run.bench) {
    for (const StoredBenchModel& model : read.run.bench->models) {
      add_once(offer.models, model.label);
    }
    for (const StoredBenchCell& cell : read.run.bench->cells) {
      add_once(offer.strategies, cell.strategy);
      add_once(offer.budgets, fmt::format("{} (batch {} of {}+{})", cell.budget, cell.batch,
                                          cell.prompt_tokens, cell.new_tokens));
    }
  }
  if (bench || !read.run.sweep) return;
  for (const GroupSummary& group : read.groups) {
    add_once(offer.models, group.group.model.label);
    add_once(offer.data, group.group.data.name);
    for (const CellSummary& cell : group.cells) {
      if (cell.cell.hidden) continue;
      add_once(offer.strategies, cell.cell.strategy.label);
      add_once(offer.budgets, cell.cell.budget.text());
    }
  }
}

/// The same of published tables.
Offer published_offer(const std::vector<PublishedTable>& tables, bool bench) {
  Offer offer;
  for (const PublishedTable& table : tables) {
    if (table.bench != bench) continue;
    for (const PublishedName& model : table.models) add_once(offer.models, model.name);
    for (const PublishedName& data : table.data) add_once(offer.data, data.name);
    for (const PublishedStrategy& strategy : table.strategies) {
      add_once(offer.strategies, strategy.name);
    }
    for (const PublishedValue& value : table.values) {
      const std::string budget = value.budget_text();
      add_once(offer.budgets, !bench ? budget
                                     : fmt::format("{} (batch {} of {}+{})", budget, value.batch,
                                                   value.prompt_tokens, value.new_tokens));
    }
  }
  return offer;
}

std::string offer_text(const Offer& offer) {
  std::string text = fmt::format("models {}", fmt::join(offer.models, ", "));
  if (!offer.data.empty()) text += fmt::format("; data {}", fmt::join(offer.data, ", "));
  text += fmt::format("; strategies {}", fmt::join(offer.strategies, ", "));
  return text + fmt::format("; budgets {}", fmt::join(offer.budgets, ", "));
}

constexpr const char* kOverrideHint =
    "--model, --data and --strategy PUBLISHED=OURS say what stands for what";

void require_known(const std::vector<NameOverride>& overrides, std::string_view option,
                   const std::vector<std::string>& published,
                   const std::vector<std::string>& ours) {
  for (const NameOverride& one : overrides) {
    if (std::find(published.begin(), published.end(), one.published) == published.end()) {
      fail("{} {}={}: no table has '{}'; they have: {}", option, one.published, one.ours,
           one.published, fmt::join(published, ", "));
    }
    const bool found = std::any_of(ours.begin(), ours.end(), [&](const std::string& label) {
      return label_matches(one.ours, label);
    });
    if (!found) {
      fail("{} {}={}: no run has '{}'; they have: {}", option, one.published, one.ours, one.ours,
           fmt::join(ours, ", "));
    }
  }
}

}  // namespace

void require_match(const TableComparison& comparison, const std::vector<ReadRun>& runs) {
  if (!comparison.pairs.empty()) return;
  const PublishedTable& table = comparison.table;
  Offer offer;
  bool any = false;
  for (const ReadRun& read : runs) {
    any = any || (table.bench ? read.run.bench.has_value() : read.run.sweep.has_value());
    add_offer(read, table.bench, offer);
  }
  if (!any) {
    fail("{}: stands beside {}, of which no run is one", table.id,
         table.bench ? "benchmarks (bench.json)" : "sweeps (sweep.json)");
  }
  fail("{}: nothing of it matches; it has {}; the {} {}; {}", table.id,
       offer_text(published_offer({table}, table.bench)),
       runs.size() == 1 ? "run has" : "runs have", offer_text(offer), kOverrideHint);
}

void require_used(const ReadRun& read, const std::vector<PublishedTable>& tables,
                  const std::vector<TableComparison>& comparisons) {
  for (const TableComparison& comparison : comparisons) {
    for (const ComparedPair& pair : comparison.pairs) {
      if (pair.run == read.run.folder) return;
    }
  }
  const bool bench = !read.run.sweep;
  Offer ours;
  add_offer(read, bench, ours);
  const Offer theirs = published_offer(tables, bench);
  if (theirs.models.empty()) {
    fail("{}: holds a {}, and none of the tables is of such", read.run.folder,
         bench ? "benchmark" : "sweep");
  }
  fail("{}: matches no published table; it has {}; the tables have models {}{}; {}",
       read.run.folder, offer_text(ours), fmt::join(theirs.models, ", "),
       theirs.data.empty() ? "" : fmt::format("; data {}", fmt::join(theirs.data, ", ")),
       kOverrideHint);
}

void require_known_names(const ComparisonNames& names, const std::vector<PublishedTable>& tables,
                         const std::vector<ReadRun>& runs) {
  Offer theirs;
  Offer ours;
  for (const bool bench : {false, true}) {
    const Offer offer = published_offer(tables, bench);
    for (const std::string& name : offer.models) add_once(theirs.models, name);
    for (const std::string& name : offer.data) add_once(theirs.data, name);
    for (const std::string& name : offer.strategies) add_once(theirs.strategies, name);
    for (const ReadRun& read : runs) add_offer(read, bench, ours);
  }
  require_known(names.models, "--model", theirs.models, ours.models);
  require_known(names.data, "--data", theirs.data, ours.data);
  require_known(names.strategies, "--strategy", theirs.strategies, ours.strategies);
}

}  // namespace elastikv
