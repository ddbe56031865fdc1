#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "report/score_tables.h"
#include "text/json_text.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

Json totals_json(const std::vector<ScoreTotal>& totals, const TextMetrics& metrics) {
  Json all = Json::object();
  for (size_t m = 0; m < totals.size(); ++m) {
    const ScoreTotal& total = totals[m];
    Json entry{{"mean", total.f.mean}, {"standard_error", nullptr}, {"ci", nullptr}};
    if (total.f.standard_error) entry["standard_error"] = *total.f.standard_error;
    if (total.interval) entry["ci"] = {total.interval->low, total.interval->high};
    entry["n"] = total.f.samples;
    entry["clusters"] = total.f.clusters;
    entry["undefined"] = total.undefined;
    entry["signature"] = total.signature;
    all[metrics.names()[m]] = std::move(entry);
  }
  return all;
}

/// One file's scores, added to what stands in `report`.
void add_file(const ScoredFile& file, const TextMetrics& metrics, Json& report) {
  report["metrics"] = totals_json(file.totals, metrics);
  if (!file.categories.empty()) report["categories"] = Json::object();
  for (const auto& [category, totals] : file.categories)
    report["categories"][category] = totals_json(totals, metrics);
  report["lines"] = Json::array();
  for (const ScoredLine& line : file.lines) {
    Json entry{{"id", line.id}};
    for (size_t m = 0; m < metrics.names().size(); ++m) {
      const TextScore& score = line.scores[m];
      Json values{{"p", score.precision}, {"r", score.recall}, {"f", score.f}};
      if (!score.defined) values["undefined"] = true;
      entry[metrics.names()[m]] = std::move(values);
    }
    report["lines"].push_back(std::move(entry));
  }
}

}  // namespace

std::string scores_json(const ScoredFiles& scores) {
  Json report = Json::object();
  if (scores.files.size() == 1) {
    add_file(scores.files.front(), scores.metrics, report);
  } else {
    report["files"] = Json::array();
    for (const ScoredFile& file : scores.files) {
      Json entry{{"file", file.name}};
      for (size_t i = 0; i < kScoreLabels.size(); ++i) {
        if (!file.labels[i].empty()) entry[kScoreLabels[i]] = file.labels[i];
      }
      add_file(file, scores.metrics, entry);
      report["files"].push_back(std::move(entry));
    }
  }
  return json_text(std::move(report), /*indent=*/2) + "\n";
}

}  // namespace elastikv
