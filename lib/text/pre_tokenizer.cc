#include "text/pre_tokenizer.h"

#include <functional>
#include <utility>

#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/component.h"
#include "text/pattern.h"
#include "text/split.h"
#include "text/unicode.h"

namespace elastikv {
namespace {

/// GPT-2's pattern: English contractions, letters, numbers and other signs each with the blank
/// before them, then white space, of which the last one stays with the word that follows.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Replaces every piece by the parts of it that `cut` returns; `cut` may first change its text.
template <typename Cut>
std::vector<TextPiece> cut_each(std::vector<TextPiece> pieces, const Cut& cut) {
  std::vector<TextPiece> result;
  for (TextPiece& piece : pieces) {
    const std::vector<ByteSpan> spans = cut(piece);
    for (const ByteSpan& span : spans) {
      result.push_back({piece.text.substr(span.begin, span.end - span.begin),
                        piece.at_start && span.begin == 0});
    }
  }
  return result;
}

std::string read_letter(const JsonFields& fields, std::string_view key) {
  std::string letter = fields.string(key);
  if (to_characters(letter).size() != 1) {
    fields.fail_key(key, fmt::format("is '{}', a single character is needed", letter));
  }
  return letter;
}

class SequencePreTokenizer final : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(const JsonFields& fields) {
    for (const JsonFields& step : fields.objects("pretokenizers")) {
      steps_.push_back(make_pre_tokenizer(step));
    }
  }
  std::vector<TextPiece> split(std::vector<TextPiece> pieces) const override {
    for (const auto& step : steps_) pieces = step->split(std::move(pieces));
    return pieces;
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

class ByteLevelPreTokenizer final : public PreTokenizer {
 public:
  explicit ByteLevelPreTokenizer(const JsonFields& fields)
      : pattern_(kGpt2Pattern, fields.origin()),
        add_prefix_space_(fields.boolean("add_prefix_space")),
        use_regex_(fields.boolean("use_regex", /*otherwise=*/true)) {}
  std::vector<TextPiece> split(std::vector<TextPiece> pieces) const override {
    pieces = cut_each(std::move(pieces), [&](TextPiece& piece) {
      if (add_prefix_space_ && !piece.text.starts_with(' ')) {
        piece.text = std::string(" ").append(piece.text);
      }
      if (!use_regex_) return std::vector<ByteSpan>{{0, piece.text.size()}};
      return elastikv::split(stretches_of(piece.text, pattern_), SplitBehavior::kIsolated);
    });
    for (TextPiece& piece : pieces) piece.text = bytes_to_letters(piece.text);
    return pieces;
  }

 private:
  Regex pattern_;
  bool add_prefix_space_;
  bool use_regex_;
};

class SplitPreTokenizer final : public PreTokenizer {
 public:
  explicit SplitPreTokenizer(const JsonFields& fields)
      : pattern_(read_pattern(fields)),
        behavior_(read_split_behavior(fields, "behavior")),
        invert_(fields.boolean("invert", /*otherwise=*/false)) {}
  SplitPreTokenizer(Pattern pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  std::vector<TextPiece> split(std::vector<TextPiece> pieces) const override {
    return cut_each(std::move(pieces), [&](const TextPiece& piece) {
      std::vector<Stretch> stretches = stretches_of(piece.text, pattern_.regex);
      if (invert_) {
        for (Stretch& stretch : stretches) stretch.is_match = !stretch.is_match;
      }
      return elastikv::split(stretches, behavior_);
    });
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

/// Cuts at a class of characters.
class ClassPreTokenizer final : public PreTokenizer {
 public:
  ClassPreTokenizer(std::function<bool(char32_t)> is_match, SplitBehavior behavior)
      : is_match_(std::move(is_match)), behavior_(behavior) {}
  std::vector<TextPiece> split(std::vector<TextPiece> pieces) const override {
    return cut_each(std::move(pieces), [&](const TextPiece& piece) {
      return elastikv::split(stretches_of(piece.text, is_match_), behavior_);
    });
  }

 private:
  std::function<bool(char32_t)> is_match_;
  SplitBehavior behavior_;
};

class MetaspacePreTokenizer final : public PreTokenizer {
 public:
  explicit MetaspacePreTokenizer(const JsonFields& fields)
      : mark_(read_letter(fields, "replacement")),
        blank_(" ", fields.origin()),
        mark_pattern_(escape_regex(mark_), fields.origin()),
        split_(fields.boolean("split", /*otherwise=*/true)) {
    // Before prepend_scheme existed, add_prefix_space said "always" or "never".
    const bool legacy = fields.boolean("add_prefix_space", /*otherwise=*/true);
    const std::string scheme = fields.string("prepend_scheme", legacy ? "always" : "never");
    if (scheme != "always" && scheme != "first" && scheme != "never") {
      fields.fail_key("prepend_scheme",
                      fmt::format("is '{}'; one of always, first, never is needed", scheme));
    }
    always_ = scheme == "always";
    first_ = scheme == "first";
  }
  std::vector<TextPiece> split(std::vector<TextPiece> pieces) const override {
    return cut_each(std::move(pieces), [&](TextPiece& piece) {
      std::string text = replace_all(piece.text, blank_, mark_);
      const bool wants_mark = always_ || (first_ && piece.at_start);
      piece.text = wants_mark && !text.starts_with(mark_) ? mark_ + text : text;
      if (!split_) return std::vector<ByteSpan>{{0, piece.text.size()}};
      return elastikv::split(stretches_of(piece.text, mark_pattern_),
                             SplitBehavior::kMergedWithNext);
    });
  }

 private:
  std::string mark_;
  Regex blank_;
  Regex mark_pattern_;
  bool split_;
  bool always_ = false;
  bool first_ = false;
};

std::unique_ptr<PreTokenizer> make_class(bool (*is_match)(char32_t), SplitBehavior behavior) {
  return std::make_unique<ClassPreTokenizer>(is_match, behavior);
}

std::unique_ptr<PreTokenizer> make_digits(const JsonFields& fields) {
  return make_class(is_number, fields.boolean("individual_digits") ? SplitBehavior::kIsolated
                                                                   : SplitBehavior::kContiguous);
}

/// Words and runs of other signs; white space goes.
std::unique_ptr<PreTokenizer> make_whitespace(const JsonFields& fields) {
  const std::string pattern = fmt::format(R"([{0}]+|[^{0}\s]+)", kWordCharacters);
  return std::make_unique<SplitPreTokenizer>(Pattern{Regex(pattern, fields.origin()), ""},
                                             SplitBehavior::kRemoved, /*invert=*/true);
}

const ComponentMakers<PreTokenizer>& makers() {
  using Fields = const JsonFields&;
  static const ComponentMakers<PreTokenizer> table{
      {"ByteLevel", [](Fields f) { return std::make_unique<ByteLevelPreTokenizer>(f); }},
      {"Digits", make_digits},
      {"Metaspace", [](Fields f) { return std::make_unique<MetaspacePreTokenizer>(f); }},
      {"Punctuation",
       [](Fields f) { return make_class(is_punctuation, read_split_behavior(f, "behavior")); }},
      {"Sequence", [](Fields f) { return std::make_unique<SequencePreTokenizer>(f); }},
      {"Split", [](Fields f) { return std::make_unique<SplitPreTokenizer>(f); }},
      {"Whitespace", make_whitespace},
      {"WhitespaceSplit",
       [](Fields) { return make_class(is_whitespace, SplitBehavior::kRemoved); }},
  };
  return table;
}

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonFields& fields) {
  return make_component<PreTokenizer>(fields, makers());
}

}  // namespace elastikv
