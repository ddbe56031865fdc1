#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace elastikv {

/// Which columns of a data file (keys of its items) hold what, by name. A name may lead into
/// structs by dots ("answers.text"), through lists to each of their entries.
struct DataColumns {
  std::string question;             ///< empty: the data ask nothing, as captions
  std::vector<std::string> images;  ///< in the order they are shown; what is null is left out
  /// One column with a list of options, or a column for each; what is null or blank is left out.
  std::vector<std::string> options;
  /// A text, a number or a list; of a row with options the letter, the text or the place from 0.
  std::string answer;
  std::string id;                       ///< empty: the row's number
  std::vector<std::string> categories;  ///< what a sample is sorted under
  /// What stands between the categories of one text ("ocr,math"); empty: a text is one of them.
  std::string category_separator = {};
  std::string context;  ///< stands before the question on lines of its own; may be null
  std::string split;    ///< rows whose value here is DataOptions::split are read alone
  /// A list of what may be answered, for metrics alone: Sample::options that no question shows.
  std::string classes;
  std::string max_new_tokens;  ///< where the text to a row ends at the latest; may be null

  bool operator==(const DataColumns&) const = default;
};

/// Images that a data set keeps apart from its questions, which name them by their ids: a Parquet
/// file, or a folder of them.
struct ImageTable {
  std::filesystem::path path;   ///< a relative one is seen from the folder of the data
  std::string split;            ///< of a folder's files those of this split; empty: the only one
  std::string id = "id";        ///< the column of ids, texts or integers
  std::string image = "image";  ///< the column of images, as bytes

  bool operator==(const ImageTable&) const = default;
};

/// How a question is written of a row: in each text {column} stands for what the row has there (a
/// list as "[1, 2]", null as nothing), and {{ and }} for braces.
struct PromptParts {
  std::string context;        ///< a document and what stands around it: Sample::context_length
  std::string question;       ///< what follows it
  std::string answer_prefix;  ///< Sample::answer_prefix

  bool operator==(const PromptParts&) const = default;
};

}  // namespace elastikv
