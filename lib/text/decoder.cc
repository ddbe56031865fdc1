#include "text/decoder.h"

#include <optional>
#include <string_view>
#include <utility>

#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/component.h"
#include "text/pattern.h"

namespace elastikv {
namespace {

/// A step that takes each piece by itself.
template <typename Change>
class PieceRun final : public DecoderRun {
 public:
  explicit PieceRun(Change change) : change_(std::move(change)) {}
  void push(std::string piece, std::vector<std::string>& out) override {
    out.push_back(change_(std::move(piece)));
  }
  void finish(std::vector<std::string>&) override {}

 private:
  Change change_;
};

template <typename Change>
std::unique_ptr<DecoderRun> each_piece(Change change) {
  return std::make_unique<PieceRun<Change>>(std::move(change));
}

/// Holds a fused text back until it is whole, for a step whose result depends on what follows.
class WholeTextRun final : public DecoderRun {
 public:
  explicit WholeTextRun(std::unique_ptr<DecoderRun> step) : step_(std::move(step)) {}
  void push(std::string piece, std::vector<std::string>&) override { text_ += piece; }
  void finish(std::vector<std::string>& out) override {
    step_->push(std::move(text_), out);
    step_->finish(out);
  }

 private:
  std::unique_ptr<DecoderRun> step_;
  std::string text_;
};

std::unique_ptr<DecoderRun> on_whole_text(std::unique_ptr<DecoderRun> step) {
  return std::make_unique<WholeTextRun>(std::move(step));
}

class SequenceDecoder final : public Decoder {
 public:
  explicit SequenceDecoder(const JsonFields& fields) {
    for (const JsonFields& step : fields.objects("decoders")) steps_.push_back(make_decoder(step));
  }
  std::unique_ptr<DecoderRun> start(bool fused) const override;
  bool fuses(bool fused) const override {
    for (const auto& step : steps_) fused = step->fuses(fused);
    return fused;
  }

 private:
  std::vector<std::unique_ptr<Decoder>> steps_;
};

class SequenceRun final : public DecoderRun {
 public:
  explicit SequenceRun(std::vector<std::unique_ptr<DecoderRun>> steps) : steps_(std::move(steps)) {}
  void push(std::string piece, std::vector<std::string>& out) override {
    std::vector<std::string> pieces;
    pieces.push_back(std::move(piece));
    pass(/*first=*/0, std::move(pieces), out);
  }
  void finish(std::vector<std::string>& out) override {
    for (size_t i = 0; i < steps_.size(); ++i) {
      std::vector<std::string> pieces;
      steps_[i]->finish(pieces);
      pass(i + 1, std::move(pieces), out);
    }
  }

 private:
  void pass(size_t first, std::vector<std::string> pieces, std::vector<std::string>& out) {
    for (size_t i = first; i < steps_.size(); ++i) {
      std::vector<std::string> next;
      for (std::string& piece : pieces) steps_[i]->push(std::move(piece), next);
      pieces = std::move(next);
    }
    for (std::string& piece : pieces) out.push_back(std::move(piece));
  }

  std::vector<std::unique_ptr<DecoderRun>> steps_;
};

std::unique_ptr<DecoderRun> SequenceDecoder::start(bool fused) const {
  std::vector<std::unique_ptr<DecoderRun>> runs;
  for (const auto& step : steps_) {
    runs.push_back(step->start(fused));
    fused = step->fuses(fused);
  }
  return std::make_unique<SequenceRun>(std::move(runs));
}

class FuseDecoder final : public Decoder {
 public:
  std::unique_ptr<DecoderRun> start(bool) const override {
    return each_piece([](std::string piece) { return piece; });
  }
  bool fuses(bool) const override { return true; }
};

/// Byte letters back to bytes, and these to UTF-8; what is no UTF-8 becomes U+FFFD. A token with
/// other characters in it (an added one) stands for its own bytes.
class ByteLevelRun final : public DecoderRun {
 public:
  void push(std::string piece, std::vector<std::string>& out) override {
    if (auto bytes = letters_to_bytes(piece)) piece = std::move(*bytes);
    held_ += piece;
    std::string text;
    size_t at = 0;
    while (at < held_.size()) {
      const Utf8Step step = utf8_step(held_, at);
      if (step.cut_short) break;
      append_utf8(text, step.character);
      at += step.size;
    }
    held_.erase(0, at);
    if (!text.empty()) out.push_back(std::move(text));
  }
  void finish(std::vector<std::string>& out) override {
    if (!held_.empty()) out.push_back(replace_broken_utf8(held_));
    held_.clear();
  }

 private:
  std::string held_;  // the start of a character
};

class ByteLevelDecoder final : public Decoder {
 public:
  std::unique_ptr<DecoderRun> start(bool) const override {
    return std::make_unique<ByteLevelRun>();
  }
  bool fuses(bool) const override { return true; }
};

/// The byte of a token such as "<0x0A>".
std::optional<char> byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  int value = 0;
  for (const char letter : token.substr(3, 2)) {
    value *= 16;
    if (letter >= '0' && letter <= '9') {
      value += letter - '0';
    } else if (letter >= 'A' && letter <= 'F') {
      value += letter - 'A' + 10;
    } else if (letter >= 'a' && letter <= 'f') {
      value += letter - 'a' + 10;
    } else {
      return std::nullopt;
    }
  }
  return static_cast<char>(value);
}

/// Runs of byte tokens to text. A run is text only when all of it is UTF-8, else each of its bytes
/// becomes U+FFFD; so it is held back until another token ends it.
class ByteFallbackRun final : public DecoderRun {
 public:
  void push(std::string piece, std::vector<std::string>& out) override {
    if (const auto byte = byte_of(piece)) {
      held_.push_back(*byte);
      return;
    }
    finish(out);
    out.push_back(std::move(piece));
  }
  void finish(std::vector<std::string>& out) override {
    if (held_.empty()) return;
    if (is_valid_utf8(held_)) {
      out.push_back(held_);
    } else {
      out.insert(out.end(), held_.size(), "\uFFFD");
    }
    held_.clear();
  }

 private:
  std::string held_;
};

class ByteFallbackDecoder final : public Decoder {
 public:
  std::unique_ptr<DecoderRun> start(bool fused) const override {
    auto run = std::make_unique<ByteFallbackRun>();
    if (fused) return on_whole_text(std::move(run));
    return run;
  }
};

class ReplaceDecoder final : public Decoder {
 public:
  explicit ReplaceDecoder(const JsonFields& fields)
      : pattern_(read_pattern(fields)), content_(fields.string("content")) {}
  std::unique_ptr<DecoderRun> start(bool fused) const override {
    auto run = each_piece(
        [this](const std::string& piece) { return replace_all(piece, pattern_.regex, content_); });
    // A single character cannot reach across the border of two parts; anything else might.
    const bool local = to_characters(pattern_.literal).size() == 1;
    if (fused && !local) return on_whole_text(std::move(run));
    return run;
  }

 private:
  Pattern pattern_;
  std::string content_;
};

/// Takes up to `start` copies of a character from the front and up to `stop` from the end.
std::string strip(std::string_view text, std::string_view content, int64_t start, int64_t stop) {
  for (int64_t i = 0; i < start && text.starts_with(content); ++i) {
    text.remove_prefix(content.size());
  }
  for (int64_t i = 0; i < stop && text.ends_with(content); ++i) text.remove_suffix(content.size());
  return std::string(text);
}

/// Strips the front of a fused text as its parts come by.
class StripFrontRun final : public DecoderRun {
 public:
  StripFrontRun(std::string content, int64_t count) : content_(std::move(content)), left_(count) {}
  void push(std::string piece, std::vector<std::string>& out) override {
    std::string_view text = piece;
    while (left_ > 0 && text.starts_with(content_)) {
      text.remove_prefix(content_.size());
      --left_;
    }
    if (!text.empty()) {
      left_ = 0;
      out.emplace_back(text);
    }
  }
  void finish(std::vector<std::string>&) override {}

 private:
  std::string content_;
  int64_t left_;
};

class StripDecoder final : public Decoder {
 public:
  explicit StripDecoder(const JsonFields& fields)
      : content_(fields.string("content")),
        start_(fields.integer("start")),
        stop_(fields.integer("stop")) {
    if (to_characters(content_).size() != 1) {
      fields.fail_key("content", fmt::format("is '{}', a single character is needed", content_));
    }
  }
  std::unique_ptr<DecoderRun> start(bool fused) const override {
    if (fused && stop_ == 0) return std::make_unique<StripFrontRun>(content_, start_);
    auto run = each_piece(
        [this](const std::string& piece) { return strip(piece, content_, start_, stop_); });
    if (fused) return on_whole_text(std::move(run));
    return run;
  }

 private:
  std::string content_;
  int64_t start_;
  int64_t stop_;
};

/// SentencePiece's mark back to a blank; the one that encoding put in front goes.
class MetaspaceDecoder final : public Decoder {
 public:
  explicit MetaspaceDecoder(const JsonFields& fields)
      : mark_(escape_regex(fields.string("replacement")), fields.origin()) {
    const bool legacy = fields.boolean("add_prefix_space", /*otherwise=*/true);
    prepended_ = fields.string("prepend_scheme", legacy ? "always" : "never") != "never";
  }
  std::unique_ptr<DecoderRun> start(bool fused) const override {
    return each_piece([this, fused, first = true](const std::string& piece) mutable {
      const bool drop = prepended_ && first;
      first = fused;  // all of a fused text is its first token
      return replace_all(piece, mark_, drop ? "" : " ");
    });
  }

 private:
  Regex mark_;
  bool prepended_ = false;
};

class BlankDecoder final : public Decoder {
 public:
  std::unique_ptr<DecoderRun> start(bool) const override {
    return each_piece([first = true](const std::string& piece) mutable {
      std::string spaced = first ? "" : " ";
      first = false;
      return spaced.append(piece);
    });
  }
  bool fuses(bool) const override { return true; }
};

const ComponentMakers<Decoder>& makers() {
  using Fields = const JsonFields&;
  static const ComponentMakers<Decoder> table{
      {"ByteFallback", [](Fields) { return std::make_unique<ByteFallbackDecoder>(); }},
      {"ByteLevel", [](Fields) { return std::make_unique<ByteLevelDecoder>(); }},
      {"Fuse", [](Fields) { return std::make_unique<FuseDecoder>(); }},
      {"Metaspace", [](Fields f) { return std::make_unique<MetaspaceDecoder>(f); }},
      {"Replace", [](Fields f) { return std::make_unique<ReplaceDecoder>(f); }},
      {"Sequence", [](Fields f) { return std::make_unique<SequenceDecoder>(f); }},
      {"Strip", [](Fields f) { return std::make_unique<StripDecoder>(f); }},
  };
  return table;
}

}  // namespace

std::unique_ptr<Decoder> make_decoder(const JsonFields& fields) {
  return make_component<Decoder>(fields, makers());
}

std::unique_ptr<Decoder> make_blank_decoder() { return std::make_unique<BlankDecoder>(); }

}  // namespace elastikv
