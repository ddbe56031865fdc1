#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "report/html_parts.h"
#include "report/svg.h"

namespace elastikv {
namespace {

/// Where the largest value is this many times the smallest, an axis is logarithmic.
constexpr double kFar = 6;

/// What a budget counts: one horizontal axis each.
enum class BudgetKind { kGeneration, kPrompt, kTokens };

BudgetKind kind_of(const BudgetChoice& budget) {
  if (budget.keep_tokens) return BudgetKind::kTokens;
  return budget.growth == Growth::kPrompt ? BudgetKind::kPrompt : BudgetKind::kGeneration;
}

const char* axis_label(BudgetKind kind) {
  switch (kind) {
    case BudgetKind::kGeneration:
      return "KV budget, fraction of all tokens";
    case BudgetKind::kPrompt:
      return "KV budget, fraction of the prompt";
    case BudgetKind::kTokens:
      return "KV budget, entries per layer";
  }
  throw InternalError("a kind of budget without a name");
}

/// One series per strategy of the points that `point` gives for its cells.
template <typename Point>
std::vector<ChartSeries> series_of(const GroupSummary& group, const Measure& measure,
                                   Point point_of) {
  std::vector<std::string> labels;
  for (const std::string& label : strategy_rows(group)) {
    const bool full =
        std::any_of(group.cells.begin(), group.cells.end(), [&](const CellSummary& cell) {
          return cell.cell.is_full() && cell.cell.strategy.label == label;
        });
    if (!full) labels.push_back(label);
  }
  const std::vector<ChartLook> looks = chart_looks(labels);
  std::vector<ChartSeries> all;
  for (size_t i = 0; i < labels.size(); ++i) {
    ChartSeries series{labels[i], looks[i], {}};
    for (const CellSummary& cell : group.cells) {
      if (cell.cell.hidden || cell.cell.strategy.label != labels[i] || !cell.ok()) continue;
      const std::optional<Entry> entry = measure.read(cell);
      const std::optional<double> x = point_of(cell);
      if (entry && x) series.points.push_back({*x, entry->value, entry->interval});
    }
    std::stable_sort(series.points.begin(), series.points.end(),
                     [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
    if (!series.points.empty()) all.push_back(std::move(series));
  }
  return all;
}

/// Sets the axes' scales by the points' spread.
void choose_scales(bool may_log_x, Chart& chart) {
  std::vector<double> x;
  std::vector<double> y;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      x.push_back(point.x);
      if (std::isfinite(point.y)) y.push_back(point.y);
    }
  }
  const auto spread = [](const std::vector<double>& values) {
    if (values.empty()) return 1.0;
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    return *low > 0 ? *high / *low : 1.0;
  };
  chart.log_x = may_log_x && spread(x) > kFar;
  chart.log_y = spread(y) > kFar;
}

void add_reference(const GroupSummary& group, const Measure& measure, Chart& chart) {
  const CellSummary& full = group.cells.front();
  if (!measure.full_row || !full.ok()) return;
  const std::optional<Entry> entry = measure.read(full);
  if (entry) chart.reference = ChartReference{"full cache", entry->value, entry->interval};
}

std::string budget_chart(const GroupSummary& group, const Measure& measure, BudgetKind kind) {
  Chart chart;
  chart.title = fmt::format("{} against budget", measure.short_title);
  chart.x_label = axis_label(kind);
  chart.y_label = measure.short_title;
  chart.series = series_of(group, measure, [&](const CellSummary& cell) -> std::optional<double> {
    if (cell.cell.is_full() || kind_of(cell.cell.budget) != kind) return std::nullopt;
    if (kind == BudgetKind::kTokens) {
      return static_cast<double>(cell.cell.budget.keep_tokens.value_or(0));
    }
    return cell.cell.budget.keep;
  });
  if (chart.series.empty()) return "";
  choose_scales(kind == BudgetKind::kTokens, chart);
  add_reference(group, measure, chart);
  return svg_chart(chart);
}

std::string bytes_chart(const GroupSummary& group, const Measure& measure) {
  Chart chart;
  chart.title = fmt::format("{} against memory", measure.short_title);
  chart.x_label = "K and V held after the prefill, KiB";
  chart.y_label = measure.short_title;
  chart.series = series_of(group, measure, [](const CellSummary& cell) -> std::optional<double> {
    if (cell.bytes_prefill <= 0) return std::nullopt;
    return cell.bytes_prefill / 1024;
  });
  if (chart.series.empty()) return "";
  choose_scales(/*may_log_x=*/true, chart);
  add_reference(group, measure, chart);
  return svg_chart(chart);
}

}  // namespace

std::string html_charts(const ReportGroup& group) {
  std::set<BudgetKind> kinds;
  for (const CellSummary& cell : group.summary.cells) {
    if (!cell.cell.is_full()) kinds.insert(kind_of(cell.cell.budget));
  }
  std::string html;
  for (const Measure& measure : group.measures) {
    if (!measure.in_pairs) continue;
    for (const BudgetKind kind : kinds) html += budget_chart(group.summary, measure, kind);
    if (measure.in_summary) html += bytes_chart(group.summary, measure);
  }
  return html.empty() ? "" : "<div class=\"charts\">\n" + html + "</div>\n";
}

}  // namespace elastikv
