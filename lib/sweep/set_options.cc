#include "sweep/set_options.h"

namespace elastikv {

std::vector<std::string> split_commas(std::string_view text) {
  std::vector<std::string> parts;
  size_t start = 0;
  for (size_t comma = text.find(','); comma != std::string_view::npos;
       comma = text.find(',', start)) {
    parts.emplace_back(text.substr(start, comma - start));
    start = comma + 1;
  }
  parts.emplace_back(text.substr(start));
  return parts;
}

std::pair<std::string, std::string> parse_set_option(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    fail("--set {}: needs the form key.subkey=value", text);
  }
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::string set_value(std::string_view key, std::string_view text) {
  const bool yaml = text.empty() || text.find_first_of("[{\"'") == 0;
  if (yaml || text.find(',') == std::string_view::npos) return std::string(text);
  for (const std::string& part : split_commas(text)) {
    if (part.find_first_not_of(' ') == std::string::npos)
      fail("--set {}={}: the list has an empty entry", key, text);
  }
  return fmt::format("[{}]", text);
}

}  // namespace elastikv
