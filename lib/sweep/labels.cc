#include "sweep/labels.h"

#include <algorithm>
#include <cctype>

namespace elastikv {

std::string label_of(const YamlFields& node) {
  std::string label = node.as_string();
  const bool fits = !label.empty() && std::all_of(label.begin(), label.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '+';
  });
  if (!fits) {
    node.fail_here(
        fmt::format("is '{}', a name may have letters, digits and the characters . _ - +", label));
  }
  return label;
}

std::string as_label(std::string text) {
  for (char& c : text) {
    const bool fits = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' ||
                      c == '-' || c == '+';
    if (!fits) c = '-';
  }
  return text.empty() ? "unnamed" : text;
}

std::string folder_label(const std::filesystem::path& folder) {
  // "x/" has an empty file name; the folder is meant.
  const auto path = folder.has_filename() ? folder : folder.parent_path();
  return as_label(path.filename().string());
}

std::string place_of(const YamlFields& node) {
  return fmt::format("{}:{}", node.origin(), node.line());
}

ValueForm<std::string> label_form() {
  return {label_of, [](const std::string& label) { return OrderedJson(label); }, "name"};
}

}  // namespace elastikv
