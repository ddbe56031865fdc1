#include "report/table_forms.h"

#include "base/error.h"
#include "base/files.h"
#include "base/nearest_name.h"

namespace elastikv {

// Each is defined beside what writes it.
extern const TableForm kMarkdownForm;
extern const TableForm kTerminalForm;
extern const TableForm kCsvForm;
extern const TableForm kLatexForm;
extern const TableForm kHtmlForm;
extern const TableForm kJsonForm;

const TableForms& table_forms() {
  static const TableForms forms{&kMarkdownForm, &kTerminalForm, &kCsvForm,
                                &kLatexForm,    &kHtmlForm,     &kJsonForm};
  return forms;
}

std::vector<std::string> form_names(const TableForms& forms) {
  std::vector<std::string> names;
  names.reserve(forms.size());
  for (const TableForm* form : forms) names.emplace_back(form->name);
  return names;
}

const TableForm& find_form(const TableForms& forms, std::string_view name, std::string_view what) {
  for (const TableForm* form : forms) {
    if (name == form->name) return *form;
  }
  fail("unknown {} format '{}'{}", what, name, suggestion(name, form_names(forms)));
}

std::vector<std::string> write_table(const std::filesystem::path& folder, const std::string& name,
                                     const Table& table) {
  std::vector<std::string> files;
  for (const TableForm* form : table_forms()) {
    if (form->table == nullptr) continue;
    files.push_back(name + form->extension);
    write_file_atomically(folder / files.back(), form->table(table));
  }
  return files;
}

}  // namespace elastikv
