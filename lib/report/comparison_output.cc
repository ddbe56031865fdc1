#include "report/comparison_output.h"

namespace elastikv {

const TableForms& comparison_forms() {
  static const TableForms forms = forms_with(&TableForm::comparison);
  return forms;
}

std::string write_comparison(const std::vector<TableComparison>& comparisons,
                             std::string_view form) {
  const TableForm& chosen = find_form(comparison_forms(), form, "comparison");
  return chosen.comparison != nullptr ? chosen.comparison(comparisons)
                                      : chosen.table(comparison_table(comparisons));
}

}  // namespace elastikv
