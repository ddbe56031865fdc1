#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/yaml_fields.h"
#include "base/yaml_values.h"

namespace elastikv {

/// JSON whose objects keep the order in which they were filled.
using OrderedJson = nlohmann::ordered_json;

/// How the values of a key are read from a file, written as JSON, and described.
template <typename V>
struct ValueForm {
  /// The value of a node; Error at the node for one that is none.
  std::function<V(const YamlFields& node)> read;
  std::function<OrderedJson(const V& value)> write;
  std::string takes;  ///< what may stand there, as Markdown: "`true` or `false`"
};

/// "a, b or c"; each between `quote`s.
std::string either(const std::vector<std::string>& words, std::string_view quote = "");
/// "integer from 1", "integer from 1 to 8".
std::string integers_between(int64_t least, int64_t most);
/// "a number, or a list": with an end that says that a key takes several values.
std::string or_list(std::string takes, bool ranges);

ValueForm<bool> boolean_form();
/// A number above 0.
ValueForm<double> positive_form();
ValueForm<std::string> text_form();
/// A text that is not empty.
ValueForm<std::string> filled_text_form();
/// One text or a list of them, which may be empty.
ValueForm<std::vector<std::string>> text_list_form();
ValueForm<std::filesystem::path> path_form();
/// A path that is not empty.
ValueForm<std::filesystem::path> filled_path_form();
/// One of a few words. A message for another says "is 'x'" and then `refusal`; by default that the
/// words are needed.
ValueForm<std::string> word_form(const std::vector<std::string>& words, std::string refusal = "");

/// An integer of a range, for a member of the integral type `V`.
template <typename V = int64_t>
ValueForm<V> integer_form(int64_t least, int64_t most = std::numeric_limits<int64_t>::max()) {
  return {
      [=](const YamlFields& node) { return static_cast<V>(integer_between(node, least, most)); },
      [](const V& value) { return OrderedJson(value); }, integers_between(least, most)};
}

/// One of a few words, each of which means a value; `refusal` as word_form's.
template <typename V>
ValueForm<V> choice_form(std::vector<std::pair<std::string, V>> choices, std::string refusal = "") {
  std::vector<std::string> words;
  words.reserve(choices.size());
  for (const auto& choice : choices) words.push_back(choice.first);
  ValueForm<std::string> word = word_form(words, std::move(refusal));
  return {[choices, read = std::move(word.read)](const YamlFields& node) {
            const std::string chosen = read(node);
            for (const auto& choice : choices) {
              if (choice.first == chosen) return choice.second;
            }
            throw InternalError(fmt::format("the word '{}' means nothing", chosen));
          },
          [choices](const V& value) {
            for (const auto& choice : choices) {
              if (choice.second == value) return OrderedJson(choice.first);
            }
            throw InternalError("a value has no word");
          },
          std::move(word.takes)};
}

/// One of some values, each under the name that `name_of` gives it; `refusal` as word_form's.
template <typename V, typename NameOf>
ValueForm<V> named_form(const std::vector<V>& values, NameOf name_of, std::string refusal = "") {
  std::vector<std::pair<std::string, V>> choices;
  for (const V& value : values) choices.emplace_back(std::string(name_of(value)), value);
  return choice_form<V>(std::move(choices), std::move(refusal));
}

/// A word that `parse` turns into a value, with an Error for any other, and `name_of` back. `words`
/// are those it knows.
template <typename V, typename Parse, typename NameOf>
ValueForm<V> parsed_form(Parse parse, NameOf name_of, const std::vector<std::string>& words) {
  return {[parse](const YamlFields& node) {
            const std::string text = node.as_string();
            return checked(node, [&]() -> V { return parse(text); });
          },
          [name_of](const V& value) { return OrderedJson(name_of(value)); }, either(words, "`")};
}

}  // namespace elastikv
