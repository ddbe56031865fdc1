#include <limits>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/device.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"
#include "base/strings.h"
#include "base/yaml_fields.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

TEST(Base64, IsThatOfTheStandard) {
  // RFC 4648, section 10.
  const std::string text = "foobar";
  const char* expected[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
  for (size_t length = 0; length <= text.size(); ++length)
    EXPECT_EQ(encode_base64(text.substr(0, length)), expected[length]);
  using namespace std::string_view_literals;
  EXPECT_EQ(encode_base64("\xff\xfe\xfb\x00\x80"sv), "//77AIA=");
}

TEST(NearestName, OffersTheLikelySlip) {
  const std::vector<std::string> known{"elastic", "h2o", "streaming-llm"};
  EXPECT_EQ(nearest_name("elastci", known), "elastic");
  EXPECT_EQ(nearest_name("streaming_llm", known), "streaming-llm");
  EXPECT_EQ(suggestion("zzzzzzzz", known), "; known: elastic, h2o, streaming-llm");
}

TEST(Strings, ListsReadAsInASentence) {
  EXPECT_EQ(listed({}), "");
  EXPECT_EQ(listed({"md"}), "md");
  EXPECT_EQ(listed({"md", "csv"}), "md and csv");
  EXPECT_EQ(listed({"md", "csv", "json"}, "or"), "md, csv or json");
}

TEST(JsonFields, NamesFileAndFullKey) {
  const TemporaryFolder folder;
  const auto file =
      folder.write("config.json", R"({"text_config": {"hidden_size": "x", "n": null}})");
  const JsonFields config = JsonFields::read(file);
  const JsonFields text = config.object("text_config");
  EXPECT_ERROR(text.integer("hidden_size"),
               file.string() + ": key 'text_config.hidden_size' is \"x\", an integer is needed");
  EXPECT_ERROR(text.integer("layers"),
               file.string() + ": key 'text_config.layers' is missing (an integer is needed)");
  EXPECT_EQ(text.integer("n", 7), 7);
}

TEST(JsonFields, MalformedTextNamesLineAndColumn) {
  EXPECT_ERROR(parse_json("{\n  \"a\": ]\n}", "f.json"),
               "f.json:2:8: not valid JSON: unexpected ']'; expected '[', '{', or a literal");
}

// As unsigned numbers they would be read, and turn into negative ones.
TEST(JsonFields, IntegersBeyondTheirTypeAreNone) {
  const JsonFields fields(
      parse_json(R"({"a": 9223372036854775807, "b": 9223372036854775808, "c": -9223372036854775808,
                     "d": 18446744073709551615, "e": 1.0})",
                 "f.json"),
      "f.json");
  EXPECT_EQ(fields.integer("a"), 9223372036854775807);
  EXPECT_EQ(fields.integer("c"), std::numeric_limits<int64_t>::min());
  EXPECT_ERROR(fields.integer("b"), "f.json: key 'b' is 9223372036854775808, an integer is needed");
  EXPECT_ERROR(fields.integer("d"),
               "f.json: key 'd' is 18446744073709551615, an integer is needed");
  EXPECT_ERROR(fields.integer("e"), "f.json: key 'e' is 1.0, an integer is needed");
}

// What goes down into a value (a copy, its text in a message) would run out of stack.
TEST(JsonFields, DeepNestingIsRefused) {
  const auto nested = [](size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  EXPECT_EQ(parse_json(nested(kMostJsonLevels), "f.json").size(), 1U);
  for (const size_t levels : {size_t{kMostJsonLevels + 1}, size_t{1000000}}) {
    EXPECT_ERROR(parse_json("{\"a\": " + nested(levels) + "}", "f.json"),
                 "f.json: not read: its values are nested deeper than 256 levels");
  }
  // Brackets inside strings are text.
  EXPECT_EQ(parse_json("[\"" + std::string(1000, '[') + "\\\"[\"]", "f.json").size(), 1U);
}

TEST(YamlFields, KeysThatAreNoTextAreRefused) {
  EXPECT_ERROR(YamlFields::parse("a: 1\n[b, c]: 2\n", "a.yaml"),
               "a.yaml:2: a key needs to be plain text");
  EXPECT_ERROR(YamlFields::parse("a:\n  - {d: 1}\n  - {{e: f}: 1}\n", "a.yaml"),
               "a.yaml:3: a key needs to be plain text");
  EXPECT_ERROR(YamlFields::parse("a: 1\n~: 2\n", "a.yaml"),
               "a.yaml:2: a key needs to be plain text");
}

TEST(YamlFields, AliasesWithoutEndAreRefused) {
  const std::string refused =
      "not read: values are nested deeper than 100 levels, or are over 1000000 in all";
  EXPECT_ERROR(YamlFields::parse("a: &x [1, *x]\n", "a.yaml"), "a.yaml:1: " + refused);
  std::string doubling = "a0: &a0 [1, 1]\n";
  for (int i = 1; i < 40; ++i) doubling += fmt::format("a{0}: &a{0} [*a{1}, *a{1}]\n", i, i - 1);
  EXPECT_ERROR_CONTAINS(YamlFields::parse(doubling, "a.yaml"), refused);
  // An alias as such is fine.
  EXPECT_EQ(YamlFields::parse("a: &x [1, 2]\nb: *x\n", "a.yaml").at("b").items().size(), 2U);
}

TEST(YamlFields, UnknownKeyNamesLineAndNearestKey) {
  const YamlFields root = YamlFields::parse("model:\n  path: x\n  dtpye: fp32\n", "a.yaml");
  EXPECT_ERROR(root.at("model").require_known_keys({"path", "dtype"}),
               "a.yaml:3: unknown key 'model.dtpye'; did you mean 'dtype'?");
}

TEST(YamlFields, WrongKindsNameLineAndKey) {
  const YamlFields root = YamlFields::parse("limit: many\nkeep: [0.1, x]\n", "a.yaml");
  EXPECT_ERROR(root.integer("limit"), "a.yaml:1: key 'limit' needs an integer, not 'many'");
  EXPECT_ERROR(root.at("keep").items()[1].as_number(),
               "a.yaml:2: key 'keep[1]' needs a number, not 'x'");
  EXPECT_ERROR(root.at("output"), "a.yaml:1: key 'output' is missing");
}

TEST(YamlFields, SetReachesIntoLists) {
  const YamlFields root = YamlFields::parse("models:\n - dtype: fp32\n - dtype: fp32\n", "a.yaml");
  const YamlFields changed = root.with("models.1.dtype", "bf16");
  EXPECT_EQ(changed.at("models").items()[0].string("dtype"), "fp32");
  EXPECT_EQ(changed.at("models").items()[1].string("dtype"), "bf16");
  EXPECT_EQ(root.at("models").items()[1].string("dtype"), "fp32");
  EXPECT_ERROR(root.with("models.2.dtype", "bf16"),
               "--set models.2.dtype: '2' is no index of a list of 2 in a.yaml");
  EXPECT_ERROR(root.with("models.dtype", "bf16"),
               "--set models.dtype: 'dtype' is no index of a list of 2 in a.yaml");
}

TEST(YamlFields, AFileExtendsAnother) {
  TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() / "sub");
  folder.write("base.yaml", "name: base\nlist: [1, 2]\nmap:\n  a: 1\n  b: x\n");
  folder.write("sub/middle.yaml", "extends: ../base.yaml\nname: middle\nmap: {a: 2}\n");
  const auto last = folder.write("sub/last.yaml", "\nextends: middle.yaml\nown: 3\n");
  const YamlFields root = YamlFields::read_extended(last);
  root.require_known_keys({"own", "name", "map", "list"});
  EXPECT_EQ(root.integer("own"), 3);
  EXPECT_EQ(root.string("name"), "middle");
  EXPECT_EQ(root.at("list").items().size(), 2U);
  EXPECT_FALSE(root.at("map").has("b"));  // whole top-level keys are taken or left
  // A message names the file that a key comes from, also after --set.
  EXPECT_ERROR(root.with("own", "4").at("list").as_integer(),
               (folder.path() / "base.yaml").string() + ":2: key 'list' needs an integer");
  EXPECT_ERROR(root.at("name").as_integer(), (folder.path() / "sub/middle.yaml").string() +
                                                 ":2: key 'name' needs an integer, not 'middle'");
  EXPECT_ERROR(root.require_known_keys({"own", "map", "list"}),
               (folder.path() / "sub/middle.yaml").string() +
                   ":2: unknown key 'name'; known: own, map, list");
  EXPECT_EQ(YamlFields::read_extended(folder.path() / "base.yaml").string("name"), "base");
  using Files = std::vector<std::filesystem::path>;
  EXPECT_EQ(YamlFields::extended_files(last),
            (Files{last, folder.path() / "sub/middle.yaml", folder.path() / "base.yaml"}));
}

TEST(YamlFields, ExtendingInACircleOrWhatIsNotThereIsAnError) {
  TemporaryFolder folder;
  const auto a = folder.write("a.yaml", "x: 1\nextends: b.yaml\n");
  const auto b = folder.write("b.yaml", "extends: a.yaml\n");
  EXPECT_ERROR(YamlFields::read_extended(a),
               b.string() + ":1: key 'extends' is 'a.yaml', which leads back to " + a.string());
  folder.write("b.yaml", "extends: c.yaml\n");
  EXPECT_ERROR(YamlFields::read_extended(a), b.string() +
                                                 ":1: key 'extends' is 'c.yaml', but there is no " +
                                                 (folder.path() / "c.yaml").string());
}

TEST(YamlFields, SetReplacesOneValueInACopy) {
  const YamlFields root = YamlFields::parse("model: {path: x, dtype: fp32}\n", "a.yaml");
  const YamlFields changed = root.with("model.dtype", "bf16").with("limit", "[1, 2]");
  EXPECT_EQ(changed.at("model").string("dtype"), "bf16");
  EXPECT_EQ(changed.at("model").string("path"), "x");
  EXPECT_EQ(changed.at("limit").items().size(), 2U);
  EXPECT_EQ(root.at("model").string("dtype"), "fp32");
  EXPECT_ERROR(root.with("model.path.x", "1"),
               "--set model.path.x: 'path' holds no keys in a.yaml");
}

TEST(Files, ReplacingIsAtomicAndReadable) {
  const TemporaryFolder folder;
  write_file_atomically(folder.path() / "a", "one");
  write_file_atomically(folder.path() / "a", "two");
  EXPECT_EQ(read_file(folder.path() / "a"), "two");
  EXPECT_ERROR_CONTAINS(read_file(folder.path() / "b"), "cannot open: No such file");
}

TEST(Files, WhatCannotBeLookedAtIsAnError) {
  const TemporaryFolder folder;
  const auto file = folder.write("a", "");
  EXPECT_TRUE(path_exists(file));
  EXPECT_FALSE(is_folder(file));
  EXPECT_TRUE(is_folder(folder.path()));
  EXPECT_FALSE(path_exists(folder.path() / "b"));
  EXPECT_FALSE(path_exists(file / "b"));  // a file holds nothing
  EXPECT_FALSE(path_exists(""));
  const std::filesystem::path too_long = folder.path() / std::string(300, 'x');
  EXPECT_ERROR(path_exists(too_long),
               too_long.string() + ": cannot be looked at: File name too long");
  EXPECT_ERROR(is_folder(too_long),
               too_long.string() + ": cannot be looked at: File name too long");
}

TEST(Hash, KnownVector) {
  // XXH3 128 of the empty input, from the xxHash specification.
  EXPECT_EQ(content_hash(""), "99aa06d3014798d86001c324468d497f");
}

TEST(Device, NamesAreChecked) {
  EXPECT_EQ(parse_device("cuda:1").index(), 1);
  EXPECT_ERROR(parse_device("gpu"), "device 'gpu' is not known; use cpu, cuda or cuda:N");
  EXPECT_ERROR(parse_dtype("bf61"), "dtype 'bf61' is not known; did you mean 'bf16'?");
}

}  // namespace
}  // namespace elastikv
