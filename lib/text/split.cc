#include "text/split.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/nearest_name.h"
#include "base/utf8.h"

namespace elastikv {
namespace {

const std::vector<std::string> kBehaviorNames{"Removed", "Isolated", "MergedWithPrevious",
                                              "MergedWithNext", "Contiguous"};

/// A match joins the stretch before it, except at the start and directly behind another match.
std::vector<ByteSpan> merge_with_neighbour(const std::vector<Stretch>& stretches) {
  std::vector<ByteSpan> spans;
  bool after_match = false;
  for (const Stretch& stretch : stretches) {
    if (stretch.is_match && !after_match && !spans.empty()) {
      spans.back().begin = std::min(spans.back().begin, stretch.span.begin);
      spans.back().end = std::max(spans.back().end, stretch.span.end);
    } else {
      spans.push_back(stretch.span);
    }
    after_match = stretch.is_match;
  }
  return spans;
}

std::vector<ByteSpan> spans_of(std::vector<Stretch> stretches, SplitBehavior behavior) {
  std::vector<ByteSpan> spans;
  switch (behavior) {
    case SplitBehavior::kRemoved:
      for (const Stretch& stretch : stretches) {
        if (!stretch.is_match) spans.push_back(stretch.span);
      }
      break;
    case SplitBehavior::kIsolated:
      for (const Stretch& stretch : stretches) spans.push_back(stretch.span);
      break;
    case SplitBehavior::kMergedWithPrevious:
      spans = merge_with_neighbour(stretches);
      break;
    case SplitBehavior::kMergedWithNext:
      std::reverse(stretches.begin(), stretches.end());
      spans = merge_with_neighbour(stretches);
      std::reverse(spans.begin(), spans.end());
      break;
    case SplitBehavior::kContiguous: {
      bool after_match = false;
      for (const Stretch& stretch : stretches) {
        if (stretch.is_match == after_match && !spans.empty()) {
          spans.back().end = stretch.span.end;
        } else {
          spans.push_back(stretch.span);
        }
        after_match = stretch.is_match;
      }
      break;
    }
  }
  return spans;
}

}  // namespace

SplitBehavior read_split_behavior(const JsonFields& fields, std::string_view key) {
  const std::string name = fields.string(key);
  const auto found = std::find(kBehaviorNames.begin(), kBehaviorNames.end(), name);
  if (found == kBehaviorNames.end()) {
    fields.fail_key(
        key, fmt::format("is '{}', no known behavior{}", name, suggestion(name, kBehaviorNames)));
  }
  return static_cast<SplitBehavior>(found - kBehaviorNames.begin());
}

std::vector<Stretch> stretches_of(std::string_view text, const Regex& pattern) {
  std::vector<Stretch> stretches;
  size_t done = 0;
  for (const ByteSpan& match : pattern.find_all(text)) {
    if (done != match.begin) stretches.push_back({{done, match.begin}, /*is_match=*/false});
    stretches.push_back({match, /*is_match=*/true});
    done = match.end;
  }
  if (done != text.size()) stretches.push_back({{done, text.size()}, /*is_match=*/false});
  return stretches;
}

std::vector<Stretch> stretches_of(std::string_view text,
                                  const std::function<bool(char32_t)>& is_match) {
  std::vector<Stretch> stretches;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    const size_t next = at + step.size;
    if (is_match(step.character)) {
      if (done < at) stretches.push_back({{done, at}, /*is_match=*/false});
      stretches.push_back({{at, next}, /*is_match=*/true});
      done = next;
    }
    at = next;
  }
  if (done < text.size()) stretches.push_back({{done, text.size()}, /*is_match=*/false});
  return stretches;
}

std::vector<ByteSpan> split(const std::vector<Stretch>& stretches, SplitBehavior behavior) {
  std::vector<ByteSpan> spans = spans_of(stretches, behavior);
  std::erase_if(spans, [](const ByteSpan& span) { return span.begin == span.end; });
  return spans;
}

}  // namespace elastikv
