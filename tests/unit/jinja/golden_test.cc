// What transformers' chat template environment (jinja2) makes of snippets and of published
// templates (tests/parity/make_jinja_golden.py, make_template_golden.py).

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>

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

std::vector<Json> lines_of(const std::filesystem::path& path) {
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

/// Holds snippets to what make_jinja_golden.py wrote.
void expect_snippets(const std::filesystem::path& file) {
  const std::vector<Json> lines = lines_of(file);
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

TEST(JinjaGolden, SnippetsAreWrittenAsJinja2WritesThem) {
  expect_snippets(source_path("tests/unit/jinja/data/snippets.jsonl"));
}

TEST(JinjaGolden, SnippetsOfAnotherSeedAreWrittenAsJinja2WritesThem) {
  const char* file = std::getenv("ELASTIKV_JINJA_SNIPPETS");
  if (file == nullptr) GTEST_SKIP() << "$ELASTIKV_JINJA_SNIPPETS names no file";
  expect_snippets(file);
}

/// Holds every template of a folder to its golden.jsonl.
void expect_templates(const std::filesystem::path& folder) {
  const std::vector<Json> lines = lines_of(folder / "golden.jsonl");
  const Json& cases = lines[0]["cases"];
  std::map<std::string, Template> templates;
  std::set<std::string> different;
  for (size_t i = 1; i < lines.size(); ++i) {
    const Json& line = lines[i];
    const auto name = line[0].get<std::string>();
    const Json& one = cases[line[1].get<size_t>()];
    std::string problem;
    std::optional<std::string> text;
    try {
      auto found = templates.find(name);
      if (found == templates.end()) {
        const std::filesystem::path own = source_path("models/stampvlm/chat_template.jinja");
        const auto file = name == "stampvlm" ? own : folder / (name + ".jinja");
        found = templates.emplace(name, Template::parse(read_file(file), name)).first;
      }
      text = rendered(found->second, one["variables"], problem);
    } catch (const Error& error) {
      problem = error.what();
    }
    if (line[2].is_null() ? !text : text == line[2].get<std::string>()) continue;
    if (!different.insert(name).second) continue;
    ADD_FAILURE() << name << ": " << one["name"] << ": " << one["variables"].dump()
                  << "\n  transformers: " << line[2]
                  << "\n  ours:         " << (text ? Json(*text).dump() : "Error: " + problem);
  }
  EXPECT_TRUE(different.empty()) << different.size() << " templates differ";
}

TEST(JinjaGolden, PublishedTemplatesAreRenderedAsTransformersRendersThem) {
  expect_templates(source_path("tests/parity/data/templates"));
}

TEST(JinjaGolden, TemplatesOfAFolderOfOnesOwnAreRenderedAsTransformersRendersThem) {
  const char* folder = std::getenv("ELASTIKV_CHAT_TEMPLATES");
  if (folder == nullptr) GTEST_SKIP() << "$ELASTIKV_CHAT_TEMPLATES names no folder";
  expect_templates(folder);
}

}  // namespace
}  // namespace elastikv::jinja
