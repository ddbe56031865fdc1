#pragma once

#include "jinja/syntax.h"

namespace elastikv::jinja {

/// Finds out where every variable of a parsed template is kept, by the rules of jinja2's compiler:
/// which scope a name belongs to is decided by the text, not while it is rendered. Error
/// "NAME:LINE:
/// ..." for what that compiler refuses.
void resolve_scopes(Program& program);

}  // namespace elastikv::jinja
