#include "report/looks.h"

#include <cstdint>
#include <iterator>
#include <map>

#include <fmt/format.h>

#include "base/configs.h"
#include "base/json_fields.h"

namespace elastikv {
namespace {

/// configs/looks.json.
struct Looks {
  std::vector<std::string> colours;
  std::map<std::string, ChartLook> strategies;
};

Looks read_looks() {
  const JsonFields file = JsonFields::read(configs_folder() / "looks.json");
  Looks looks;
  looks.colours = file.strings("colours");
  if (looks.colours.empty()) file.fail_key("colours", "names no colour");
  const JsonFields strategies = file.object("strategies");
  for (const std::string& name : strategies.keys()) {
    const int64_t colour = strategies.integer(name);
    if (colour < 0 || colour >= std::ssize(looks.colours))
      strategies.fail_key(name, "is no place among the colours");
    looks.strategies[name].colour = static_cast<size_t>(colour);
  }
  for (const std::string& name : file.strings("dashed")) {
    const auto known = looks.strategies.find(name);
    if (known == looks.strategies.end())
      file.fail_key("dashed", fmt::format("names '{}', which has no colour", name));
    known->second.dashed = true;
  }
  return looks;
}

const Looks& looks() {
  static const Looks read = read_looks();
  return read;
}

}  // namespace

const std::vector<std::string>& chart_colours() { return looks().colours; }

std::vector<ChartLook> chart_looks(const std::vector<std::string>& labels) {
  const std::map<std::string, ChartLook>& fixed = looks().strategies;
  std::vector<bool> taken(looks().colours.size(), false);
  for (const std::string& label : labels) {
    const auto found = fixed.find(label);
    if (found != fixed.end()) taken[found->second.colour] = true;
  }
  std::vector<ChartLook> result;
  size_t next = 0;
  bool dashed = false;
  for (const std::string& label : labels) {
    const auto found = fixed.find(label);
    if (found != fixed.end()) {
      result.push_back(found->second);
      continue;
    }
    while (next < taken.size() && !dashed && taken[next]) ++next;
    if (next == taken.size()) {
      next = 0;
      dashed = true;
    }
    result.push_back({next++, dashed});
  }
  return result;
}

}  // namespace elastikv
