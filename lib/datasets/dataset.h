#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/sample.h"
#include "text/tokenizer.h"

namespace elastikv {

/// How a text is cut into windows of a model's tokens.
struct TokenWindows {
  int64_t prompt_tokens = 0;  // ids of a window that are the prompt, with no chat template around
  int64_t answer_tokens = 0;  // ids after them that are scored
  std::optional<int64_t> stride;  // from a window's first id to the next one's; default: its length

  int64_t length() const { return prompt_tokens + answer_tokens; }
  int64_t step() const { return stride.value_or(length()); }
};

/// What is published of a data set that may not be at hand, for plans.
struct ExpectedData {
  int64_t samples = 0;
  int64_t question_tokens = 0;  ///< of a prompt without its picture
  int64_t answer_tokens = 0;
};

/// What becomes of samples that cannot be evaluated.
enum class OnProblem {
  kRefuse,  // one report of all problems, and nothing is evaluated
  kRecord,  // they stay in their place, marked with Sample::problem, for the run to record as
            // failed
};

/// Which samples of which file.
///
/// Formats, recognised by content when `format` is "auto":
/// - "llava": a JSON array of {id, image, conversations: [{from: human|gpt, value}, ...]};
/// - "qa": a JSON array, or JSONL, of {id, image, question, answer}; the id may also be called
///   question_id, and is the item's index when absent; the picture may also be called imagename,
///   image_path, file_name, filename or images, is a list where there are several, and is absent
///   for text alone;
/// - "text": a UTF-8 file ending in .txt, cut into windows of context_words + answer_words words or
///   into windows of tokens.
struct DataOptions {
  std::filesystem::path path;
  std::string format = "auto";
  std::string name;  // default: see data_set_name
  /// Which question and answer of a conversation: "first", "all" (one sample per pair), or a number
  /// from 1. Every pair is asked alone, with the picture and without the pairs before it, so that a
  /// sample does not depend on which other turns are evaluated.
  std::string turn = "first";
  std::filesystem::path image_root;  // default: the folder of the data file
  /// "before" or "after": where pictures are written into questions that do not place them, each on
  /// a line of its own; empty: the prompt format decides.
  std::string picture_place;
  OnProblem on_problem = OnProblem::kRefuse;
  std::optional<int64_t> limit;         // at most so many samples, after offset
  int64_t offset = 0;                   // samples left out at the beginning
  std::vector<std::string> sample_ids;  // only these (in the file's order); empty: all
  int64_t context_words = 384;          // text: words of a window that become the question
  int64_t answer_words = 128;           // text: words after them that become the answer
  std::optional<TokenWindows> tokens;   // text: windows of tokens instead
  std::optional<ExpectedData> expected;
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
/// with the item they are in. Windows of tokens are those of `tokenizer`, which is read for nothing
/// else: the ids of the whole file, without special ones, are cut; sample "tokens-N" begins at id N
/// and ids that do not fill a window are left out.
DataSet read_data(const DataOptions& options,
                  const std::function<void(const std::filesystem::path&)>& check_picture = {},
                  const Tokenizer* tokenizer = nullptr);

}  // namespace elastikv
