#include "report/svg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace elastikv {
namespace {

/// Markers as paths around 0,0, one per colour of the palette.
constexpr std::array kMarkers{
    "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
    "M-3.2 -3.2h6.4v6.4h-6.4z",
    "M0 -4L4 3.2H-4z",
    "M0 -4.4L4 0L0 4.4L-4 0z",
    "M0 4L4 -3.2H-4z",
    "M-1.3 -4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",
    "M-4 -2.4L-2.4 -4L0 -1.6L2.4 -4L4 -2.4L1.6 0L4 2.4L2.4 4L0 1.6L-2.4 4L-4 2.4L-1.6 0z",
    "M0 -5L1.2 -1.6L4.8 -1.5L1.9 0.6L2.9 4L0 2L-2.9 4L-1.9 0.6L-4.8 -1.5L-1.2 -1.6z",
    "M-4 0L3.2 -4V4z",
    "M4 0L-3.2 -4V4z"};

constexpr double kWidth = 640;
constexpr double kLeft = 62;
constexpr double kRight = 14;
constexpr double kTop = 30;
constexpr double kPlotHeight = 250;
constexpr double kBottom = 44;
constexpr double kLegendRow = 18;
constexpr double kLegendColumn = 188;

std::string number(double value) {
  std::string text = fmt::format("{:.2f}", value);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text == "-0" ? "0" : text;
}

/// Maps values to places along an axis.
class Axis {
 public:
  Axis(double low, double high, bool logarithmic, double begin, double end)
      : logarithmic_(logarithmic), begin_(begin), end_(end) {
    low_ = scaled(low);
    high_ = scaled(high);
  }
  double operator()(double value) const {
    const double share = std::clamp((scaled(value) - low_) / (high_ - low_), 0.0, 1.0);
    return begin_ + share * (end_ - begin_);
  }

 private:
  double scaled(double value) const { return logarithmic_ ? std::log10(value) : value; }

  bool logarithmic_;
  double begin_;
  double end_;
  double low_ = 0;
  double high_ = 0;
};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double value, bool logarithmic) {
    if (!std::isfinite(value) || (logarithmic && value <= 0)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
  /// With a margin, and never of width 0.
  void widen(bool logarithmic) {
    if (empty()) {
      low = logarithmic ? 0.1 : 0;
      high = 1;
      return;
    }
    if (logarithmic) {
      const double factor = std::pow(high / low, 0.05) * (high > low ? 1 : 1.1);
      low /= factor;
      high *= factor;
      return;
    }
    const double margin = high > low ? (high - low) * 0.05 : std::max(std::abs(high) * 0.1, 0.1);
    low -= margin;
    high += margin;
  }
};

bool drawable(const Chart& chart, const ChartPoint& point) {
  return std::isfinite(point.x) && std::isfinite(point.y) && (!chart.log_x || point.x > 0) &&
         (!chart.log_y || point.y > 0);
}

/// A number as an axis prints it.
std::string tick_text(double value) {
  if (value == 0) return "0";
  const double size = std::abs(value);
  if (size >= 1e6 || size < 1e-3) return fmt::format("{:.0e}", value);
  return fmt::format("{:.6g}", value);
}

class Drawing {
 public:
  explicit Drawing(const Chart& chart)
      : chart_(chart),
        x_(axis(true, kLeft, kWidth - kRight)),
        y_(axis(false, kTop + kPlotHeight, kTop)) {}

  std::string text() const {
    const size_t entries = chart_.series.size() + (chart_.reference ? 1 : 0) +
                           (chart_.shaded.empty() || chart_.shaded_label.empty() ? 0 : 1);
    const size_t rows = (entries + 2) / 3;
    const double height = kTop + kPlotHeight + kBottom + static_cast<double>(rows) * kLegendRow + 6;
    std::string svg =
        fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
                    number(kWidth), number(height), xml_escape(chart_.title));
    svg += fmt::format("<text class=\"chart-text chart-title\" x=\"{}\" y=\"18\">{}</text>\n",
                       number(kLeft), xml_escape(chart_.title));
    svg += shading() + axes();
    if (chart_.reference) svg += reference();
    for (const ChartSeries& series : chart_.series) svg += bars(series);
    for (const ChartSeries& series : chart_.series) svg += line(series);
    return svg + legend() + "</svg>\n";
  }

 private:
  Axis axis(bool horizontal, double begin, double end) {
    Range& range = horizontal ? x_range_ : y_range_;
    const bool logarithmic = horizontal ? chart_.log_x : chart_.log_y;
    for (const ChartSeries& series : chart_.series) {
      for (const ChartPoint& point : series.points) {
        if (!drawable(chart_, point)) continue;
        range.add(horizontal ? point.x : point.y, logarithmic);
        if (horizontal || !point.interval) continue;
        range.add(point.interval->low, logarithmic);
        range.add(point.interval->high, logarithmic);
      }
    }
    if (!horizontal && chart_.reference) range.add(chart_.reference->value, logarithmic);
    range.widen(logarithmic);
    return Axis(range.low, range.high, logarithmic, begin, end);
  }

  std::string shading() const {
    std::string svg;
    for (const Interval& stretch : chart_.shaded) {
      const double begin = x_(stretch.low);
      svg += fmt::format(
          "<rect class=\"chart-shade\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n",
          number(begin), number(kTop), number(x_(stretch.high) - begin), number(kPlotHeight));
    }
    return svg;
  }

  std::string axes() const {
    const double bottom = kTop + kPlotHeight;
    const double right = kWidth - kRight;
    std::string svg;
    for (const double tick : axis_ticks(y_range_.low, y_range_.high, chart_.log_y, 6)) {
      svg += fmt::format("<path class=\"chart-grid\" d=\"M{} {}H{}\"/>\n", number(kLeft),
                         number(y_(tick)), number(right));
      svg += fmt::format(
          "<text class=\"chart-text\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
          number(kLeft - 6), number(y_(tick) + 4), tick_text(tick));
    }
    for (const double tick : axis_ticks(x_range_.low, x_range_.high, chart_.log_x, 8)) {
      svg += fmt::format("<path class=\"chart-line\" d=\"M{} {}v4\"/>\n", number(x_(tick)),
                         number(bottom));
      svg += fmt::format(
          "<text class=\"chart-text\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
          number(x_(tick)), number(bottom + 17), tick_text(tick));
    }
    svg += fmt::format("<path class=\"chart-line\" d=\"M{} {}V{}H{}\"/>\n", number(kLeft),
                       number(kTop), number(bottom), number(right));
    svg += fmt::format(
        "<text class=\"chart-text\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
        number((kLeft + right) / 2), number(bottom + 36), xml_escape(chart_.x_label));
    svg += fmt::format(
        "<text class=\"chart-text\" transform=\"translate(14 {}) rotate(-90)\" "
        "text-anchor=\"middle\">{}</text>\n",
        number(kTop + kPlotHeight / 2), xml_escape(chart_.y_label));
    return svg;
  }

  std::string reference() const {
    std::string svg;
    const double right = kWidth - kRight;
    if (chart_.reference->interval) {
      const Interval& interval = *chart_.reference->interval;
      const double top = y_(interval.high);
      svg += fmt::format(
          "<rect class=\"chart-band\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n",
          number(kLeft), number(top), number(right - kLeft), number(y_(interval.low) - top));
    }
    return svg + fmt::format("<path class=\"chart-reference\" d=\"M{} {}H{}\"/>\n", number(kLeft),
                             number(y_(chart_.reference->value)), number(right));
  }

  std::string bars(const ChartSeries& series) const {
    std::string path;
    for (const ChartPoint& point : series.points) {
      if (!drawable(chart_, point) || !point.interval) continue;
      const double low = chart_.log_y && point.interval->low <= 0 ? point.y : point.interval->low;
      path +=
          fmt::format("M{} {}V{}m-3 0h6M{} {}h6", number(x_(point.x)), number(y_(low)),
                      number(y_(point.interval->high)), number(x_(point.x) - 3), number(y_(low)));
    }
    if (path.empty()) return "";
    return fmt::format(
        "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1\" opacity=\"0.7\"/>\n", path,
        colour(series));
  }

  std::string line(const ChartSeries& series) const {
    std::string path;
    std::string marks;
    for (const ChartPoint& point : series.points) {
      if (!drawable(chart_, point)) continue;
      path += fmt::format("{}{} {}", path.empty() ? "M" : "L", number(x_(point.x)),
                          number(y_(point.y)));
      if (chart_.markers) marks += marker(series, x_(point.x), y_(point.y));
    }
    if (path.empty()) return "";
    return stroke(series, path) + marks;
  }

  std::string legend() const {
    std::string svg;
    size_t place = 0;
    const auto at = [&] {
      const size_t row = place / 3;
      const double x = kLeft + static_cast<double>(place % 3) * kLegendColumn;
      const double y = kTop + kPlotHeight + kBottom + static_cast<double>(row) * kLegendRow + 8;
      ++place;
      return std::make_pair(x, y);
    };
    const auto label = [&](double x, double y, const std::string& text) {
      svg += fmt::format("<text class=\"chart-text\" x=\"{}\" y=\"{}\">{}</text>\n", number(x + 32),
                         number(y + 4), xml_escape(text));
    };
    for (const ChartSeries& series : chart_.series) {
      const auto [x, y] = at();
      svg += stroke(series, fmt::format("M{} {}h26", number(x), number(y)));
      if (chart_.markers) svg += marker(series, x + 13, y);
      label(x, y, series.label);
    }
    if (chart_.reference) {
      const auto [x, y] = at();
      svg +=
          fmt::format("<path class=\"chart-reference\" d=\"M{} {}h26\"/>\n", number(x), number(y));
      label(x, y, chart_.reference->label);
    }
    if (!chart_.shaded.empty() && !chart_.shaded_label.empty()) {
      const auto [x, y] = at();
      svg += fmt::format(
          "<rect class=\"chart-shade\" x=\"{}\" y=\"{}\" width=\"26\" height=\"10\"/>\n", number(x),
          number(y - 5));
      label(x, y, chart_.shaded_label);
    }
    return svg;
  }

  static const std::string& colour(const ChartSeries& series) {
    return chart_colours().at(series.look.colour % chart_colours().size());
  }
  static std::string stroke(const ChartSeries& series, const std::string& path) {
    return fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\"{}/>\n",
                       path, colour(series), series.look.dashed ? " stroke-dasharray=\"6 3\"" : "");
  }
  static std::string marker(const ChartSeries& series, double x, double y) {
    return fmt::format("<path transform=\"translate({} {})\" d=\"{}\" fill=\"{}\"/>\n", number(x),
                       number(y), kMarkers.at(series.look.colour % kMarkers.size()),
                       colour(series));
  }

  const Chart& chart_;
  Range x_range_;
  Range y_range_;
  Axis x_;
  Axis y_;
};

}  // namespace

std::string xml_escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default: {
        const auto byte = static_cast<unsigned char>(c);
        escaped += byte < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
      }
    }
  }
  return escaped;
}

std::vector<double> axis_ticks(double low, double high, bool logarithmic, int count) {
  std::vector<double> ticks;
  if (logarithmic) {
    const bool few = std::log10(high / low) < 1.5;
    for (double power = std::floor(std::log10(low)); power <= std::log10(high); power += 1) {
      for (const double digit : {1.0, 2.0, 3.0, 5.0, 7.0}) {
        if (digit == 3.0 || digit == 7.0) {
          if (!few) continue;
        }
        const double tick = digit * std::pow(10.0, power);
        if (tick >= low && tick <= high) ticks.push_back(tick);
      }
    }
    if (ticks.size() >= 2) return ticks;
    ticks.clear();  // less than a factor of two: as if it were not logarithmic
  }
  const double raw = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double digit : {1.0, 2.0, 5.0}) {
    if (digit * power >= raw) {
      step = digit * power;
      break;
    }
  }
  const auto first = static_cast<int64_t>(std::ceil(low / step));
  const auto last = static_cast<int64_t>(std::floor(high / step));
  for (int64_t i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::string svg_chart(const Chart& chart) { return Drawing(chart).text(); }

std::string grid_path(const std::vector<bool>& chosen, int64_t columns) {
  std::string path;
  const auto count = static_cast<int64_t>(chosen.size());
  for (int64_t begin = 0; begin < count;) {
    if (!chosen[static_cast<size_t>(begin)]) {
      ++begin;
      continue;
    }
    const int64_t row_end = std::min(count, (begin / columns + 1) * columns);
    int64_t end = begin;
    while (end < row_end && chosen[static_cast<size_t>(end)]) ++end;
    path +=
        fmt::format("M{} {}h{}v1h-{}z", begin % columns, begin / columns, end - begin, end - begin);
    begin = end;
  }
  return path;
}

}  // namespace elastikv
