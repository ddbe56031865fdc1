#include "report/table_forms.h"

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

using Names = std::vector<std::string>;

TEST(TableForms, EachHasANameOfItsOwnAndSomethingToWrite) {
  EXPECT_EQ(form_names(table_forms()), (Names{"md", "table", "csv", "latex", "html", "json"}));
  std::set<std::string> extensions;
  for (const TableForm* form : table_forms()) {
    EXPECT_TRUE(form->table != nullptr || form->report != nullptr || form->comparison != nullptr ||
                form->scores != nullptr)
        << form->name;
    // Files of a report would overwrite each other.
    if (form->table != nullptr || form->report != nullptr) {
      EXPECT_EQ(std::string(form->extension).find('.'), 0U) << form->name;
      EXPECT_TRUE(extensions.insert(form->extension).second) << form->name;
    }
  }
}

TEST(TableForms, ThoseForProgramsServeEveryVerb) {
  EXPECT_EQ(form_names(forms_with(&TableForm::report)), (Names{"md", "csv", "latex", "html"}));
  EXPECT_EQ(form_names(forms_with(&TableForm::comparison)), (Names{"md", "csv", "json"}));
  EXPECT_EQ(form_names(forms_with(&TableForm::scores)), (Names{"table", "csv", "json"}));
}

TEST(TableForms, AreFoundByName) {
  EXPECT_STREQ(find_form(table_forms(), "latex", "table").extension, ".tex");
  EXPECT_ERROR(find_form(table_forms(), "jsn", "table"),
               "unknown table format 'jsn'; did you mean 'json'?");
}

TEST(TableForms, ATableIsWrittenInEveryFormForPrograms) {
  const TemporaryFolder folder;
  Table table;
  table.header = {"a", "b"};
  table.rows = {{"1", "x,y"}};
  EXPECT_EQ(write_table(folder.path(), "numbers", table), Names{"numbers.csv"});
  EXPECT_EQ(read_file(folder.path() / "numbers.csv"), "a,b\n1,\"x,y\"\n");
}

}  // namespace
}  // namespace elastikv
