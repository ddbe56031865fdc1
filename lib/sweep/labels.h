#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/value_form.h"
#include "base/yaml_fields.h"

namespace elastikv {

/// A name that stands in cell ids, tables and CSV files. Error for characters that do not belong
/// there.
std::string label_of(const YamlFields& node);
ValueForm<std::string> label_form();
/// What a file's or folder's name becomes when it serves as a label.
std::string as_label(std::string text);
/// The label of a model's folder.
std::string folder_label(const std::filesystem::path& folder);

/// "file.yaml:3", for messages.
std::string place_of(const YamlFields& node);

/// Error when two entries would have the same name in a table.
template <typename Item, typename Name>
void require_unique(const std::vector<Item>& items, const YamlFields& node, Name name_of,
                    std::string_view remedy) {
  std::set<std::string> seen;
  for (const Item& item : items) {
    const std::string name = name_of(item);
    if (!seen.insert(name).second) {
      node.fail_here(fmt::format("has two entries named '{}'; {}", name, remedy));
    }
  }
}

}  // namespace elastikv
