#include "report/explanation_drawings.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include <ATen/core/Tensor.h>

#include "base/error.h"
#include "image/drawing.h"
#include "image/resample.h"

namespace elastikv {
namespace {

// Pixels.
constexpr int64_t kMargin = 16;
constexpr int64_t kGap = 12;
constexpr int64_t kTile = 216;  // about; a whole number of pixels per token
constexpr int64_t kLeastCell = 6;
constexpr int64_t kLetters = 9;
constexpr int64_t kTitleLetters = 12;
constexpr int64_t kLine = 18;
constexpr int64_t kBar = 7;
constexpr int64_t kSwatch = 24;

constexpr Colour kPaper{255, 255, 255};
constexpr Colour kInk{32, 32, 32};
constexpr Colour kDimmed{38, 42, 60};      // what evicted tokens fade to
constexpr Colour kOutline{132, 138, 160};  // of merged ones: lighter in any colour vision
constexpr Colour kBarLight{240, 240, 240};
constexpr Colour kAccent{230, 159, 0};
constexpr double kFading = 0.82;
constexpr double kMapOpacity = 0.72;

Colour mix(Colour from, Colour to, double share) {
  const auto channel = [&](uint8_t a, uint8_t b) {
    return static_cast<uint8_t>(std::lround(a + share * (b - a)));
  };
  return {channel(from.red, to.red), channel(from.green, to.green), channel(from.blue, to.blue)};
}

/// Pixels along a token's side.
int64_t cell_of(const ShownPrompt& prompt) {
  return std::max(kLeastCell, kTile / std::max(prompt.grid.height, prompt.grid.width));
}

Image paper(int64_t width, int64_t height) {
  Image sheet(ImageSize{height, width});
  fill(sheet, 0, 0, width, height, kPaper);
  return sheet;
}

/// The image at the size of a tile.
Image tile_of(const ShownPrompt& prompt) {
  const int64_t cell = cell_of(prompt);
  return resample(prompt.image, {prompt.grid.height * cell, prompt.grid.width * cell},
                  ResampleFilter::kBicubic);
}

/// Recolours the pixels of one token.
void recolour(Image& tile, int64_t cell, int64_t x, int64_t y,
              const std::function<Colour(Colour)>& change) {
  for (int64_t row = y * cell; row < (y + 1) * cell; ++row) {
    uint8_t* pixel = tile.row(row) + x * cell * 3;
    for (int64_t column = 0; column < cell; ++column, pixel += 3) {
      const Colour colour = change({pixel[0], pixel[1], pixel[2]});
      pixel[0] = colour.red;
      pixel[1] = colour.green;
      pixel[2] = colour.blue;
    }
  }
}

/// For every prompt token the share of KV heads that keep it, and that merge it into another.
struct Shares {
  std::vector<double> kept;
  std::vector<double> merged;
};

Shares shares_of(const LayerDecision& layer, int64_t prompt_tokens) {
  Shares shares{std::vector<double>(static_cast<size_t>(prompt_tokens), 0.0),
                std::vector<double>(static_cast<size_t>(prompt_tokens), 0.0)};
  const double one = 1.0 / static_cast<double>(layer.heads.size());
  for (const HeadDecision& head : layer.heads) {
    std::vector<bool> kept(shares.kept.size());
    std::vector<bool> merged(shares.kept.size());
    for (const int64_t position : head.kept) kept[static_cast<size_t>(position)] = true;
    for (const MergedGroup& group : head.groups) {
      for (const int64_t source : group.sources) merged[static_cast<size_t>(source)] = true;
    }
    for (size_t token = 0; token < kept.size(); ++token) {
      shares.kept[token] += kept[token] ? one : 0;
      shares.merged[token] += merged[token] && !kept[token] ? one : 0;
    }
  }
  return shares;
}

/// Tiles in rows below a title, a legend below them.
class Sheet {
 public:
  Sheet(std::vector<std::string> lines, size_t tiles, ImageSize tile, int64_t below, int64_t legend)
      : tile_(tile.width), step_y_(tile.height + below + kGap) {
    columns_ = std::clamp<int64_t>(
        std::lround(std::ceil(std::sqrt(1.5 * static_cast<double>(tiles)))), 2, 8);
    const auto rows = (static_cast<int64_t>(tiles) + columns_ - 1) / columns_;
    top_ = kMargin + static_cast<int64_t>(lines.size()) * (kLine + 4) + kGap;
    int64_t width = columns_ * (tile.width + kGap) - kGap;
    for (size_t i = 0; i < lines.size(); ++i)
      width = std::max(width, text_width(lines[i], i == 0 ? kTitleLetters : kLetters));
    legend_ = top_ + rows * step_y_;
    drawing_ = paper(width + 2 * kMargin, legend_ + legend + kMargin);
    for (size_t i = 0; i < lines.size(); ++i) {
      draw_text(drawing_, kMargin, kMargin + static_cast<int64_t>(i) * (kLine + 4) + kTitleLetters,
                lines[i], i == 0 ? kTitleLetters : kLetters, kInk);
    }
  }

  void add(const Image& tile, const std::vector<std::string>& labels) {
    const int64_t x = kMargin + next_ % columns_ * (tile_ + kGap);
    const int64_t y = top_ + next_ / columns_ * step_y_;
    ++next_;
    paste(drawing_, x, y, tile);
    int64_t line = y + tile.size.height + 4;
    for (const std::string& label : labels) {
      draw_text(drawing_, x, line + kLetters, label, kLetters, kInk);
      line += kLine;
    }
  }
  Image& drawing() { return drawing_; }
  int64_t legend() const { return legend_; }

 private:
  Image drawing_;
  int64_t tile_;
  int64_t step_y_;
  int64_t columns_ = 1;
  int64_t top_ = 0;
  int64_t legend_ = 0;
  int64_t next_ = 0;
};

/// A tile with the bar of the whole prompt below it.
Image with_bar(const Image& tile, const Shares& shares, const ShownPrompt& prompt) {
  const int64_t side = tile.size.width;
  const int64_t below = tile.size.height + 3;
  Image both = paper(side, below + kBar + 3);
  paste(both, 0, 0, tile);
  const auto column_of = [&](int64_t token) { return token * side / prompt.prompt_tokens; };
  for (int64_t x = 0; x < side; ++x) {
    // A column may stand for several tokens: their mean.
    const int64_t first = x * prompt.prompt_tokens / side;
    const int64_t last = std::max(first + 1, (x + 1) * prompt.prompt_tokens / side);
    double kept = 0;
    for (int64_t token = first; token < last; ++token)
      kept += shares.kept[static_cast<size_t>(token)] / static_cast<double>(last - first);
    fill(both, x, below, 1, kBar, mix(kDimmed, kBarLight, kept));
  }
  const int64_t begin = column_of(prompt.image_begin);
  fill(both, begin, below + kBar, column_of(prompt.image_end) - begin, 3, kAccent);
  return both;
}

/// A token that stays, is evicted, or merged, in the accent colour.
void draw_swatch(Image& sheet, int64_t x, int64_t y, double kept, bool merged) {
  fill(sheet, x, y, kSwatch, kSwatch, mix(kAccent, kDimmed, kFading * (1 - kept)));
  if (merged) outline(sheet, x, y, kSwatch, kSwatch, 2, kOutline);
}

Colour grey_of(Colour colour) {
  const auto level = static_cast<uint8_t>(
      std::lround(0.299 * colour.red + 0.587 * colour.green + 0.114 * colour.blue));
  return {level, level, level};
}

/// The place of every token of the image among them by importance: 0 for the least, 1 for the
/// most; equal scores share their mean place.
std::vector<double> ranks_of(const at::Tensor& importance, const ShownPrompt& prompt) {
  const at::Tensor mean = importance.to(at::kDouble)
                              .mean(/*dim=*/0)
                              .narrow(0, prompt.image_begin, prompt.image_end - prompt.image_begin)
                              .contiguous();
  const auto* score = mean.const_data_ptr<double>();
  const auto count = static_cast<size_t>(mean.numel());
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score[a] < score[b]; });
  std::vector<double> ranks(count, 0.5);
  for (size_t first = 0; first < count;) {
    size_t last = first;
    while (last + 1 < count && score[order[last + 1]] == score[order[first]]) ++last;
    for (size_t i = first; i <= last && count > 1; ++i)
      ranks[order[i]] = static_cast<double>(first + last) / 2 / static_cast<double>(count - 1);
    first = last + 1;
  }
  return ranks;
}

/// The paper's scheme for names of strategies and budgets in a sheet's second line.
std::string strategy_line(const Explanation& explanation) {
  return fmt::format(
      "{}: {} entries per layer and KV head asked for; {:.1f} % of the prompt's "
      "attention lies on what is evicted",
      explanation.name, explanation.requested, 100 * explanation.attention_lost);
}

}  // namespace

void require_grid(int64_t image_tokens, ImageSize grid) {
  if (image_tokens > 0 && grid.pixels() == image_tokens) return;
  fail("the image's {} tokens are no single grid, so they cannot be drawn on it; use --json",
       image_tokens);
}

Image kept_sheet(const Explanation& explanation, const ShownPrompt& prompt) {
  const Image plain = tile_of(prompt);
  const int64_t cell = cell_of(prompt);
  const int64_t columns = prompt.grid.width;
  const int64_t tokens = prompt.grid.pixels();
  Sheet sheet({prompt.title, strategy_line(explanation)}, explanation.layers.size() + 1, plain.size,
              kBar + 6 + 2 * kLine + 4, 3 * (kSwatch + 6));
  sheet.add(plain, {"what the model sees"});
  for (const LayerDecision& layer : explanation.layers) {
    const Shares shares = shares_of(layer, prompt.prompt_tokens);
    Image tile = plain;
    double kept = 0;
    for (int64_t token = 0; token < tokens; ++token) {
      const auto index = static_cast<size_t>(prompt.image_begin + token);
      const int64_t x = token % columns;
      const int64_t y = token / columns;
      kept += shares.kept[index];
      recolour(tile, cell, x, y, [&](Colour colour) {
        return mix(colour, kDimmed, kFading * (1 - shares.kept[index]));
      });
      if (shares.merged[index] > 0) {
        outline(tile, x * cell, y * cell, cell, cell, 1,
                mix(kDimmed, kOutline, shares.merged[index]));
      }
    }
    sheet.add(with_bar(tile, shares, prompt),
              {fmt::format("layer {}: {:.3g} of {} kept", layer.layer, kept, tokens),
               fmt::format("{:.1f} % of attention lost", 100 * layer.attention_lost)});
  }
  Image& drawing = sheet.drawing();
  int64_t x = kMargin;
  const int64_t y = sheet.legend();
  const auto entry = [&](double kept, bool merged, const std::string& text) {
    draw_swatch(drawing, x, y, kept, merged);
    draw_text(drawing, x + kSwatch + 8, y + (kSwatch + kLetters) / 2, text, kLetters, kInk);
    x += kSwatch + 8 + text_width(text, kLetters) + 2 * kGap;
  };
  entry(1, /*merged=*/false, "kept");
  entry(0, /*merged=*/false, "dropped");
  entry(0, /*merged=*/true, "merged");
  const auto note = [&](int64_t line, const std::string& text) {
    draw_text(drawing, kMargin, y + line * (kSwatch + 6) + (kSwatch + kLetters) / 2, text, kLetters,
              kInk);
  };
  note(1, "In between: some KV heads keep it.");
  note(2, "Bar: the whole prompt (light: kept; underlined: the image).");
  return drawing;
}

Image importance_sheet(const Explanation& explanation, const ShownPrompt& prompt) {
  const Image plain = tile_of(prompt);
  const int64_t cell = cell_of(prompt);
  const int64_t columns = prompt.grid.width;
  const int64_t tokens = prompt.grid.pixels();
  Sheet sheet({prompt.title, explanation.name + ": what the image's tokens are ranked by"},
              explanation.layers.size() + 1, plain.size, kLine + 4, 2 * (kSwatch + 6));
  sheet.add(plain, {"what the model sees"});
  for (const LayerDecision& layer : explanation.layers) {
    const std::vector<double> ranks = ranks_of(layer.importance, prompt);
    Image tile = plain;
    for (int64_t token = 0; token < tokens; ++token) {
      const Colour colour = viridis(ranks[static_cast<size_t>(token)]);
      recolour(tile, cell, token % columns, token / columns,
               [&](Colour under) { return mix(grey_of(under), colour, kMapOpacity); });
    }
    sheet.add(tile, {fmt::format("layer {}", layer.layer)});
  }
  Image& drawing = sheet.drawing();
  const std::string least = "least important";
  int64_t x = kMargin;
  const int64_t y = sheet.legend();
  const int64_t line = y + (kSwatch + kLetters) / 2;
  draw_text(drawing, x, line, least, kLetters, kInk);
  x += text_width(least, kLetters) + 8;
  for (int64_t i = 0; i < kTile; ++i)
    fill(drawing, x + i, y, 1, kSwatch, viridis(static_cast<double>(i) / (kTile - 1)));
  draw_text(drawing, x + kTile + 8, line, "most", kLetters, kInk);
  draw_text(drawing, kMargin, line + kSwatch + 6,
            "Colour: rank among the image's tokens in the layer.", kLetters, kInk);
  return drawing;
}

Image agreement_sheet(const std::vector<Explanation>& explanations, const std::string& title) {
  constexpr int64_t kCell = 56;
  const auto matrix = kept_agreement(explanations);
  const auto count = static_cast<int64_t>(explanations.size());
  const std::string caption = "Jaccard index of what two strategies keep, mean over layers";
  int64_t names = 0;
  for (size_t i = 0; i < explanations.size(); ++i) {
    names =
        std::max(names, text_width(fmt::format("{} {}", i + 1, explanations[i].name), kLetters));
  }
  const int64_t left = kMargin + names + kGap;
  const int64_t top = kMargin + 3 * (kLine + 4) + kGap;
  const int64_t width = std::max({left + count * kCell, kMargin + text_width(title, kTitleLetters),
                                  kMargin + text_width(caption, kLetters)});
  Image sheet = paper(width + kMargin, top + count * kCell + kMargin);
  draw_text(sheet, kMargin, kMargin + kTitleLetters, title, kTitleLetters, kInk);
  draw_text(sheet, kMargin, kMargin + kTitleLetters + kLine + 4, caption, kLetters, kInk);
  const auto centred = [&](int64_t x, int64_t y, const std::string& text, Colour colour) {
    draw_text(sheet, x + (kCell - text_width(text, kLetters)) / 2, y, text, kLetters, colour);
  };
  for (int64_t row = 0; row < count; ++row) {
    const int64_t y = top + row * kCell;
    const int64_t base = y + (kCell + kLetters) / 2;
    const Explanation& explanation = explanations[static_cast<size_t>(row)];
    draw_text(sheet, kMargin, base, fmt::format("{} {}", row + 1, explanation.name), kLetters,
              kInk);
    centred(left + row * kCell, top - 6, std::to_string(row + 1), kInk);
    for (int64_t column = 0; column < count; ++column) {
      const double value = matrix[static_cast<size_t>(row)][static_cast<size_t>(column)];
      fill(sheet, left + column * kCell, y, kCell, kCell, viridis(value));
      // Viridis is light from its middle on.
      centred(left + column * kCell, base, fmt::format("{:.2f}", value),
              value > 0.55 ? kInk : kPaper);
    }
  }
  return sheet;
}

}  // namespace elastikv
