#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "metrics/model_output.h"
#include "metrics/question.h"
#include "metrics/text_pair.h"

namespace elastikv {

/// One number of a score as a record's line has it.
struct ScoreField {
  enum class Kind { kNumber, kInteger, kTruth };

  std::string key;
  Kind kind = Kind::kNumber;
};

/// What a scorer found of one sample: a number per field, in their order; truths are 0 and 1.
constexpr size_t kMostScoreFields = 6;
using Score = std::array<double, kMostScoreFields>;

/// What the score of a sample in a cell may depend on.
struct ScoreInput {
  const ModelOutput& output;  // the cell's
  const ModelOutput& full;    // the full cache's
  std::span<TextPair> texts;  // the cell's text beside each text that it is compared with
  const Question& question;   // that the text answers
};

/// Gives each sample a score that its record keeps, for metrics that are made of more than the
/// model's output itself.
class Scorer {
 public:
  Scorer(const Scorer&) = delete;
  Scorer& operator=(const Scorer&) = delete;
  virtual ~Scorer() = default;

  virtual Score score(const ScoreInput& input) const = 0;

  /// The key of a record's line under which the scores stand, as an object with the fields' keys;
  /// with a name, such objects stand in one by their scorers' names.
  const std::string& section() const { return section_; }
  const std::string& name() const { return name_; }
  const std::vector<ScoreField>& fields() const { return fields_; }
  /// Whether the full cache has a score, too.
  bool of_full() const { return of_full_; }

 protected:
  Scorer(std::string section, std::string name, std::vector<ScoreField> fields, bool of_full)
      : section_(std::move(section)),
        name_(std::move(name)),
        fields_(std::move(fields)),
        of_full_(of_full) {
    ELASTIKV_ASSERT(fields_.size() <= kMostScoreFields, "a score of {} numbers", fields_.size());
  }

 private:
  std::string section_;
  std::string name_;
  std::vector<ScoreField> fields_;
  bool of_full_;
};

/// The scorers of a sweep, in the order in which records keep their scores.
using Scorers = std::vector<std::shared_ptr<const Scorer>>;
/// One per scorer; absent where it has none.
using Scores = std::vector<std::optional<Score>>;

}  // namespace elastikv
