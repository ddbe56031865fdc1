#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "report/table.h"

namespace elastikv {

struct ReportGroup;
struct ReportRun;
struct ScoredFiles;
struct TableComparison;

/// One file of a report.
struct ReportFile {
  std::string name;
  std::string text;
};

/// A form in which tables are written, defined beside what writes it and listed in table_forms.cc.
/// A form for programs writes any table as a file (`table`), and so serves every verb; a form for
/// people, or one with a structure of its own, writes pages verb by verb. What a form does not have
/// is null.
struct TableForm {
  const char* name;            ///< as --format and --formats name it
  const char* extension = "";  ///< of the files that it names itself, with the point
  std::string (*table)(const Table& table) = nullptr;
  /// Of a sweep or several; the files' names come without the extension.
  std::vector<ReportFile> (*report)(const std::vector<ReportRun>& runs,
                                    const std::vector<ReportGroup>& groups) = nullptr;
  /// Beside published numbers.
  std::string (*comparison)(const std::vector<TableComparison>& comparisons) = nullptr;
  /// Of files of texts.
  std::string (*scores)(const ScoredFiles& scores) = nullptr;
};

using TableForms = std::vector<const TableForm*>;

/// All forms, in the order in which options show them.
const TableForms& table_forms();

/// Those that can write what a verb shows: by its page, or by its tables.
template <typename Page>
TableForms forms_with(Page TableForm::*page) {
  TableForms forms;
  for (const TableForm* form : table_forms()) {
    if (form->table != nullptr || form->*page != nullptr) forms.push_back(form);
  }
  return forms;
}

std::vector<std::string> form_names(const TableForms& forms);
/// Error "unknown WHAT format ..." (with the nearest known one) for a name that none of them has.
const TableForm& find_form(const TableForms& forms, std::string_view name, std::string_view what);

/// Writes a table into a folder, in every form for programs, and returns the files' names: `name`
/// with each form's extension.
std::vector<std::string> write_table(const std::filesystem::path& folder, const std::string& name,
                                     const Table& table);

}  // namespace elastikv
