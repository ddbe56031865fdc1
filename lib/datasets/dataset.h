#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/sample.h"

namespace elastikv {

/// Which samples of which file.
///
/// Formats, recognised by content when `format` is "auto":
/// - "llava": a JSON array of {id, image, conversations: [{from: human|gpt, value}, ...]};
/// - "qa": a JSON array, or JSONL, of {id, image, question, answer}; the id may also be called
///   question_id, and is the item's index when absent; the picture may also be called imagename,
///   image_path, file_name or filename, and is absent for text alone;
/// - "text": a UTF-8 file ending in .txt, cut into windows of context_words + answer_words words.
struct DataOptions {
  std::filesystem::path path;
  std::string format = "auto";
  std::string name;  // default: see data_set_name
  /// Which question and answer of a conversation: "first", "all" (one sample per pair), or a number
  /// from 1. Every pair is asked alone, with the picture and without the pairs before it, so that a
  /// sample does not depend on which other turns are evaluated.
  std::string turn = "first";
  std::filesystem::path image_root;     // default: the folder of the data file
  std::optional<int64_t> limit;         // at most so many samples, after offset
  int64_t offset = 0;                   // samples left out at the beginning
  std::vector<std::string> sample_ids;  // only these (in the file's order); empty: all
  int64_t context_words = 384;          // text: words of a window that become the question
  int64_t answer_words = 128;           // text: words after them that become the answer
};

/// The samples that a sweep uses.
struct DataSet {
  std::string name;
  std::string format;           // as recognised
  std::vector<Sample> samples;  // never empty, in the file's order
  std::string content;          // content hash of the samples' ids and contents
};

/// Formats that DataOptions::format may name.
const std::vector<std::string>& data_formats();

/// The name of a data set that gave none: the file's stem, or, where that says nothing
/// (annotations, data, questions, test, train, validation), with the folders above it as far as
/// they are needed: "stamp-scenes-test" for datasets/stamp-scenes/test/annotations.json.
std::string data_set_name(const std::filesystem::path& file);

/// Reads and checks a data set. All items of the file are checked for their structure, unique ids
/// and non-empty answers, and the selected samples' pictures for their existence and by
/// `check_picture` (which throws Error, and may be empty). One Error lists the first few problems
/// with the item they are in.
DataSet read_data(const DataOptions& options,
                  const std::function<void(const std::filesystem::path&)>& check_picture = {});

}  // namespace elastikv
