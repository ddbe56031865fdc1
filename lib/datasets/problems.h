#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "datasets/draft.h"

namespace elastikv {

/// Kinds of problems, in the order a report lists them.
enum class ProblemKind {
  kEncoding,
  kSyntax,
  kItem,
  kId,
  kRepeatedId,
  kAnswers,
  kOptions,
  kEmptyText,
  kPlaces,
  kReference,
  kBase64,
  kFolder,
  kMissingImage,
  kUnreadableImage,
};

/// Everything that is wrong with a data set, for one report. The first few problems of each kind
/// are shown and all are counted, so that a frequent one hides no rare one.
class Problems {
 public:
  explicit Problems(std::string file) : file_(std::move(file)) {}

  const std::string& file() const { return file_; }

  /// A problem of the whole file: the data set cannot be used.
  void add(ProblemKind kind, std::string text);
  /// The same of a line, counted from 1.
  void add_line(ProblemKind kind, int64_t line, std::string text);
  /// A problem of one sample, which is marked with it.
  void add(ProblemKind kind, Draft& draft, const std::string& text);
  /// Takes over the problems of another file that belongs to the data set.
  void add_all(const Problems& other);

  bool of_file() const { return of_file_; }
  /// Error with the report: the problem alone where there is only one, else a line for each one
  /// shown, below a heading for each kind.
  [[noreturn]] void refuse() const;
  void refuse_if_any() const {
    if (count_ > 0) refuse();
  }

 private:
  struct Problem {
    std::string text;
    int64_t line = 0;  // 0: the text says where
  };
  struct Kind {
    std::vector<Problem> shown;
    size_t count = 0;
  };
  void note(ProblemKind kind, Problem problem);

  std::string file_;
  std::map<ProblemKind, Kind> kinds_;
  size_t count_ = 0;
  bool of_file_ = false;
};

}  // namespace elastikv
