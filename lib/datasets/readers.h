#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "datasets/dataset.h"
#include "datasets/draft.h"
#include "datasets/file_text.h"
#include "datasets/json_items.h"
#include "datasets/problems.h"

namespace elastikv {

/// What every reader gets: the options (with the data file's path), the data file's text, and where
/// samples, problems and DataSet::notes go. A sample with a problem is added all the same, in its
/// place.
struct Reading {
  const DataOptions& options;
  FileText& text;
  Problems& problems;
  std::vector<Draft>& drafts;
  std::vector<std::string>& notes;

  /// Checks a draft's texts and adds it.
  void add(Draft draft) const;
};

/// What captions are asked for with unless DataOptions::prompt says so.
inline constexpr const char* kCaptionPrompt =
    "Provide a one-sentence caption for the provided image.";

// One reader for each format; DataOptions describes what they read.
void read_llava(const std::vector<Item>& items, const Reading& reading);
void read_qa(const std::vector<Item>& items, const Reading& reading);
/// MM-Vet's entries by name.
void read_mm_vet(const std::vector<Item>& entries, const Reading& reading);
/// LLaVA's questions with the answers of another file; no file: with those they have themselves.
void read_questions(const std::vector<Item>& items, const std::filesystem::path& answers,
                    const Reading& reading);
/// Rows of a picture and its captions.
void read_caption_rows(const std::vector<Item>& items, const Reading& reading);
/// The object of COCO's annotation files.
void read_coco(const nlohmann::json& object, const Reading& reading);
void read_tsv(const Reading& reading);
/// Windows of words.
void read_text(const Reading& reading);
/// Windows of a tokenizer's ids.
void read_tokens(const Tokenizer& tokenizer, const Reading& reading);

}  // namespace elastikv
