#include "report/comparison_output.h"
#include "report/score_tables.h"
#include "report/table_forms.h"

namespace elastikv {

/// Structures of their own, for programs that want more than a table.
extern const TableForm kJsonForm{
    .name = "json", .comparison = comparison_json, .scores = scores_json};

}  // namespace elastikv
