#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// What a piece of a SentencePiece vocabulary is.
enum class PieceKind { kText, kControl, kUnknown, kByte };

/// A tokenizer.model: the byte-pair model of the SentencePiece library.
class SentencePieceModel final {
 public:
  /// Error naming the file when it is no SentencePiece model or no byte-pair model. With
  /// `without_dummy_prefix`, a text gets no blank in front, whatever the file says.
  SentencePieceModel(const std::filesystem::path& file, bool without_dummy_prefix);
  ~SentencePieceModel();
  SentencePieceModel(const SentencePieceModel&) = delete;
  SentencePieceModel& operator=(const SentencePieceModel&) = delete;

  /// Appends the ids of a text (valid UTF-8). May be called by several threads.
  void encode(std::string_view text, std::vector<int64_t>& ids) const;

  int64_t size() const { return size_; }
  std::optional<int64_t> find(std::string_view piece) const;
  /// Of an id below size().
  std::string piece(int64_t id) const;
  /// Pieces that the vocabulary lacks are unknown.
  PieceKind kind(std::string_view piece) const;

  /// Whether encoding puts a blank in front, and decoding takes one away.
  bool adds_dummy_prefix() const { return adds_dummy_prefix_; }
  /// Whether blanks at both ends go, and only one stays of several.
  bool removes_extra_blanks() const { return removes_extra_blanks_; }
  /// What the unknown piece reads as.
  const std::string& unknown_text() const { return unknown_text_; }

 private:
  struct Processor;

  std::string origin_;
  std::unique_ptr<Processor> processor_;
  int64_t size_ = 0;
  bool adds_dummy_prefix_ = true;
  bool removes_extra_blanks_ = true;
  std::string unknown_text_;
};

}  // namespace elastikv
