#include "base/keys.h"

#include <cstdint>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace elastikv {
namespace {

enum class Shade { kLight, kDark };

struct Lid {
  bool hinged = false;
  std::string material = "wood";
};

struct Box {
  std::string name;
  int64_t width = 3;
  std::optional<int64_t> depth;
  Shade shade = Shade::kLight;
  Lid lid;
  std::vector<std::string> contents;
};

const Keys<Lid>& lid_keys() {
  static const Keys<Lid> keys([](Keys<Lid>& keys) {
    keys.add("hinged", &Lid::hinged, boolean_form(), "Whether it stays on the box.",
             {.written = Written::kWhereSet, .tag = "hinge"});
    keys.add("material", &Lid::material, filled_text_form(), "What it is made of.",
             {.hashed = false});
  });
  return keys;
}

const Keys<Box>& box_keys() {
  static const Keys<Box> keys([](Keys<Box>& keys) {
    keys.add("name", &Box::name, text_form(), "What it is called.",
             {.hashed = false, .otherwise = "by its width"},
             [](const YamlFields&, Box& box) { box.name = "box"; });
    keys.add("width", &Box::width, integer_form(1, 9), "Its width.", {.required = true});
    keys.add("depth", &Box::depth, integer_form(1), "Its depth.",
             {.lists = ListedValues{.ranges = true}});
    keys.add("shade", &Box::shade,
             choice_form<Shade>({{"light", Shade::kLight}, {"dark", Shade::kDark}}), "Its colour.",
             {.written = Written::kWhereSet, .earlier = "colour"});
    keys.section("lid", &Box::lid, lid_keys());
    keys.add("contents", &Box::contents, text_list_form(), "What is in it.",
             {.written = Written::kNever});
  });
  return keys;
}

Box box(const std::string& text) {
  Box box;
  box_keys().read(YamlFields::parse(text, "b.yaml"), box);
  return box;
}

std::string json(const Box& box) { return box_keys().write(box).dump(); }

TEST(Keys, AreReadWithTheirDefaults) {
  const Box usual = box("width: 5\n");
  EXPECT_EQ(usual.name, "box");
  EXPECT_EQ(usual.width, 5);
  EXPECT_FALSE(usual.depth);
  EXPECT_EQ(usual.shade, Shade::kLight);
  EXPECT_EQ(usual.lid.material, "wood");
  const Box all =
      box("name: n\nwidth: 1\ndepth: 2\nshade: dark\nlid: {hinged: true, material: tin}\n"
          "contents: [a, b]\n");
  EXPECT_EQ(all.name, "n");
  EXPECT_EQ(all.depth, 2);
  EXPECT_EQ(all.shade, Shade::kDark);
  EXPECT_TRUE(all.lid.hinged);
  EXPECT_EQ(all.lid.material, "tin");
  EXPECT_EQ(all.contents, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(box("width: 1\ncontents: a\n").contents, std::vector<std::string>{"a"});
}

TEST(Keys, WrongOnesNameTheirLine) {
  EXPECT_ERROR(box("name: x\n"), "b.yaml:1: key 'width' is missing");
  EXPECT_ERROR(box("width: 0\n"), "b.yaml:1: key 'width' is 0, needs to be at least 1");
  EXPECT_ERROR(box("width: 10\n"), "b.yaml:1: key 'width' is 10, may be at most 9");
  EXPECT_ERROR(box("width: 1\nshade: grey\n"),
               "b.yaml:2: key 'shade' is 'grey', needs light or dark");
  EXPECT_ERROR(box("width: 1\nlid:\n  material: ''\n"), "b.yaml:3: key 'lid.material' is empty");
  EXPECT_ERROR(box("width: 1\nlid: {hinge: true}\n"),
               "b.yaml:2: unknown key 'lid.hinge'; did you mean 'hinged'?");
  // An earlier name is read, but not suggested.
  EXPECT_ERROR(box("width: 1\ncolor: dark\n"),
               "b.yaml:2: unknown key 'color'; known: name, width, depth, shade, lid, contents");
}

TEST(Keys, AreWrittenInTheirOrder) {
  EXPECT_EQ(json(box("width: 5\n")), R"({"name":"box","width":5,"lid":{"material":"wood"}})");
  EXPECT_EQ(json(box("lid: {hinged: true}\nshade: dark\ndepth: 2\nwidth: 1\ncontents: [a]\n")),
            R"({"name":"box","width":1,"depth":2,"colour":"dark",)"
            R"("lid":{"hinged":true,"material":"wood"}})");
}

TEST(Keys, AnEarlierNameIsReadAndStaysInJson) {
  EXPECT_EQ(json(box("width: 1\ncolour: dark\n")), json(box("width: 1\nshade: dark\n")));
  EXPECT_ERROR(box("width: 1\ncolour: grey\n"),
               "b.yaml:2: key 'colour' is 'grey', needs light or dark");
  EXPECT_ERROR(box("width: 1\ncolour: dark\nshade: dark\n"),
               "b.yaml:2: key 'colour' is the earlier name of 'shade', which is given too");
  const auto notes = [](const std::string& text) {
    return box_keys().earlier_names_in(YamlFields::parse(text, "b.yaml"));
  };
  EXPECT_TRUE(notes("width: 1\nshade: dark\n").empty());
  ASSERT_EQ(notes("width: 1\ncolour: dark\n").size(), 1U);
  EXPECT_EQ(notes("width: 1\ncolour: dark\n").at("colour"),
            "b.yaml:2: 'colour' is now called 'shade'; both names are read");
}

TEST(Keys, TheHashedPartIsWhatChangesAResult) {
  const OrderedJson one = box_keys().write(box("name: a\nwidth: 1\n"));
  const OrderedJson other =
      box_keys().write(box("name: b\nwidth: 1\nshade: dark\nlid: {material: tin, hinged: true}\n"));
  EXPECT_EQ(box_keys().hashed_part(one).dump(), R"({"width":1,"lid":{}})");
  EXPECT_EQ(box_keys().hashed_part(other).dump(),
            R"({"width":1,"colour":"dark","lid":{"hinged":true}})");
  EXPECT_EQ(box_keys().differing(one, other), (std::vector<std::string>{"shade", "lid"}));
  EXPECT_TRUE(
      box_keys().differing(one, box_keys().write(box("width: 1\nlid: {material: tin}\n"))).empty());
  EXPECT_EQ(box_keys().tags(one), "");
  EXPECT_EQ(box_keys().tags(other), " hinge=true");
}

/// Of lists of mappings the hashed part is that of each.
TEST(Keys, ListsOfMappingsHaveTheirOwnTable) {
  static const Keys<std::vector<Box>> shelf([](Keys<std::vector<Box>>& keys) {
    keys.entries("boxes",
                 {.write = [](const std::vector<Box>& b) { return box_keys().write_all(b); }},
                 box_keys(), "mappings", "What stands on it.");
  });
  const OrderedJson json = shelf.write({box("width: 1\n"), box("width: 2\n")});
  EXPECT_EQ(shelf.hashed_part(json).dump(),
            R"({"boxes":[{"width":1,"lid":{}},{"width":2,"lid":{}}]})");
  EXPECT_EQ(shelf
                .earlier_names_in(
                    YamlFields::parse("boxes:\n - {width: 1}\n - {colour: dark}\n", "b.yaml"))
                .at("colour"),
            "b.yaml:3: 'colour' is now called 'shade'; both names are read");
  EXPECT_EQ(keys_markdown(shelf, "**A shelf**", "hashed"),
            "**A shelf**\n\n"
            "| key | value | default | hashed | what it says |\n"
            "| --- | --- | --- | --- | --- |\n"
            "| `boxes` | mappings | | yes | What stands on it. |\n"
            "\n**`boxes`**, one mapping or a list of them\n\n"
            "| key | value | default | hashed | what it says |\n"
            "| --- | --- | --- | --- | --- |\n"
            "| `name` | text | by its width | no | What it is called. |\n"
            "| `width` | integer from 1 to 9 | required | yes | Its width. |\n"
            "| `depth` | integer from 1, a list or a range | | yes | Its depth. |\n"
            "| `shade` | `light` or `dark` | `light` | yes | Its colour. Was `colour`, which is "
            "still read. |\n"
            "| `lid.hinged` | `true` or `false` | `false` | yes | Whether it stays on the box. |\n"
            "| `lid.material` | text | `wood` | no | What it is made of. |\n"
            "| `contents` | one text or several | | yes | What is in it. |\n");
}

}  // namespace
}  // namespace elastikv
