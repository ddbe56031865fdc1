// What no template may do: run for ever, run out of stack, take all memory.

#include <chrono>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "jinja/template.h"
#include "support/expect_error.h"

namespace elastikv::jinja {
namespace {

std::string rendered(std::string_view source) {
  return Template::parse(source, "t").render(nlohmann::ordered_json::object());
}

/// `text`, `count` times.
std::string times(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

constexpr std::string_view kSteps = "t:1: the template does not end: more than 2000000 steps";
constexpr std::string_view kMemory = "t:1: the template's values take more than 268435456 bytes";

TEST(JinjaLimits, MacrosCallEachOtherNoDeeperThanTheLimit) {
  constexpr std::string_view kDepth = "t:1: calls are nested deeper than 100 levels";
  EXPECT_ERROR(rendered("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), kDepth);
  EXPECT_ERROR(rendered("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}"
                        "{% endmacro %}{{ a() }}"),
               kDepth);
  EXPECT_ERROR(rendered("{% set ns = namespace() %}{% set ns.x = [ns] %}"
                        "{% for n in [ns] recursive %}{{ loop(n.x) }}{% endfor %}"),
               kDepth);
  EXPECT_ERROR(rendered("{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}"
                        "{{ m() }}"),
               kDepth);
}

TEST(JinjaLimits, LoopsEnd) {
  EXPECT_ERROR(rendered("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}"
                        "{% endfor %}"),
               kSteps);
  EXPECT_ERROR(rendered("{% for a in range(100000) %}{{ range(100000) | sum }}{% endfor %}"),
               kSteps);
  EXPECT_ERROR(rendered("{% for a in range(100000) %}{% set x = range(99999) | list | sort %}"
                        "{% endfor %}"),
               kSteps);
  EXPECT_ERROR(rendered("{% set t = 'a' * 1000000 %}{% for a in range(100000) %}"
                        "{{ 'b' in t }}{{ t[1:] | length }}{% endfor %}"),
               kSteps);
  EXPECT_ERROR(rendered("{{ range(0, 100001) }}"),
               "t:1: Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
}

TEST(JinjaLimits, ValuesDoNotTakeAllMemory) {
  EXPECT_ERROR(rendered("{% set ns = namespace(x='ab') %}{% for i in range(64) %}"
                        "{% set ns.x = ns.x + ns.x %}{% endfor %}"),
               kMemory);
  EXPECT_ERROR_CONTAINS(rendered("{% set ns = namespace(x=[1]) %}{% for i in range(64) %}"
                                 "{% set ns.x = ns.x + ns.x %}{% endfor %}"),
                        "more than");
  for (const std::string_view huge :
       {"'ab' * 4611686018427387903", "[1, 2] * 4611686018427387903", "'a'.center(10 ** 17)",
        "'a' | center(10 ** 18)", "'a\nb' | indent(10 ** 18)", "'a'.ljust(10 ** 18)",
        "'a'.zfill(10 ** 18)", "'\t'.expandtabs(10 ** 18)", "[1] | tojson(indent=10 ** 18)"}) {
    EXPECT_ERROR_CONTAINS(rendered(fmt::format("{{{{ {} }}}}", huge)), "take more than");
  }
  EXPECT_ERROR(rendered("{{ '%999999999d' % 1 }}"), "t:1: width or precision too big");
  EXPECT_ERROR(rendered("{{ '{:999999999}'.format(1) }}"),
               "t:1: Too many decimal digits in format string");
  EXPECT_ERROR(rendered("{{ 10 ** 40 }}"), "t:1: an integer does not fit 64 bits");
}

TEST(JinjaLimits, TextsEnd) {
  EXPECT_ERROR(rendered("{% set t = 'a' * 1000000 %}{% for i in range(1000) %}{{ t }}{% endfor %}"),
               "t:1: the template writes more than 16777216 bytes");
  EXPECT_ERROR(rendered("{% set x %}{{ 'a' * 20000000 }}{% endset %}"),
               "t:1: the template writes more than 16777216 bytes");
}

TEST(JinjaLimits, ValuesDoNotNestWithoutEnd) {
  EXPECT_ERROR(rendered("{% set ns = namespace(x=[]) %}{% for i in range(100000) %}"
                        "{% set ns.x = [ns.x] %}{% endfor %}"),
               "t:1: lists and dicts are nested deeper than 300 levels");
  EXPECT_ERROR(rendered("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}"),
               "t:1: nested deeper than 1000 levels");
  // Of 2^64 leaves, all the same.
  constexpr std::string_view kTree =
      "{% set ns = namespace(x=[1]) %}{% for i in range(64) %}"
      "{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
  EXPECT_ERROR_CONTAINS(rendered(std::string(kTree) + "{{ ns.x }}"), "more than");
  EXPECT_ERROR_CONTAINS(rendered(std::string(kTree) + "{{ ns.x | tojson }}"), "more than");
  EXPECT_ERROR_CONTAINS(
      rendered(std::string(kTree) + "{% set a = ns.x %}" + std::string(kTree) + "{{ a == ns.x }}"),
      "more than");
  EXPECT_ERROR_CONTAINS(rendered("{% set ns = namespace(g=[1]) %}{% for i in range(9999) %}"
                                 "{% set ns.g = ns.g | map('string') %}{% endfor %}"
                                 "{{ ns.g | list }}"),
                        "nested deeper than 1000 levels");
  EXPECT_ERROR_CONTAINS(rendered("{% set ns = namespace(g=[1]) %}{% for i in range(9999) %}"
                                 "{% set ns.g = ns.g | unique %}{% endfor %}{{ ns.g | list }}"),
                        "nested deeper than 1000 levels");
}

TEST(JinjaLimits, WhatHoldsItselfIsFreed) {
  // A chain of namespaces, each held by the one before, and one that holds itself.
  EXPECT_EQ(rendered("{% set ns = namespace(first=namespace()) %}{% set ns.last = ns.first %}"
                     "{% set ns.self = ns %}{% for i in range(50000) %}{% set next = namespace() %}"
                     "{% set last = ns.last %}{% set last.next = next %}{% set ns.last = next %}"
                     "{% endfor %}{% macro m() %}{{ m }}{% endmacro %}{% set ns.m = m %}done"),
            "done");
}

TEST(JinjaLimits, TemplatesDoNotNestWithoutEnd) {
  constexpr std::string_view kNested = "t:1: nested deeper than 150 levels";
  const auto parse = [](const std::string& source) { Template::parse(source, "t"); };
  constexpr int kMany = 100'000;
  EXPECT_ERROR(parse("{{ " + times("(", kMany)), kNested);
  EXPECT_ERROR(parse("{{ " + times("[", kMany)), kNested);
  EXPECT_ERROR(parse("{{ " + times("{1:", kMany)), kNested);
  EXPECT_ERROR(parse("{{ " + times("not ", kMany) + "1 }}"), kNested);
  EXPECT_ERROR(parse("{{ " + times("-", kMany) + "1 }}"), kNested);
  EXPECT_ERROR(parse("{{ x" + times(".a", kMany) + " }}"), kNested);
  EXPECT_ERROR(parse("{{ x" + times("|e", kMany) + " }}"), kNested);
  EXPECT_ERROR(parse("{{ x" + times("()", kMany) + " }}"), kNested);
  EXPECT_ERROR(parse("{{ x" + times("[0]", kMany) + " }}"), kNested);
  EXPECT_ERROR(parse("{{ 1" + times(" if 1 else 1", kMany) + " }}"), kNested);
  EXPECT_ERROR(parse("{% set " + times("(", kMany)), kNested);
  EXPECT_ERROR(parse(times("{% if x %}", kMany)), kNested);
  EXPECT_ERROR(parse(times("{% for x in x %}", kMany)), kNested);
  EXPECT_ERROR(parse(times("{% macro m() %}", kMany)), kNested);
  EXPECT_EQ(rendered("{{ 1" + times(" + 1", kMany) + " }}"), "100001");
  EXPECT_EQ(rendered("{{ ''" + times(" ~ 1", 10) + " or 1" + times(" or 1", kMany) + " }}"),
            "1111111111");
  EXPECT_EQ(rendered("{% if 0 %}" + times("{% elif 0 %}", kMany) + "{% else %}x{% endif %}"), "x");
}

TEST(JinjaLimits, LongTemplatesAreReadInTime) {
  const auto start = std::chrono::steady_clock::now();
  std::string source;
  for (int i = 0; i < 20'000; ++i)
    source += fmt::format("{{% if v{0} %}}{{% set w{0} = 1 %}}{{% endif %}}", i);
  rendered(source);
  rendered(times("{{ x }}{# c #}{% raw %}{% endraw %}\n", 20'000));
  EXPECT_ERROR_CONTAINS(Template::parse("{# " + times("{# ", 300'000), "t"), "Missing end");
  EXPECT_ERROR_CONTAINS(Template::parse(times("{% raw %}{% ", 300'000), "t"), "Missing end");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace elastikv::jinja
