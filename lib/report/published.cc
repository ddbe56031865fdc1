#include "report/published.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <map>

#include "base/error.h"
#include "base/fields.h"
#include "base/nearest_name.h"
#include "base/yaml_fields.h"
#include "metrics/text_metrics.h"
#include "report/comparison_protocol.h"

namespace elastikv {
namespace {

constexpr const char* kExtension = ".yaml";

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

bool is_measure(const std::string& name, bool bench) {
  if (bench) {
    return name == kLatencyMeasure || name == kThroughputMeasure || name == kThroughputGainMeasure;
  }
  if (name == kPerplexityMeasure) return true;
  const auto is_one_of = [&](const std::vector<std::string>& known) {
    return std::find(known.begin(), known.end(), name) != known.end();
  };
  return is_one_of(text_metric_names()) || is_one_of(task_metric_names());
}

/// The bf16 number at or below a positive value.
float bf16_at_or_below(double value) {
  auto single = static_cast<float>(value);
  if (static_cast<double>(single) > value) single = std::nextafter(single, 0.0F);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(single) & 0xFFFF0000U);
}

/// The neighbour of a positive bf16 number, `steps` of 1 or -1 away.
float bf16_neighbour(float value, int steps) {
  constexpr uint32_t kStep = 0x10000U;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>(steps > 0 ? bits + kStep : bits - kStep);
}

double between(float a, float b) { return (static_cast<double>(a) + static_cast<double>(b)) / 2; }

/// A name that stands in tables and on the command line.
std::string name_of(const YamlFields& node) {
  std::string name = node.as_string();
  if (name.empty()) node.fail_here("is empty");
  if (name.find_first_of("|=\n\r") != std::string::npos) {
    node.fail_here(fmt::format("is '{}', needs to be free of |, = and line ends", name));
  }
  return name;
}

std::vector<std::string> read_names(const YamlFields& list) {
  std::vector<std::string> names;
  for (const YamlFields& node : list.items()) names.push_back(name_of(node));
  return names;
}

std::vector<PublishedName> read_labelled(const YamlFields& map) {
  std::vector<PublishedName> names;
  for (const std::string& key : map.keys()) {
    const YamlFields node = map.at(key);
    node.require_known_keys({"labels"});
    names.push_back({key, read_names(node.at("labels"))});
  }
  if (names.empty()) map.fail_here("is empty");
  return names;
}

std::vector<PublishedStrategy> read_strategies(const YamlFields& map) {
  std::vector<PublishedStrategy> strategies;
  for (const std::string& key : map.keys()) {
    const YamlFields node = map.at(key);
    node.require_known_keys({"released", "paper"});
    strategies.push_back({key, read_names(node.at("released")), read_names(node.at("paper"))});
  }
  if (strategies.empty()) map.fail_here("is empty");
  return strategies;
}

std::vector<std::pair<std::string, std::string>> read_protocol(const YamlFields& map, bool bench) {
  map.require_known_keys(protocol_keys(bench));
  std::vector<std::pair<std::string, std::string>> protocol;
  for (const std::string& key : map.keys()) protocol.emplace_back(key, map.string(key));
  return protocol;
}

/// Reads what follows a file's head: its numbers.
class ValueReader {
 public:
  ValueReader(PublishedTable& table, const YamlFields& root) : table_(table) {
    if (root.has("held_in")) read_held_in(root.at("held_in"));
    if (root.has("out_of")) read_out_of(root.at("out_of"));
  }

  void read_grid(const YamlFields& node) {
    node.require_known_keys(keys({"budgets", "rows"}));
    const PublishedValue place = read_place(node);
    const std::vector<YamlFields> budgets = node.at("budgets").items();
    const YamlFields rows = node.at("rows");
    for (const std::string& strategy : rows.keys()) {
      const YamlFields row = rows.at(strategy);
      const std::vector<YamlFields> texts = row.items();
      if (texts.size() != budgets.size()) {
        row.fail_here(fmt::format("has {} values for {} budgets", texts.size(), budgets.size()));
      }
      for (size_t i = 0; i < texts.size(); ++i) {
        PublishedValue value = place;
        value.strategy = checked_strategy(row, strategy);
        read_budget(budgets[i], value);
        add(std::move(value), texts[i]);
      }
    }
  }

  void read_value(const YamlFields& node, bool difference) {
    node.require_known_keys(difference ? keys({"budget", "strategy", "minus", "value"})
                                       : keys({"budget", "strategy", "value"}));
    PublishedValue value = read_place(node);
    value.strategy = checked_strategy(node.at("strategy"), node.string("strategy"));
    if (difference) value.minus = checked_strategy(node.at("minus"), node.string("minus"));
    read_budget(node.at("budget"), value);
    add(std::move(value), node.at("value"));
  }

 private:
  void read_held_in(const YamlFields& map) {
    for (const std::string& measure : map.keys()) {
      const YamlFields node = map.at(measure);
      check_measure(node, measure);
      if (node.as_string() != "bf16") {
        node.fail_here(fmt::format("is '{}', needs bf16", node.as_string()));
      }
      held_in_bf16_.push_back(measure);
    }
  }

  void read_out_of(const YamlFields& map) {
    if (table_.bench) map.fail_here("has no place in a table of speeds ('runs: bench')");
    for (const std::string& measure : map.keys()) {
      const YamlFields node = map.at(measure);
      check_measure(node, measure);
      if (measure == kPerplexityMeasure) node.fail_here("is of a perplexity, which is no share");
      const double most = node.as_number();
      if (!(most > 0) || std::isinf(most))
        node.fail_here(fmt::format("is {}, needs to be what a score of 1 is printed as", most));
      out_of_[measure] = most;
    }
  }

  std::vector<std::string> keys(std::vector<std::string> own) const {
    const std::vector<std::string> place =
        table_.bench ? std::vector<std::string>{"model", "batch", "lengths", "measure"}
                     : std::vector<std::string>{"model", "data", "measure"};
    own.insert(own.begin(), place.begin(), place.end());
    return own;
  }

  PublishedValue read_place(const YamlFields& node) const {
    PublishedValue value;
    value.model = introduced(node.at("model"), table_.models, "models");
    value.measure = node.string("measure");
    check_measure(node.at("measure"), value.measure);
    if (!table_.bench) {
      value.data = introduced(node.at("data"), table_.data, "data");
      return value;
    }
    value.batch = node.integer("batch");
    if (value.batch < 1) node.at("batch").fail_here("needs to be at least 1");
    const YamlFields lengths = node.at("lengths");
    const std::string text = lengths.as_string();
    const size_t plus = text.find('+');
    if (plus == std::string::npos || !parse_int(text.substr(0, plus), value.prompt_tokens) ||
        !parse_int(text.substr(plus + 1), value.new_tokens) || value.prompt_tokens < 1 ||
        value.new_tokens < 1) {
      lengths.fail_here(fmt::format("is '{}', needs PROMPT+NEW tokens as 1024+512", text));
    }
    return value;
  }

  void read_budget(const YamlFields& node, PublishedValue& value) const {
    const std::string text = node.as_string();
    if (!table_.bench && text.ends_with('t')) {
      int64_t tokens = 0;
      if (!parse_int(text.substr(0, text.size() - 1), tokens) || tokens < 1)
        node.fail_here(
            fmt::format("is '{}', needs a fraction, or entries per layer as 256t", text));
      value.budget = 0;
      value.budget_tokens = tokens;
      return;
    }
    value.budget = node.as_number();
    if (!(value.budget > 0 && value.budget <= 1))
      node.fail_here(fmt::format("is {}, needs to be above 0 and at most 1", value.budget));
  }

  static std::string introduced(const YamlFields& node, const std::vector<PublishedName>& names,
                                std::string_view key) {
    std::vector<std::string> known;
    known.reserve(names.size());
    for (const PublishedName& name : names) known.push_back(name.name);
    std::string name = node.as_string();
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      node.fail_here(fmt::format("is '{}', which '{}' does not introduce{}", name, key,
                                 suggestion(name, known)));
    }
    return name;
  }

  std::string checked_strategy(const YamlFields& node, const std::string& name) const {
    std::vector<std::string> known;
    for (const PublishedStrategy& strategy : table_.strategies) known.push_back(strategy.name);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      node.fail_here(fmt::format("speaks of '{}', which 'strategies' does not introduce{}", name,
                                 suggestion(name, known)));
    }
    return name;
  }

  void check_measure(const YamlFields& node, const std::string& measure) const {
    if (is_measure(measure, table_.bench)) return;
    if (table_.bench) {
      node.fail_here(
          fmt::format("speaks of the measure '{}'; latency, throughput or throughput-gain is "
                      "needed with 'runs: bench'",
                      measure));
    }
    node.fail_here(fmt::format(
        "speaks of the measure '{}'; ppl or the name of a text metric is needed with 'runs: sweep'",
        measure));
  }

  void add(PublishedValue value, const YamlFields& node) {
    value.text = node.as_string();
    const auto most = out_of_.find(value.measure);
    if (most != out_of_.end()) value.out_of = most->second;
    const bool held =
        std::find(held_in_bf16_.begin(), held_in_bf16_.end(), value.measure) != held_in_bf16_.end();
    // A difference of two numbers of a grid lies on none.
    const auto range = printed_range(value.text, held && value.minus.empty());
    if (range) {
      double number = 0;
      parse_double(value.text, number);
      value.value = number;
      value.range = *range;
    } else if (!(table_.bench && value.text == kOutOfMemoryText)) {
      if (held && printed_range(value.text, /*held_in_bf16=*/false)) {
        node.fail_here(fmt::format(
            "is {}, which no bf16 number prints as ('held_in' says that it was one)", value.text));
      }
      node.fail_here(fmt::format("is '{}', needs a number as it was printed{}", value.text,
                                 table_.bench ? ", or OOM" : ""));
    }
    for (const PublishedValue& other : table_.values) {
      if (other.model == value.model && other.data == value.data &&
          other.strategy == value.strategy && other.minus == value.minus &&
          other.budget == value.budget && other.budget_tokens == value.budget_tokens &&
          other.measure == value.measure && other.batch == value.batch &&
          other.prompt_tokens == value.prompt_tokens && other.new_tokens == value.new_tokens) {
        node.fail_here(fmt::format("gives the {} of '{}' at {} twice", value.measure,
                                   value.strategy, value.budget_text()));
      }
    }
    table_.values.push_back(std::move(value));
  }

  PublishedTable& table_;
  std::vector<std::string> held_in_bf16_;
  std::map<std::string, double> out_of_;  // by measure
};

PublishedTable read_table(const YamlFields& root, const std::string& id) {
  root.require_known_keys({"id", "title", "source", "runs", "protocol", "models", "data",
                           "strategies", "held_in", "out_of", "notes", "grids", "values",
                           "differences"});
  PublishedTable table;
  table.id = root.string("id");
  if (table.id != id) {
    root.at("id").fail_here(fmt::format("is '{}', needs to be the file's stem '{}'", table.id, id));
  }
  table.title = root.string("title");
  const YamlFields source = root.at("source");
  source.require_known_keys({"citation", "arxiv", "where"});
  table.citation = source.string("citation");
  table.arxiv = source.string("arxiv", "");
  table.where = source.string("where");
  const std::string runs = root.string("runs");
  if (runs != "sweep" && runs != "bench") {
    root.at("runs").fail_here(fmt::format("is '{}', needs sweep or bench", runs));
  }
  table.bench = runs == "bench";
  table.protocol = read_protocol(root.at("protocol"), table.bench);
  table.models = read_labelled(root.at("models"));
  if (!table.bench) {
    table.data = read_labelled(root.at("data"));
  } else if (root.has("data")) {
    root.at("data").fail_here("has no place in a table of speeds ('runs: bench')");
  }
  table.strategies = read_strategies(root.at("strategies"));
  if (root.has("notes")) {
    for (const YamlFields& note : root.at("notes").items()) table.notes.push_back(note.as_string());
  }
  ValueReader reader(table, root);
  if (root.has("grids")) {
    for (const YamlFields& node : root.at("grids").items()) reader.read_grid(node);
  }
  if (root.has("values")) {
    for (const YamlFields& node : root.at("values").items()) {
      reader.read_value(node, /*difference=*/false);
    }
  }
  if (root.has("differences")) {
    if (table.bench)
      root.at("differences").fail_here("has no place in a table of speeds ('runs: bench')");
    for (const YamlFields& node : root.at("differences").items()) {
      reader.read_value(node, /*difference=*/true);
    }
  }
  if (table.values.empty()) {
    root.fail_here("holds no numbers ('grids', 'values' or 'differences' is needed)");
  }
  return table;
}

/// The files of the tables that come with the program, sorted.
std::vector<std::filesystem::path> published_files() {
  const std::filesystem::path folder = published_folder();
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == kExtension) files.push_back(entry.path());
  }
  if (error) fail("{}: cannot list the published tables: {}", folder.string(), error.message());
  if (files.empty()) fail("{}: holds no published tables (*.yaml)", folder.string());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::string PublishedValue::budget_text() const {
  return budget_tokens ? fmt::format("{}t", *budget_tokens) : fmt::format("{}", budget);
}

std::string PublishedTable::protocol_of(std::string_view key) const {
  for (const auto& [name, text] : protocol) {
    if (name == key) return text;
  }
  return "";
}

const PublishedStrategy& PublishedTable::strategy(std::string_view name) const {
  const auto found = std::find_if(strategies.begin(), strategies.end(),
                                  [&](const PublishedStrategy& one) { return one.name == name; });
  ELASTIKV_ASSERT(found != strategies.end(), "{}: no strategy '{}'", id, name);
  return *found;
}

bool label_matches(std::string_view pattern, std::string_view label) {
  // Where to go on when a letter does not fit: the last star, and how much it has taken.
  size_t star = std::string_view::npos;
  size_t taken = 0;
  size_t p = 0;
  size_t l = 0;
  while (l < label.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = l;
    } else if (p < pattern.size() && (pattern[p] == '?' || lower(pattern[p]) == lower(label[l]))) {
      ++p;
      ++l;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      l = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool label_matches_any(const std::vector<std::string>& patterns, std::string_view label) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return label_matches(pattern, label); });
}

std::optional<Interval> printed_range(std::string_view text, bool held_in_bf16) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  const size_t point = digits.find('.');
  const bool plain =
      !digits.empty() && digits.front() != '.' && digits.back() != '.' &&
      digits.find_first_not_of("0123456789.") == std::string_view::npos &&
      digits.find('.', point == std::string_view::npos ? 0 : point + 1) == std::string_view::npos;
  double value = 0;
  if (!plain || !parse_double(text, value)) return std::nullopt;
  const auto decimals =
      point == std::string_view::npos ? 0.0 : static_cast<double>(digits.size() - point - 1);
  const double half = 0.5 * std::pow(10.0, -decimals);
  if (!held_in_bf16) return Interval{value - half, value + half};
  // A decimal's half unit is no binary number; bf16's steps are far coarser than this.
  const double slack = 1e-9 * std::abs(value);
  if (value <= half) return std::nullopt;
  float lowest = bf16_at_or_below(value - half - slack);
  if (static_cast<double>(lowest) < value - half - slack) lowest = bf16_neighbour(lowest, 1);
  const float highest = bf16_at_or_below(value + half + slack);
  if (lowest > highest) return std::nullopt;
  return Interval{between(bf16_neighbour(lowest, -1), lowest),
                  between(highest, bf16_neighbour(highest, 1))};
}

PublishedTable read_published(const std::filesystem::path& file) {
  return read_table(YamlFields::read(file), file.stem().string());
}

PublishedTable parse_published(std::string_view text, const std::string& origin,
                               const std::string& id) {
  return read_table(YamlFields::parse(text, origin), id);
}

std::filesystem::path published_folder() {
  const char* folder = std::getenv("ELASTIKV_PUBLISHED");
  return folder != nullptr && *folder != '\0' ? folder : ELASTIKV_SOURCE_PUBLISHED;
}

std::vector<PublishedTable> read_all_published() {
  std::vector<PublishedTable> tables;
  for (const std::filesystem::path& file : published_files()) {
    tables.push_back(read_published(file));
  }
  return tables;
}

PublishedTable find_published(const std::string& name) {
  if (name.find('/') != std::string::npos || name.ends_with(kExtension)) {
    return read_published(name);
  }
  std::vector<std::string> known;
  for (const std::filesystem::path& file : published_files()) {
    known.push_back(file.stem().string());
    if (known.back() == name) return read_published(file);
  }
  fail("no published table '{}'{}", name, suggestion(name, known));
}

}  // namespace elastikv
