#include <algorithm>
#include <map>

#include "base/error.h"
#include "report/html_parts.h"
#include "report/svg.h"

namespace elastikv {
namespace {

constexpr size_t kLayersShown = 12;
constexpr size_t kExamples = 2;  // of samples without details

/// A sample to show, with what its run knows of it.
struct Shown {
  std::string id;
  size_t run = 0;
  const StoredDetail* detail = nullptr;
};

std::vector<Shown> shown_samples(const ReportGroup& group) {
  std::vector<Shown> shown;
  const Cell& first = group.source.cells.front().cell;
  for (size_t run = 0; run < group.runs.size(); ++run) {
    for (const StoredDetail& detail : group.runs[run]->sweep.details) {
      if (detail.model != first.model || detail.data != first.data) continue;
      shown.push_back({detail.sample, run, &detail});
    }
  }
  if (!shown.empty()) return shown;
  for (const std::string& id : group.summary.sample_ids) {
    if (shown.size() < kExamples) shown.push_back({id, 0, nullptr});
  }
  return shown;
}

const StoredSample* find_sample(const ReportGroup& group, const Shown& shown) {
  const Cell& cell = group.source.cells.front().cell;
  const std::vector<StoredSample>* samples =
      group.runs[shown.run]->sweep.samples_of(cell.model, cell.data);
  if (samples == nullptr) return nullptr;
  for (const StoredSample& sample : *samples) {
    if (sample.id == shown.id) return &sample;
  }
  return nullptr;
}

/// The lowest budget that all strategies of the group share, or that any has.
std::string lowest_budget(const GroupSummary& group) {
  const std::vector<std::string> budgets = budget_columns(group);
  std::map<std::string, size_t> strategies;
  size_t most = 0;
  for (const CellSummary& cell : group.cells) {
    if (cell.cell.hidden || cell.cell.is_full()) continue;
    most = std::max(most, ++strategies[cell.cell.budget.text()]);
  }
  for (const std::string& budget : budgets) {
    if (most > 0 && strategies[budget] == most) return budget;
  }
  return "";
}

/// Base64 and nothing else: it goes into an attribute.
bool is_base64(const std::string& text) {
  return !text.empty() && text.find_first_not_of(
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"
                              "yz0123456789+/=") == std::string::npos;
}

bool has_grid(const SampleDetail& detail) {
  return detail.grid_rows > 0 && detail.grid_columns > 0 && detail.image_begin >= 0 &&
         detail.image_end - detail.image_begin == detail.grid_rows * detail.grid_columns &&
         detail.image_end <= detail.prompt_tokens;
}

/// How many of a layer's groups of heads keep each position. [prompt_tokens]
std::vector<size_t> keepers(const std::vector<std::vector<int64_t>>& groups, int64_t tokens) {
  std::vector<size_t> count(static_cast<size_t>(std::max<int64_t>(tokens, 0)), 0);
  for (const std::vector<int64_t>& kept : groups) {
    for (const int64_t position : kept) {
      if (position >= 0 && position < tokens) ++count[static_cast<size_t>(position)];
    }
  }
  return count;
}

/// Dark shapes over the image's tokens that were dropped; where heads keep different tokens, the
/// darker the fewer keep one.
std::string dropped_overlay(const SampleDetail& detail, const std::vector<size_t>& count,
                            size_t groups) {
  std::string svg;
  for (size_t level = 0; level < groups; ++level) {
    std::vector<bool> chosen;
    for (int64_t i = detail.image_begin; i < detail.image_end; ++i) {
      chosen.push_back(count[static_cast<size_t>(i)] == level);
    }
    const std::string path = grid_path(chosen, detail.grid_columns);
    if (path.empty()) continue;
    const double share = static_cast<double>(level) / static_cast<double>(groups);
    svg += fmt::format("<path class=\"dropped\" opacity=\"{:.2f}\" d=\"{}\"/>", 0.82 * (1 - share),
                       path);
  }
  return svg;
}

std::string layer_image(const SampleDetail& detail, const std::vector<size_t>& count, size_t groups,
                        const std::string& image) {
  std::string svg = fmt::format("<svg class=\"layer\" viewBox=\"0 0 {} {}\">", detail.grid_columns,
                                detail.grid_rows);
  svg += image.empty() ? fmt::format("<path class=\"image-place\" d=\"M0 0h{}v{}H0z\"/>",
                                     detail.grid_columns, detail.grid_rows)
                       : fmt::format("<use href=\"#{}\" width=\"{}\" height=\"{}\"/>", image,
                                     detail.grid_columns, detail.grid_rows);
  return svg + dropped_overlay(detail, count, groups) + "</svg>";
}

/// All positions of the prompt in one line, those that any layer keeps in proportion to how many
/// do.
std::string position_line(const SampleDetail& detail,
                          const std::vector<std::vector<std::vector<int64_t>>>& layers) {
  std::vector<size_t> kept(static_cast<size_t>(detail.prompt_tokens), 0);
  size_t most = 0;
  for (const auto& groups : layers) {
    const std::vector<size_t> count = keepers(groups, detail.prompt_tokens);
    for (size_t i = 0; i < kept.size(); ++i) kept[i] += count[i];
    most += groups.size();
  }
  constexpr size_t levels = 5;
  std::string svg =
      fmt::format("<svg class=\"positions\" viewBox=\"0 0 {} 1\" preserveAspectRatio=\"none\">",
                  detail.prompt_tokens);
  if (detail.image_end > detail.image_begin) {
    svg +=
        fmt::format("<path class=\"image-place\" d=\"M{} 0h{}v1h-{}z\"/>", detail.image_begin,
                    detail.image_end - detail.image_begin, detail.image_end - detail.image_begin);
  }
  for (size_t level = 1; level <= levels; ++level) {
    std::vector<bool> chosen;
    chosen.reserve(kept.size());
    for (const size_t count : kept) {
      chosen.push_back(most > 0 && (count * levels + most - 1) / most == level);
    }
    const std::string path = grid_path(chosen, detail.prompt_tokens);
    if (path.empty()) continue;
    svg += fmt::format("<path class=\"kept\" opacity=\"{:.1f}\" d=\"{}\"/>",
                       static_cast<double>(level) / levels, path);
  }
  return svg + "</svg>";
}

/// Layers to show: all, or some at even distances with the first and the last.
std::vector<size_t> chosen_layers(size_t layers) {
  std::vector<size_t> chosen;
  const size_t shown = std::min(layers, kLayersShown);
  for (size_t i = 0; i < shown; ++i) {
    chosen.push_back(shown == 1 ? 0 : i * (layers - 1) / (shown - 1));
  }
  return chosen;
}

std::string strip(const Cell& cell, const SampleDetail& detail,
                  const std::vector<std::vector<std::vector<int64_t>>>& layers,
                  const std::string& image) {
  int64_t image_kept = 0;
  int64_t kept = 0;
  int64_t sets = 0;
  for (const auto& groups : layers) {
    for (const auto& positions : groups) {
      ++sets;
      kept += static_cast<int64_t>(positions.size());
      image_kept += std::count_if(positions.begin(), positions.end(), [&](int64_t position) {
        return position >= detail.image_begin && position < detail.image_end;
      });
    }
  }
  const auto mean = [&](int64_t sum) {
    return static_cast<double>(sum) / static_cast<double>(std::max<int64_t>(sets, 1));
  };
  const int64_t image_tokens = detail.image_end - detail.image_begin;
  std::string html = fmt::format(
      "<div class=\"strip\"><div class=\"name\">{}<small>{:.1f} of {} image, {:.1f} of {} other "
      "tokens</small></div><div>",
      xml_escape(cell.strategy.label), mean(image_kept), image_tokens, mean(kept - image_kept),
      detail.prompt_tokens - image_tokens);
  if (has_grid(detail)) {
    html += "<div class=\"layers\">";
    for (const size_t layer : chosen_layers(layers.size())) {
      const std::vector<size_t> count = keepers(layers[layer], detail.prompt_tokens);
      html += "<figure>" + layer_image(detail, count, layers[layer].size(), image) +
              fmt::format("<figcaption>{}</figcaption></figure>", layer);
    }
    html += "</div>";
  }
  return html + position_line(detail, layers) + "</div></div>\n";
}

std::string strips(const ReportGroup& group, const Shown& shown, const std::string& budget,
                   const std::string& image) {
  std::string html;
  const StoredDetail& stored = *shown.detail;
  for (const CellSource& source : group.source.cells) {
    if (source.run != shown.run || source.cell.hidden || source.cell.budget.text() != budget) {
      continue;
    }
    const auto place = std::find(stored.cells.begin(), stored.cells.end(), source.id);
    if (place == stored.cells.end()) continue;
    const auto& layers = stored.detail.kept[static_cast<size_t>(place - stored.cells.begin())];
    if (layers.empty()) continue;
    html += strip(source.cell, stored.detail, layers, image);
  }
  if (html.empty()) return "";
  const std::string what =
      has_grid(stored.detail)
          ? "The image by layer (numbers below), dropped tokens darkened. The line below it is "
            "the whole prompt: blue what is kept, the darker by the more layers; orange the "
            "image's place."
          : "The whole prompt as a line: blue what is kept, the darker by the more layers; orange "
            "the images' place.";
  return fmt::format("<h4>Kept after the prefill at budget {}</h4>\n<p class=\"note\">{}</p>\n",
                     xml_escape(budget), what) +
         html;
}

std::string importance_chart(const SampleDetail& detail) {
  std::vector<double> mean(static_cast<size_t>(std::max<int64_t>(detail.prompt_tokens, 0)), 0);
  size_t layers = 0;
  for (const std::vector<float>& layer : detail.importance) {
    if (layer.size() != mean.size()) continue;
    ++layers;
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += static_cast<double>(layer[i]);
  }
  if (layers == 0 || mean.empty()) return "";
  Chart chart;
  chart.title = "Attention received by position (mean over layers)";
  chart.x_label = "position in the prompt";
  chart.y_label = "sum of attention weights";
  chart.log_y = true;
  chart.markers = false;
  ChartSeries series{"mean over layers", {0, false}, {}};
  for (size_t i = 0; i < mean.size(); ++i) {
    series.points.push_back(
        {static_cast<double>(i), mean[i] / static_cast<double>(layers), std::nullopt});
  }
  chart.series.push_back(std::move(series));
  if (detail.image_end > detail.image_begin) {
    chart.shaded.push_back(
        {static_cast<double>(detail.image_begin), static_cast<double>(detail.image_end - 1)});
    chart.shaded_label = "the image's tokens";
  }
  return "<div class=\"charts\">\n" + svg_chart(chart) + "</div>\n";
}

/// What a cell wrote, or the option that it found likeliest with the log likelihoods of all.
std::string answer_html(const CellOutcome& outcome) {
  std::string html = xml_escape(outcome.text);
  if (outcome.options.empty()) return html;
  std::string all;
  for (const OptionLikelihood& option : outcome.options) {
    all += fmt::format("{}{} {:.2f}", all.empty() ? "" : ", ",
                       xml_escape(std::string(1, option.letter)), option.log_likelihood);
  }
  return html + fmt::format("<br/><small>log likelihoods: {}</small>", all);
}

std::string texts(const ReportGroup& group, const Shown& shown, const std::string& budget) {
  std::string rows;
  for (const CellSource& source : group.source.cells) {
    const Cell& cell = source.cell;
    if (!cell.is_full() && (cell.hidden || cell.budget.text() != budget)) continue;
    const Record* record = source.records->find(source.id, shown.id);
    if (record == nullptr) continue;
    const std::string label = cell.is_full() ? "full cache" : cell.strategy.label;
    rows +=
        fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", xml_escape(label),
                    record->failed() ? "<em>failed: " + xml_escape(record->outcome.error) + "</em>"
                                     : answer_html(record->outcome));
  }
  if (rows.empty()) return "";
  return fmt::format(
      "<h4>Texts{}</h4>\n<div class=\"wide\"><table class=\"texts\"><tbody>\n{}</tbody></table>"
      "</div>\n",
      budget.empty() ? "" : " at budget " + xml_escape(budget), rows);
}

std::string question_of(const StoredSample* sample) {
  if (sample == nullptr) return "";
  std::string html =
      fmt::format("<p><strong>Question</strong> {}</p>\n", xml_escape(sample->question));
  if (!sample->answer.empty()) {
    html += fmt::format("<p><strong>Answer</strong> {}</p>\n", xml_escape(sample->answer));
  }
  if (!sample->categories.empty()) {
    std::string names;
    for (const std::string& name : sample->categories) names += (names.empty() ? "" : ", ") + name;
    html += fmt::format("<p class=\"note\">Categories: {}</p>\n", xml_escape(names));
  }
  return html;
}

}  // namespace

std::string html_samples(const ReportGroup& group, const std::string& id) {
  const std::string budget = lowest_budget(group.summary);
  std::string html;
  size_t number = 0;
  for (const Shown& shown : shown_samples(group)) {
    html += fmt::format("<div class=\"sample\">\n<h4>{}</h4>\n<div class=\"sample-top\">",
                        xml_escape(shown.id));
    std::string image;
    if (shown.detail != nullptr && is_base64(shown.detail->detail.thumbnail)) {
      const SampleDetail& detail = shown.detail->detail;
      image = fmt::format("{}-image-{}", id, number);
      const int64_t columns = has_grid(detail) ? detail.grid_columns : 1;
      const int64_t rows = has_grid(detail) ? detail.grid_rows : 1;
      html += fmt::format(
          "<svg class=\"thumbnail\" viewBox=\"0 0 {0} {1}\"><defs><symbol id=\"{2}\" "
          "viewBox=\"0 0 {0} {1}\" preserveAspectRatio=\"none\"><image width=\"{0}\" "
          "height=\"{1}\" preserveAspectRatio=\"none\" href=\"data:image/png;base64,{3}\"/>"
          "</symbol></defs><use href=\"#{2}\" width=\"{0}\" height=\"{1}\"/></svg>\n",
          columns, rows, image, detail.thumbnail);
    }
    html += "<div class=\"question\">" + question_of(find_sample(group, shown)) + "</div></div>\n";
    if (shown.detail != nullptr) {
      html += strips(group, shown, budget, image) + importance_chart(shown.detail->detail);
    }
    html += texts(group, shown, budget) + "</div>\n";
    ++number;
  }
  return html.empty() ? "" : "<h3>Samples to look at</h3>\n" + html;
}

}  // namespace elastikv
