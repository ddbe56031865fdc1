#include "base/yaml_values.h"

namespace elastikv {

std::vector<YamlFields> any_or_none(const YamlFields& node) {
  if (!node.is_list()) return {node};
  return node.items();
}

std::vector<YamlFields> one_or_list(const YamlFields& node) {
  std::vector<YamlFields> items = any_or_none(node);
  if (items.empty()) node.fail_here("needs at least one entry");
  return items;
}

std::vector<std::string> texts_at(const YamlFields& node) {
  std::vector<std::string> texts;
  for (const YamlFields& item : any_or_none(node)) texts.push_back(item.as_string());
  return texts;
}

int64_t integer_between(const YamlFields& node, int64_t least, int64_t most) {
  const int64_t value = node.as_integer();
  if (value < least) node.fail_here(fmt::format("is {}, needs to be at least {}", value, least));
  if (value > most) node.fail_here(fmt::format("is {}, may be at most {}", value, most));
  return value;
}

}  // namespace elastikv
