#pragma once

#include <filesystem>
#include <memory>
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
  const Tokenizer* tokenizer;  ///< for windows of tokens; else it may be null
  /// The data set's files where these are Parquet, whose text is then empty; else none.
  std::vector<std::filesystem::path> parquet{};

  /// Checks a draft's texts and adds it.
  void add(Draft draft) const;
};

/// What captions are asked for with unless DataOptions::prompt says so.
inline constexpr const char* kCaptionPrompt =
    "Provide a one-sentence caption for the provided image.";

/// A format of data files: how a file shows that it is one, what reads it, and which options it
/// takes. Each is defined beside its reader and listed in formats.cc. A file is asked for its name
/// first, then whether it is JSON; JSON is one object that is known as a whole, or items, which
/// a JSON array, JSON lines, and any other object are. What a format does not have is null.
struct DataFormat {
  const char* name;  ///< as DataOptions::format names it
  /// What its files look like, for the message where a file is of none; null: like those of the
  /// format whose `narrowed` it is.
  const char* looks = nullptr;

  /// Files that are not JSON: those with this extension, whatever they hold, ...
  const char* extension = nullptr;
  bool (*is_text)(FileText& text) = nullptr;  ///< ... and those of which this is true
  void (*read_text)(const Reading& reading) = nullptr;

  /// Files that are one JSON object.
  bool (*is_object)(const nlohmann::json& object) = nullptr;
  void (*read_object)(const std::shared_ptr<const nlohmann::json>& object,
                      const Reading& reading) = nullptr;

  /// Files of items (JSON objects): most of them are of the format; of formats that are level, the
  /// first that is listed counts.
  bool (*is_item)(const nlohmann::json& item) = nullptr;
  /// The same where no item is of any format: names of keys that were added later take no file
  /// from a format in this way. One item is enough.
  bool (*may_be_item)(const nlohmann::json& item) = nullptr;
  void (*read_items)(const std::vector<Item>& items, const Reading& reading) = nullptr;
  /// Another format that recognised items are of, by what lies beside their file; null: this one.
  const DataFormat* (*narrowed)(const std::filesystem::path& file) = nullptr;

  bool takes_answers = false;  ///< DataOptions::answers
  bool takes_prompt = false;   ///< DataOptions::prompt
  /// It is one text that goes on from window to window: takes DataOptions::tokens.
  bool in_windows = false;
  /// A sample without an image may have lost it: DataSet::notes counts them.
  bool notes_texts_alone = false;
};

}  // namespace elastikv
