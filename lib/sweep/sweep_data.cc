#include "sweep/sweep_data.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/nearest_name.h"

namespace elastikv {
namespace {

/// Leaves out what exclusions say of data sets that are gone.
void drop_exclusions(SweepConfig& config) {
  std::erase_if(config.exclude, [&](Exclusion& exclusion) {
    if (exclusion.data.empty()) return false;
    std::erase_if(exclusion.data, [&](const std::string& pattern) {
      return std::none_of(config.data.begin(), config.data.end(), [&](const DataOptions& data) {
        return matches_pattern(pattern, data.name);
      });
    });
    return exclusion.data.empty();
  });
}

/// The whole file, without what chooses among its samples.
DataOptions whole_set(DataOptions options) {
  options.limit.reset();
  options.offset = 0;
  options.sample_ids.clear();
  return options;
}

/// The entries of a comma list, in which "\\," is a comma of an entry and "\\\\" a backslash; any
/// other backslash stands for itself.
std::vector<std::string> split_ids(const std::string& text) {
  std::vector<std::string> ids(1);
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escapes =
        text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == ',' || text[i + 1] == '\\');
    if (escapes) {
      ids.back() += text[++i];
    } else if (text[i] == ',') {
      ids.emplace_back();
    } else {
      ids.back() += text[i];
    }
  }
  return ids;
}

/// The ids that the words name: each word whole where a sample is called so, else as a comma list.
std::set<std::string> ids_of(const std::vector<std::string>& words,
                             const std::vector<std::string>& known) {
  const std::set<std::string> all(known.begin(), known.end());
  std::set<std::string> ids;
  for (const std::string& word : words) {
    if (all.contains(word)) {
      ids.insert(word);
      continue;
    }
    for (const std::string& id : split_ids(word)) {
      if (id.empty()) fail("--sample-id {}: the list has an empty entry", word);
      ids.insert(id);
      if (all.contains(id)) continue;
      const std::string near = nearest_name(id, known);
      fail("--sample-id {}: no data set of the sweep has that sample{}", id,
           near.empty() ? fmt::format(" among its {}", known.size())
                        : fmt::format("; did you mean '{}'?", near));
    }
  }
  return ids;
}

}  // namespace

SweepData::SweepData(std::span<const CellGroup> groups, const Engines& engines) {
  std::map<std::string, const ModelChoice*> first;  // by data set
  for (const CellGroup& group : groups) {
    const DataSet& set = read(group.data, group.model, engines);
    const auto [entry, is_new] = by_name_.try_emplace(group.data.name, &set);
    const ModelChoice& model = *first.try_emplace(group.data.name, &group.model).first->second;
    const DataSet& common = *entry->second;
    if (set.samples.size() == common.samples.size()) continue;
    fail(
        "{}: {} cuts it into {} windows, {} into {}; with 'limit: {}' both have as many, to be "
        "compared",
        group.data.path.string(), model.path.string(), common.samples.size(),
        group.model.path.string(), set.samples.size(),
        std::min(common.samples.size(), set.samples.size()));
  }
}

const DataSet& SweepData::of(const CellGroup& group) const {
  return sets_.at({group.data.name, group.data.tokens ? group.model.path.string() : ""});
}

const DataSet& SweepData::read(const DataOptions& options, const ModelChoice& model,
                               const Engines& engines) {
  const auto [entry, is_new] =
      sets_.try_emplace({options.name, options.tokens ? model.path.string() : ""});
  if (is_new) {
    const std::unique_ptr<Tokenizer> tokenizer =
        options.tokens ? engines.tokenizer(model) : nullptr;
    entry->second = read_data(
        options, [&](const std::filesystem::path& file) { engines.check_image(file); },
        tokenizer.get());
  }
  return entry->second;
}

std::vector<std::string> SweepData::notes() const {
  std::vector<std::string> notes;
  for (const auto& [name, set] : by_name_) {
    for (const std::string& note : set->notes) notes.push_back(fmt::format("{}: {}", name, note));
  }
  return notes;
}

SampleChoice choose_samples(const SweepConfig& config, const std::vector<std::string>& words,
                            const Engines& engines) {
  std::vector<DataSet> sets;  // by data set, whole
  std::vector<std::string> known;
  for (const DataOptions& options : config.data) {
    DataOptions all = whole_set(options);
    all.on_problem = OnProblem::kRecord;  // of samples that may not be chosen
    const std::unique_ptr<Tokenizer> tokenizer =
        options.tokens ? engines.tokenizer(config.models.front()) : nullptr;
    sets.push_back(read_data(all, /*check_image=*/{}, tokenizer.get()));
    for (const Sample& sample : sets.back().samples) known.push_back(sample.id);
  }
  const std::set<std::string> ids = ids_of(words, known);

  SampleChoice choice{config, {}, {}};
  choice.config.data.clear();
  for (size_t i = 0; i < sets.size(); ++i) {
    DataOptions chosen = whole_set(config.data[i]);
    for (const Sample& sample : sets[i].samples) {
      if (ids.contains(sample.id)) chosen.sample_ids.push_back(sample.id);
    }
    if (chosen.sample_ids.empty()) {
      choice.left_out.push_back(chosen.name);
      continue;
    }
    choice.whole.emplace(chosen.name, std::move(sets[i]));
    choice.config.data.push_back(std::move(chosen));
  }
  drop_exclusions(choice.config);
  if (plan_cells(choice.config).empty())
    fail("--sample-id {}: every cell of its data set is excluded", fmt::join(words, ","));
  return choice;
}

std::map<std::string, DataSet> widen(const SampleChoice& choice, const SweepHeader& stored,
                                     const SweepData& data) {
  std::map<std::string, DataSet> widened;
  for (const auto& [name, chosen] : data.by_name()) {
    std::set<std::string> ids;
    for (const Sample& sample : chosen->samples) ids.insert(sample.id);
    const auto known = stored.data.find(name);
    if (known != stored.data.end())
      ids.insert(known->second.samples.begin(), known->second.samples.end());
    DataSet& set = widened[name];
    set.name = name;
    set.format = chosen->format;
    set.in_windows = chosen->in_windows;
    for (const Sample& sample : choice.whole.at(name).samples) {
      if (ids.contains(sample.id)) set.samples.push_back(sample);
    }
    std::string all;  // as read_data has it
    for (const Sample& sample : set.samples)
      all += fmt::format("{}:{}{}", sample.id.size(), sample.id, sample.content);
    set.content = content_hash(all);
  }
  return widened;
}

}  // namespace elastikv
