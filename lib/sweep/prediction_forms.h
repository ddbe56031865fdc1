#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sweep/cell.h"
#include "sweep/records.h"

namespace elastikv {

/// A sample with the text of one cell.
struct AnsweredSample {
  const StoredSample& sample;
  const CellOutcome& outcome;
};

/// A form in which another program reads what a cell's model wrote.
struct PredictionForm {
  const char* name;       ///< as --form names it
  const char* extension;  ///< of its files, with the point
  const char* reader;     ///< what reads it
  std::string (*write)(const Cell& cell, const std::vector<AnsweredSample>& texts);
};

/// All forms, in the order in which options show them.
const std::vector<PredictionForm>& prediction_forms();
/// Error for a name that none of them has.
const PredictionForm& prediction_form(std::string_view name);

}  // namespace elastikv
