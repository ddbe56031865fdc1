#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace elastikv {

/// One question with its expected answer, about a picture or about text alone.
struct Sample {
  /// Unique in its data set; for one of several turns of a conversation "ID#k", k counted from 1.
  std::string id;
  /// The picture's file; empty when the sample is text alone.
  std::filesystem::path image;
  /// The user's words. May hold the placeholder "<image>" once, which fixes where the picture goes;
  /// without it the prompt format decides. Never holds one when `image` is empty.
  std::string question;
  /// The expected answer, never empty: what perplexity scores.
  std::string answer;

  /// Where the sample came from: the file and the item's index in it, counted from 0.
  std::filesystem::path source;
  int64_t index = 0;
  /// Content hash of question, answer and the picture's bytes (not of names and paths).
  std::string content;
};

}  // namespace elastikv
