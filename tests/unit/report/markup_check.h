#pragma once

#include <string>

namespace elastikv {

/// What is wrong with XML (or HTML written as XML): elements that do not nest, attributes without
/// quotes or twice, a bare & or <. Void elements may stand alone in HTML only as <x/>; comments and
/// CDATA are not expected. Empty when nothing is.
std::string xml_problem(const std::string& text);

/// What is wrong with LaTeX: environments or braces that do not balance, a special character that
/// is not escaped, a row of a tabular with another number of columns than it declares. Empty when
/// nothing is.
std::string latex_problem(const std::string& text);

}  // namespace elastikv
