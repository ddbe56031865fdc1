// What transformers' chat template environment (jinja2) makes of snippets and of published
// templates (tests/parity/make_jinja_golden.py, make_template_golden.py).

#include <fstream>
#include <map>
#include <optional>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "jinja/template.h"
#include "support/paths.h"

namespace elastikv::jinja {
namespace {

using Json = nlohmann::ordered_json;

/// The date of all golden data.
Environment golden_environment() {
  Environment environment;
  environment.now = CivilTime{2024, 7, 4, 15, 6, 9};
  return environment;
}

std::vector<Json> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<Json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
  EXPECT_FALSE(lines.empty()) << path << " is missing";
  return lines;
}

/// The text, or nothing for an Error.
std::optional<std::string> rendered(const Template& parsed, const Json& variables,
                                    std::string& problem) {
  try {
    return parsed.render(variables, golden_environment());
  } catch (const Error& error) {
    problem = error.what();
    return std::nullopt;
  }
}

TEST(JinjaGolden, SnippetsAreWrittenAsJinja2WritesThem) {
  const std::vector<Json> lines = lines_of(source_path("tests/unit/jinja/data/snippets.jsonl"));
  const Json variables = lines[0]["variables"];
  size_t different = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    const Json& line = lines[i];
    const auto source = line[0].get<std::string>();
    std::string problem;
    std::optional<std::string> text;
    try {
      text = rendered(Template::parse(source, "snippet"), variables, problem);
    } catch (const Error& error) {
      problem = error.what();
    }
    const bool same = line[1].is_null() ? !text : text == line[1].get<std::string>();
    if (same) continue;
    if (++different > 40) continue;
    ADD_FAILURE() << "line " << i + 1 << ": " << source << "\n  jinja2: " << line[1]
                  << "\n  ours:   "
                  << (text ? Json(*text).dump(-1, ' ', false, Json::error_handler_t::replace)
                           : "Error: " + problem);
  }
  EXPECT_EQ(different, 0U) << "of " << lines.size() - 1;
}

}  // namespace
}  // namespace elastikv::jinja
