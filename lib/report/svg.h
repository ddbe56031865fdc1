#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/intervals.h"
#include "report/looks.h"

namespace elastikv {

/// Text for XML and HTML, in element content and in quoted attributes: & < > " ' escaped, control
/// characters that XML forbids as spaces.
std::string xml_escape(std::string_view text);

/// One point of a chart with its error bar.
struct ChartPoint {
  double x = 0;
  double y = 0;
  std::optional<Interval> interval;  // of y
};

struct ChartSeries {
  std::string label;
  ChartLook look;
  std::vector<ChartPoint> points;  // ascending in x
};

/// A line of the same value everywhere: the full cache's.
struct ChartReference {
  std::string label;
  double value = 0;
  std::optional<Interval> interval;
};

struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  bool log_x = false;  // only where all x are above 0
  bool log_y = false;  // likewise
  bool markers = true;
  std::vector<ChartSeries> series;
  std::optional<ChartReference> reference;
  std::vector<Interval> shaded;  // stretches of the x axis
  std::string shaded_label;
};

/// The chart as an inline <svg> element with classes and without a style of its own beyond shapes
/// and series' colours: the page's CSS gives .chart-text and .chart-line their colours. Values that
/// are not finite are left out. The same chart gives the same bytes.
std::string svg_chart(const Chart& chart);

/// Marks for an axis from low to high: round numbers, at most about `count` of them; of a
/// logarithmic axis 1, 2 and 5 times powers of ten.
std::vector<double> axis_ticks(double low, double high, bool logarithmic, int count);

/// Tokens of an image's grid as a path in units of one token, runs of a row merged: the tokens at
/// which `chosen` ([rows * columns], row by row) is true. Empty when none is.
std::string grid_path(const std::vector<bool>& chosen, int64_t columns);

}  // namespace elastikv
