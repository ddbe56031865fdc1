#include "base/yaml_fields.h"

#include <algorithm>
#include <utility>

#include <yaml-cpp/yaml.h>

#include "base/error.h"
#include "base/fields.h"
#include "base/files.h"
#include "base/nearest_name.h"

namespace elastikv {
namespace {

int line_of(const YAML::Node& node, int otherwise) {
  const YAML::Mark mark = node.Mark();
  return mark.is_null() ? otherwise : mark.line + 1;
}

/// Refuses what is legal YAML but would take readers by surprise: keys that are lists or mappings
/// themselves, and aliases by which a value holds itself or a short text stands for any number of
/// values.
class StructureCheck {
 public:
  explicit StructureCheck(const std::string& origin) : origin_(origin) {}

  void check(const YAML::Node& node, int line, int level = 0) {
    constexpr int kMostLevels = 100;
    constexpr int64_t kMostValues = 1000000;
    if (level > kMostLevels || ++values_ > kMostValues) {
      fail("{}:{}: not read: values are nested deeper than {} levels, or are over {} in all",
           origin_, line, kMostLevels, kMostValues);
    }
    for (const auto& item : node) {
      if (node.IsSequence()) {
        check(item, line_of(item, line), level + 1);
        continue;
      }
      const int here = line_of(item.first, line);
      if (!item.first.IsScalar()) fail("{}:{}: a key needs to be plain text", origin_, here);
      check(item.second, here, level + 1);
    }
  }

 private:
  const std::string& origin_;
  int64_t values_ = 0;
};

YAML::Node parse_yaml(const std::string& text, const std::string& origin) {
  try {
    YAML::Node node = YAML::Load(text);
    StructureCheck(origin).check(node, /*line=*/1);
    return node;
  } catch (const YAML::Exception& error) {
    fail("{}:{}: not valid YAML: {}", origin, error.mark.line + 1, error.msg);
  }
}

/// A node with `value` at a dotted key below it. What lies beside the way there is shared, so that
/// it keeps its lines (YAML::Clone forgets them).
YAML::Node replaced(const YAML::Node& node, std::string_view rest, const YAML::Node& value,
                    std::string_view dotted_key, const std::string& origin) {
  const size_t dot = rest.find('.');
  const std::string part(rest.substr(0, dot));
  const auto child = [&](const YAML::Node& old) {
    if (dot == std::string_view::npos) return value;
    if (old.IsDefined() && old.IsScalar())
      fail("--set {}: '{}' holds no keys in {}", dotted_key, part, origin);
    return replaced(old, rest.substr(dot + 1), value, dotted_key, origin);
  };
  if (node.IsDefined() && node.IsSequence()) {
    int64_t index = -1;
    if (!parse_int(part, index) || index < 0 || index >= static_cast<int64_t>(node.size())) {
      fail("--set {}: '{}' is no index of a list of {} in {}", dotted_key, part, node.size(),
           origin);
    }
    YAML::Node list(YAML::NodeType::Sequence);
    for (size_t i = 0; i < node.size(); ++i)
      list.push_back(i == static_cast<size_t>(index) ? child(node[i]) : node[i]);
    return list;
  }
  YAML::Node map(YAML::NodeType::Map);
  bool found = false;
  if (node.IsDefined() && node.IsMap()) {
    for (const auto& item : node) {
      const bool here = item.first.Scalar() == part;
      map.force_insert(item.first, here ? child(item.second) : item.second);
      found = found || here;
    }
  }
  if (!found) map.force_insert(part, child(YAML::Node()));
  return map;
}

}  // namespace

YamlFields::YamlFields(std::shared_ptr<YAML::Node> node, std::string origin, std::string key,
                       int line)
    : node_(std::move(node)), origin_(std::move(origin)), key_(std::move(key)), line_(line) {}

YamlFields YamlFields::read(const std::filesystem::path& file) {
  return parse(read_file(file), file.string());
}

YamlFields YamlFields::parse(std::string_view text, std::string origin) {
  YAML::Node node = parse_yaml(std::string(text), origin);
  if (!node.IsMap()) fail("{}:1: a mapping of keys to values is needed", origin);
  return {std::make_shared<YAML::Node>(std::move(node)), std::move(origin), "", 1};
}

YamlFields YamlFields::read_extended(const std::filesystem::path& file) {
  std::vector<std::filesystem::path> chain{file};
  return merge_extended(chain);
}

std::vector<std::filesystem::path> YamlFields::extended_files(const std::filesystem::path& file) {
  std::vector<std::filesystem::path> chain{file};
  merge_extended(chain);
  return chain;
}

YamlFields YamlFields::merge_extended(std::vector<std::filesystem::path>& chain) {
  constexpr std::string_view kKey = "extends";
  YamlFields merged = read(chain.front());
  while (merged.has(kKey)) {
    const YamlFields key = merged.at(kKey);
    const std::filesystem::path next =
        (chain.back().parent_path() / key.as_string()).lexically_normal();
    for (const std::filesystem::path& before : chain) {
      if (before.lexically_normal() == next) {
        key.fail_here(
            fmt::format("is '{}', which leads back to {}", key.as_string(), before.string()));
      }
    }
    if (!path_exists(next)) {
      key.fail_here(fmt::format("is '{}', but there is no {}", key.as_string(), next.string()));
    }
    const YamlFields base = read(next);
    merged.node_->remove(std::string(kKey));
    merged.extended_.erase(std::string(kKey));
    for (const auto& item : *base.node_) {
      const auto name = item.first.as<std::string>();
      if (merged.has_key(name)) continue;
      // The key's own node is kept: its mark is its line.
      merged.node_->force_insert(item.first, item.second);
      merged.extended_[name] = next.string();
    }
    chain.push_back(next);
  }
  return merged;
}

bool YamlFields::has_key(const std::string& key) const {
  const YAML::Node& node = *node_;
  return node[key].IsDefined();
}

const std::string& YamlFields::origin_of(const std::string& key) const {
  const auto found = extended_.find(key);
  return found == extended_.end() ? origin_ : found->second;
}

bool YamlFields::is_map() const { return node_->IsMap(); }
bool YamlFields::is_list() const { return node_->IsSequence(); }
bool YamlFields::is_scalar() const { return node_->IsScalar(); }
int YamlFields::line() const { return line_; }

void YamlFields::fail_here(std::string_view problem) const {
  if (key_.empty()) fail("{}:{}: {}", origin_, line_, problem);
  fail("{}:{}: key '{}' {}", origin_, line_, key_, problem);
}

void YamlFields::require_known_keys(const std::vector<std::string>& known,
                                    const std::vector<std::string>& earlier) const {
  if (!is_map()) fail_here("needs a mapping of keys to values");
  const auto is_in = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<std::string> seen;
  for (const auto& item : *node_) {
    const auto key = item.first.as<std::string>();
    const int line = line_of(item.first, line_);
    if (!is_in(known, key) && !is_in(earlier, key)) {
      fail("{}:{}: unknown key '{}'{}", origin_of(key), line, join_key(key_, key),
           suggestion(key, known));
    }
    if (is_in(seen, key)) {
      fail("{}:{}: key '{}' is given twice", origin_, line, join_key(key_, key));
    }
    seen.push_back(key);
  }
}

std::vector<std::string> YamlFields::keys() const {
  if (!is_map()) fail_here("needs a mapping of keys to values");
  std::vector<std::string> names;
  for (const auto& item : *node_) names.push_back(item.first.as<std::string>());
  return names;
}

bool YamlFields::has(std::string_view key) const {
  if (!is_map()) return false;
  const YAML::Node& node = *node_;
  const YAML::Node found = node[std::string(key)];
  return found.IsDefined() && !found.IsNull();
}

YamlFields YamlFields::at(std::string_view key) const {
  if (!is_map()) fail_here("needs a mapping of keys to values");
  for (const auto& item : *node_) {
    if (item.first.as<std::string>() == key && !item.second.IsNull()) {
      return {std::make_shared<YAML::Node>(item.second), origin_of(std::string(key)),
              join_key(key_, key), line_of(item.first, line_)};
    }
  }
  fail("{}:{}: key '{}' is missing", origin_, line_, join_key(key_, key));
}

std::vector<YamlFields> YamlFields::items() const {
  if (!is_list()) fail_here("needs a list");
  std::vector<YamlFields> elements;
  int index = 0;
  for (const auto& item : *node_) {
    elements.push_back({std::make_shared<YAML::Node>(item), origin_,
                        fmt::format("{}[{}]", key_, index++), line_of(item, line_)});
  }
  return elements;
}

int64_t YamlFields::as_integer() const {
  int64_t value = 0;
  if (!is_scalar() || !parse_int(node_->Scalar(), value)) {
    fail_here(
        fmt::format("needs an integer{}", is_scalar() ? ", not '" + node_->Scalar() + "'" : ""));
  }
  return value;
}

double YamlFields::as_number() const {
  double value = 0;
  if (!is_scalar() || !parse_double(node_->Scalar(), value)) {
    fail_here(
        fmt::format("needs a number{}", is_scalar() ? ", not '" + node_->Scalar() + "'" : ""));
  }
  return value;
}

bool YamlFields::as_boolean() const {
  bool value = false;
  if (!is_scalar() || !YAML::convert<bool>::decode(*node_, value)) {
    fail_here(
        fmt::format("needs true or false{}", is_scalar() ? ", not '" + node_->Scalar() + "'" : ""));
  }
  return value;
}

std::string YamlFields::as_string() const {
  if (!is_scalar()) fail_here("needs a string");
  return node_->Scalar();
}

int64_t YamlFields::integer(std::string_view key, int64_t otherwise) const {
  return has(key) ? integer(key) : otherwise;
}
double YamlFields::number(std::string_view key, double otherwise) const {
  return has(key) ? number(key) : otherwise;
}
bool YamlFields::boolean(std::string_view key, bool otherwise) const {
  return has(key) ? boolean(key) : otherwise;
}
std::string YamlFields::string(std::string_view key, std::string_view otherwise) const {
  return has(key) ? string(key) : std::string(otherwise);
}

YamlFields YamlFields::with(std::string_view dotted_key, std::string_view text) const {
  const YAML::Node value = parse_yaml(std::string(text), fmt::format("--set {}", dotted_key));
  YamlFields changed(
      std::make_shared<YAML::Node>(replaced(*node_, dotted_key, value, dotted_key, origin_)),
      origin_, key_, line_);
  changed.extended_ = extended_;
  return changed;
}

std::string YamlFields::dump() const { return YAML::Dump(*node_); }

}  // namespace elastikv
