#include "unit/report/markup_check.h"

#include <cctype>
#include <set>
#include <sstream>
#include <vector>

#include <fmt/format.h>

namespace elastikv {
namespace {

bool name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == ':' || c == '_';
}

/// The attributes of a tag from `at` up to its '>'; leaves `at` behind it.
std::string attributes_problem(const std::string& text, size_t& at, bool& closed) {
  std::set<std::string> names;
  closed = false;
  while (at < text.size()) {
    while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at])) != 0) ++at;
    if (text.compare(at, 2, "/>") == 0) {
      closed = true;
      at += 2;
      return "";
    }
    if (text[at] == '>') {
      ++at;
      return "";
    }
    const size_t begin = at;
    while (at < text.size() && name_char(text[at])) ++at;
    const std::string name = text.substr(begin, at - begin);
    if (name.empty()) return fmt::format("no attribute at '{}'", text.substr(begin, 20));
    if (!names.insert(name).second) return "attribute twice: " + name;
    if (text.compare(at, 2, "=\"") != 0) return "attribute without quotes: " + name;
    const size_t end = text.find('"', at + 2);
    if (end == std::string::npos) return "attribute without end: " + name;
    if (text.substr(at, end - at).find('<') != std::string::npos) return "< in attribute " + name;
    at = end + 1;
  }
  return "a tag without end";
}

bool entity_at(const std::string& text, size_t at) {
  for (const char* entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}) {
    if (text.compare(at, std::string(entity).size(), entity) == 0) return true;
  }
  return false;
}

/// Cells of a row of a tabular: & outside braces, \multicolumn{n} counting n.
size_t cells_of(const std::string& row) {
  size_t cells = 1;
  for (size_t i = 0; i < row.size(); ++i) {
    if (row[i] == '&' && (i == 0 || row[i - 1] != '\\')) ++cells;
  }
  const std::string wide = "\\multicolumn{";
  for (size_t at = row.find(wide); at != std::string::npos; at = row.find(wide, at + 1)) {
    cells += std::stoul(row.substr(at + wide.size())) - 1;
  }
  return cells;
}

}  // namespace

std::string xml_problem(const std::string& text) {
  std::vector<std::string> open;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '&' && !entity_at(text, at)) {
      return fmt::format("a bare & at '{}'", text.substr(at, 20));
    }
    if (text[at] != '<') {
      ++at;
      continue;
    }
    if (text.compare(at, 9, "<!DOCTYPE") == 0) {
      at = text.find('>', at) + 1;
      continue;
    }
    const bool closing = text.compare(at, 2, "</") == 0;
    at += closing ? 2 : 1;
    const size_t begin = at;
    while (at < text.size() && name_char(text[at])) ++at;
    const std::string name = text.substr(begin, at - begin);
    if (name.empty()) return fmt::format("a bare < at '{}'", text.substr(begin - 1, 20));
    if (closing) {
      if (open.empty() || open.back() != name) return "ends what was not open: " + name;
      if (text[at] != '>') return "a tag without end: " + name;
      open.pop_back();
      ++at;
      continue;
    }
    bool closed = false;
    const std::string problem = attributes_problem(text, at, closed);
    if (!problem.empty()) return name + ": " + problem;
    if (!closed) open.push_back(name);
  }
  return open.empty() ? "" : "not ended: " + open.back();
}

std::string latex_problem(const std::string& text) {
  std::vector<std::string> open;
  int braces = 0;
  size_t columns = 0;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    for (size_t i = 0; i < line.size(); ++i) {
      const char c = line[i];
      if (c == '\\') {
        ++i;  // with the character after it
        continue;
      }
      if (c == '{') ++braces;
      if (c == '}' && --braces < 0) return "} without { in: " + line;
      if (c == '_' || c == '#' || c == '$' || c == '^' || c == '%' || c == '~') {
        return fmt::format("{} is not escaped in: {}", c, line);
      }
      if (c == '&' && (open.empty() || open.back() != "tabular")) {
        return "& outside of a table in: " + line;
      }
    }
    if (line.starts_with("\\begin{")) {
      open.push_back(line.substr(7, line.find('}') - 7));
      if (open.back() == "tabular") {
        columns = line.substr(line.find("}{") + 2).find('}');
      }
    } else if (line.starts_with("\\end{")) {
      const std::string name = line.substr(5, line.find('}') - 5);
      if (open.empty() || open.back() != name) return "ends what was not open: " + name;
      open.pop_back();
    } else if (!open.empty() && open.back() == "tabular" &&
               line.find(" \\\\") != std::string::npos && cells_of(line) != columns) {
      return fmt::format("{} cells of {} in: {}", cells_of(line), columns, line);
    }
  }
  if (braces != 0) return "a { without }";
  return open.empty() ? "" : "not ended: " + open.back();
}

}  // namespace elastikv
