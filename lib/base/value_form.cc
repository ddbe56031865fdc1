#include "base/value_form.h"

#include <algorithm>

namespace elastikv {
namespace {

std::string filled(const YamlFields& node) {
  std::string text = node.as_string();
  if (text.empty()) node.fail_here("is empty");
  return text;
}

OrderedJson path_json(const std::filesystem::path& path) { return path.string(); }

OrderedJson text_json(const std::string& text) { return text; }

}  // namespace

std::string either(const std::vector<std::string>& words, std::string_view quote) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    const char* before = i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    text += fmt::format("{}{}{}{}", before, quote, words[i], quote);
  }
  return text;
}

std::string integers_between(int64_t least, int64_t most) {
  if (most == std::numeric_limits<int64_t>::max()) return fmt::format("integer from {}", least);
  return fmt::format("integer from {} to {}", least, most);
}

std::string or_list(std::string takes, bool ranges) {
  return std::move(takes) + (ranges ? ", a list or a range" : ", or a list");
}

ValueForm<bool> boolean_form() {
  return {[](const YamlFields& node) { return node.as_boolean(); },
          [](const bool& value) { return OrderedJson(value); }, "`true` or `false`"};
}

ValueForm<double> positive_form() {
  return {[](const YamlFields& node) {
            const double value = node.as_number();
            if (!(value > 0)) node.fail_here(fmt::format("is {}, needs to be above 0", value));
            return value;
          },
          [](const double& value) { return OrderedJson(value); }, "number above 0"};
}

ValueForm<std::string> text_form() {
  return {[](const YamlFields& node) { return node.as_string(); }, text_json, "text"};
}

ValueForm<std::string> filled_text_form() { return {filled, text_json, "text"}; }

ValueForm<std::vector<std::string>> text_list_form() {
  return {texts_at, [](const std::vector<std::string>& texts) { return OrderedJson(texts); },
          "one text or several"};
}

ValueForm<std::filesystem::path> path_form() {
  return {[](const YamlFields& node) { return std::filesystem::path(node.as_string()); }, path_json,
          "path"};
}

ValueForm<std::filesystem::path> filled_path_form() {
  return {[](const YamlFields& node) { return std::filesystem::path(filled(node)); }, path_json,
          "path"};
}

ValueForm<std::string> word_form(const std::vector<std::string>& words, std::string refusal) {
  if (refusal.empty()) refusal = fmt::format(", needs {}", either(words));
  return {[words, refusal](const YamlFields& node) {
            std::string word = node.as_string();
            if (std::find(words.begin(), words.end(), word) == words.end())
              node.fail_here(fmt::format("is '{}'{}", word, refusal));
            return word;
          },
          text_json, either(words, "`")};
}

}  // namespace elastikv
