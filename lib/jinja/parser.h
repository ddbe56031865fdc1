#pragma once

#include <string_view>

#include "jinja/syntax.h"

namespace elastikv::jinja {

/// Reads a template into `program`, by its name; variables have no slots yet. Error "NAME:LINE:
/// ..." for what jinja2 would not read, for templates that read other files, and for nesting beyond
/// what Python's compiler takes.
void parse(std::string_view source, Program& program);

}  // namespace elastikv::jinja
