#include "jinja/template.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/expect_error.h"

namespace elastikv::jinja {
namespace {

using Json = nlohmann::ordered_json;

std::string rendered(std::string_view source, const Json& variables = Json::object(),
                     const Environment& environment = {}) {
  return Template::parse(source, "t.jinja").render(variables, environment);
}

TEST(JinjaTemplate, SaysWhereATextIsNoTemplate) {
  const auto parse = [](std::string_view source) { Template::parse(source, "t.jinja"); };
  EXPECT_ERROR(parse("a\n{% if x %}\nb"),
               "t.jinja:3: Unexpected end of template. Jinja was looking for the following tags: "
               "'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'.");
  EXPECT_ERROR(parse("\n\n{% unknown %}"), "t.jinja:3: Encountered unknown tag 'unknown'.");
  EXPECT_ERROR(parse("{% for x in y %}{% endif %}"),
               "t.jinja:1: Encountered unknown tag 'endif'. The innermost block that needs to be "
               "closed is 'for'.");
  EXPECT_ERROR(parse("{{ a b }}"), "t.jinja:1: expected token 'end of print statement', got 'b'");
  EXPECT_ERROR(parse("{{ (1 ]"), "t.jinja:1: unexpected ']', expected ')'");
  EXPECT_ERROR(parse("{{ 'a }}"), "t.jinja:1: unexpected char \"'\" at 3");
  EXPECT_ERROR(parse("{{ x | nosuch }}"), "t.jinja:1: No filter named 'nosuch'.");
  EXPECT_ERROR(parse("{% break %}"), "t.jinja:1: 'break' outside loop");
  EXPECT_ERROR(parse("{% include 'other' %}"),
               "t.jinja:1: templates that read other files are not rendered ({% include %})");
  EXPECT_ERROR(parse("{{ 99999999999999999999 }}"),
               "t.jinja:1: the integer '99999999999999999999' does not fit 64 bits");
  EXPECT_ERROR(parse("\xff"), "t.jinja: the template is not UTF-8");
}

TEST(JinjaTemplate, SaysWhereRenderingFails) {
  EXPECT_ERROR(rendered("a\n{{ x.y }}"), "t.jinja:2: 'x' is undefined");
  EXPECT_ERROR(rendered("{{ x.y.z }}", {{"x", Json::object()}}),
               "t.jinja:1: 'dict object' has no attribute 'y'");
  EXPECT_ERROR(rendered("{{\n 1 +\n 'a' }}"),
               "t.jinja:2: unsupported operand type(s) for +: 'int' and 'str'");
  EXPECT_ERROR(rendered("{{ 'a' + 1 }}"),
               "t.jinja:1: can only concatenate str (not \"int\") to str");
  EXPECT_ERROR(rendered("{% macro m() %}\n{{ none + 1 }}{% endmacro %}\n{{ m() }}"),
               "t.jinja:2: unsupported operand type(s) for +: 'NoneType' and 'int'");
  EXPECT_ERROR(rendered("{{ x.append(1) }}", {{"x", Json::array()}}),
               "t.jinja:1: access to attribute 'append' of 'list' object is unsafe.");
  EXPECT_ERROR(rendered("{{ 4611686018427387904 * 2 }}"),
               "t.jinja:1: an integer does not fit 64 bits");
  EXPECT_ERROR(rendered("{{ x }}", {{"x", uint64_t{1} << 63}}),
               "t.jinja: a variable holds 9223372036854775808, which does not fit 64 bits");
  EXPECT_ERROR(rendered("{{ x }}", {{"x", "\xc3("}}),
               "t.jinja: a variable holds text that is not UTF-8");
  EXPECT_ERROR(rendered("{{ [1] | map('upper') }}"),
               "t.jinja:1: what a generator object is written as depends on where it lies in "
               "memory");
  EXPECT_ERROR(rendered("{{ [1] | random }}"),
               "t.jinja:1: the filter random is not supported: a prompt must not depend on chance");
  EXPECT_ERROR(rendered("", Json::array()), "t.jinja: the variables are no object");
}

TEST(JinjaTemplate, GivesTheMessageThatTheTemplateRaises) {
  EXPECT_THROW(rendered("{{ raise_exception('roles must alternate') }}"), Raised);
  EXPECT_ERROR(rendered("\n{{ raise_exception('roles must ' ~ 'alternate') }}"),
               "roles must alternate");
}

TEST(JinjaTemplate, WritesOnlyADateThatIsGiven) {
  const std::string source = "{{ strftime_now('%d %b %Y, %A, day %j') }}";
  EXPECT_ERROR(rendered(source),
               "t.jinja:1: the template asks for the date (strftime_now), and no date is given");
  Environment environment;
  environment.now = CivilTime{2024, 2, 29};
  EXPECT_EQ(rendered(source, Json::object(), environment), "29 Feb 2024, Thursday, day 060");
}

TEST(JinjaTemplate, NamesTheVariablesThatItReads) {
  const auto names = [](std::string_view source) {
    return Template::parse(source, "t.jinja").variables();
  };
  using Names = std::set<std::string>;
  EXPECT_EQ(names("{% for m in messages %}{{ m.role }}{{ loop.index }}{% endfor %}{{ bos }}"),
            (Names{"messages", "bos"}));
  EXPECT_EQ(names("{% set x = 1 %}{{ x }}{{ range(2) }}{{ strftime_now('%Y') }}"),
            (Names{"strftime_now"}));
  EXPECT_EQ(names("{% if a %}{% set x = b %}{% endif %}{{ x }}{% macro m(p) %}{{ p }}{{ q }}"
                  "{% endmacro %}"),
            (Names{"a", "b", "x", "q"}));
}

TEST(JinjaTemplate, RendersALongTextQuickly) {
  std::string text;
  while (text.size() < 1'000'000) text += "The \u732b sat on the mat. ";
  const Json variables{{"messages", {{{"role", "user"}, {"content", text}}}}};
  const std::string prompt = rendered(
      "{% for m in messages %}{% set c = m.content | trim %}{{ '<|' + m.role + '|>' + c }}"
      "{% if '</think>' in c %}x{% endif %}{{ c.split('</think>')[-1][:5] }}{% endfor %}",
      variables);
  EXPECT_EQ(prompt.size(), 8 + text.size() - 1 + 7);
}

TEST(JinjaTemplate, IsRenderedByAnyNumberOfThreads) {
  const Template parsed = Template::parse(
      "{% macro m(x) %}{{ x * 2 }}\u732b{% endmacro %}{% for i in range(n) %}{{ m(i) }}{{ "
      "'\u00e9'[0] }}"
      "{% endfor %}",
      "t.jinja");
  std::vector<std::string> texts(4);
  std::vector<std::thread> threads;
  for (std::string& text : texts) {
    threads.emplace_back([&] { text = parsed.render({{"n", 500}}); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : texts) EXPECT_EQ(text, parsed.render({{"n", 500}}));
}

}  // namespace
}  // namespace elastikv::jinja
