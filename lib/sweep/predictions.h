#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sweep/cell.h"
#include "sweep/prediction_forms.h"
#include "sweep/records.h"

namespace elastikv {

/// Which cells of a sweep; what is empty does not matter.
struct CellSelection {
  std::string id;        // Cell::id
  std::string model;     // Cell::model
  std::string data;      // Cell::data
  std::string strategy;  // its label
  std::string budget;    // BudgetChoice::text, or a fraction written otherwise (0.20)
};

/// What one cell wrote for the samples of its data set.
struct PredictionFile {
  std::string cell;  // Cell::id
  std::string name;  // the id as a file's name, with the form's extension
  std::string text;
  /// Samples that have no text, and why: "ID (why)". They are left out.
  std::vector<std::string> missing;
};

/// The texts of a sweep's output folder, from its records and samples alone.
class Predictions final {
 public:
  /// Reads the folder. Error when it holds no sweep, no samples (it was made by a version that did
  /// not keep them), or when its sweep writes no text.
  explicit Predictions(const std::filesystem::path& folder);

  /// The shown cells that match, in the order of the sweep; an `id` may also name a hidden one.
  /// Error that names the nearest known name for one that no cell has, and when none matches.
  std::vector<Cell> select(const CellSelection& selection) const;

  /// Error when the cell has no text at all.
  PredictionFile write(const Cell& cell, const PredictionForm& form) const;

 private:
  std::string folder_;
  StoredSweep sweep_;
  std::vector<Cell> cells_;
  std::vector<std::string> names_;  // of files, one per cell
};

/// Writes the JSON lines of every shown cell into the folder `predictions` of a sweep's output
/// folder and returns the files; samples without a text are left out.
std::vector<PredictionFile> write_predictions(const std::filesystem::path& output);

}  // namespace elastikv
