#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace elastikv {

/// How a series is drawn, so that it can be told from the others by colour-blind readers and in
/// black and white: a place in the palette, which goes with a marker of its own, and a dash.
struct ChartLook {
  size_t colour = 0;
  bool dashed = false;
};

/// The palette, as "#rrggbb": that of configs/looks.json, which scripts/plot.py reads as well.
/// Error when the file is missing or damaged.
const std::vector<std::string>& chart_colours();

/// The looks of strategies, by label: those that the file names keep theirs across reports and
/// plots; the others get what is left, in order.
std::vector<ChartLook> chart_looks(const std::vector<std::string>& labels);

}  // namespace elastikv
