#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "metrics/metric_set.h"
#include "sweep/folder.h"
#include "sweep/record_files.h"
#include "sweep/records.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

bool is_finite(const SampleDetail& detail) {
  for (const std::vector<float>& layer : detail.importance) {
    if (!std::all_of(layer.begin(), layer.end(), [](float value) { return std::isfinite(value); }))
      return false;
  }
  return true;
}

/// The settings of a header. Error when they are not a sweep's.
Json config_of(const SweepHeader& header, const std::filesystem::path& folder) {
  Json config = Json::parse(header.config);
  const auto is_list = [&](const char* key) {
    return config.is_object() && config.contains(key) && config[key].is_array();
  };
  if (!is_list("models") || !is_list("data") || !config.contains("metrics") ||
      !config["metrics"].is_object())
    fail("{}: damaged: its 'config' is no sweep", (folder / kHeaderFile).string());
  return config;
}

void add_sample(SampleEntry entry, StoredSweep& sweep) {
  auto& samples = entry.model.empty() ? sweep.samples[entry.data]
                                      : sweep.model_samples[{entry.model, entry.data}];
  samples.push_back(std::move(entry.sample));
}

/// Details of samples that are used and can be drawn, in the order of models, data sets and
/// samples: a sweep that was resumed may have made some of them later, and may use fewer samples
/// than before.
void sort_details(const std::filesystem::path& folder, StoredSweep& sweep) {
  const Json config = config_of(sweep.header, folder);
  std::map<std::array<std::string, 3>, size_t> order;
  try {
    for (const Json& model : config.at("models")) {
      const std::string name =
          model.at("label").get<std::string>() + "-" + model.at("dtype").get<std::string>();
      for (const Json& data : config.at("data")) {
        const auto set = data.at("name").get<std::string>();
        const auto known = sweep.header.data.find(set);
        if (known == sweep.header.data.end()) continue;
        for (const std::string& sample : known->second.samples)
          order.try_emplace({name, set, sample}, order.size());
      }
    }
  } catch (const Json::exception& error) {
    fail("{}: damaged: {}", (folder / kHeaderFile).string(), error.what());
  }
  const auto place = [&](const StoredDetail& detail) {
    return order.find({detail.model, detail.data, detail.sample});
  };
  std::erase_if(sweep.details, [&](const StoredDetail& stored) {
    return place(stored) == order.end() || !is_finite(stored.detail);
  });
  std::stable_sort(sweep.details.begin(), sweep.details.end(), [&](const auto& a, const auto& b) {
    return place(a)->second < place(b)->second;
  });
}

/// What the records of a sweep keep for its metrics.
Scorers scorers_of(const SweepHeader& header, const std::filesystem::path& folder) {
  const std::string file = (folder / kHeaderFile).string();
  MetricChoice choice;
  try {
    const Json metrics = config_of(header, folder).at("metrics");
    metrics.at("text").get_to(choice.text);
    choice.agreement = metrics.value("agreement", choice.agreement);
  } catch (const Json::exception& error) {
    fail("{}: damaged: {}", file, error.what());
  }
  try {
    return MetricSet(choice).scorers();
  } catch (const Error& error) {
    fail("{}: damaged: {}", file, error.what());
  }
}

}  // namespace

StoredSample stored_sample(const Sample& sample) {
  StoredSample stored{.id = sample.id,
                      .question = sample.question,
                      .answer = sample.answer,
                      .references = sample.references,
                      .categories = sample.categories,
                      .images = {},
                      .cluster = sample.cluster,
                      .group = sample.group,
                      .problem = sample.problem,
                      .votes = sample.votes,
                      .options = sample.options,
                      .turn = sample.turn};
  for (const ImageFile& image : sample.images) stored.images.push_back(image.path.string());
  return stored;
}

size_t RecordTable::Names::add(const std::string& name) {
  return numbers_.try_emplace(name, numbers_.size()).first->second;
}

std::optional<size_t> RecordTable::Names::find(std::string_view name) const {
  const auto found = numbers_.find(name);
  if (found == numbers_.end()) return std::nullopt;
  return found->second;
}

void RecordTable::add(Record record) {
  const size_t cell = cells_.add(record.cell);
  const size_t sample = samples_.add(record.sample);
  if (cell >= places_.size()) places_.resize(cell + 1);
  std::vector<uint32_t>& places = places_[cell];
  if (sample >= places.size()) places.resize(sample + 1);
  if (places[sample] != 0) {
    records_[places[sample] - 1] = std::move(record);
    return;
  }
  ELASTIKV_ASSERT(records_.size() < std::numeric_limits<uint32_t>::max(), "too many records");
  records_.push_back(std::move(record));
  places[sample] = static_cast<uint32_t>(records_.size());
}

const Record* RecordTable::find(std::string_view cell, std::string_view sample) const {
  const std::optional<size_t> row = cells_.find(cell);
  const std::optional<size_t> column = samples_.find(sample);
  if (!row || !column || *column >= places_[*row].size()) return nullptr;
  const uint32_t place = places_[*row][*column];
  return place == 0 ? nullptr : &records_[place - 1];
}

SweepHeader read_stored_header(const std::filesystem::path& folder) {
  if (!path_exists(folder / kHeaderFile)) {
    fail("{}: holds no sweep (no {})", folder.string(), kHeaderFile);
  }
  // A sweep makes this file first. Where it was not kept, tables made anew would be empty, and
  // replace the good ones.
  if (record_files(folder, kRecordsStem).empty()) {
    fail("{}: holds no records (no {}); run the sweep again to get them", folder.string(),
         kRecordsFile);
  }
  return read_header(folder);
}

StoredSweep read_stored_sweep(const std::filesystem::path& folder) {
  return read_stored_sweep({&folder, 1}, read_stored_header(folder));
}

StoredSweep read_stored_sweep(std::span<const std::filesystem::path> folders, SweepHeader header) {
  StoredSweep sweep;
  sweep.header = std::move(header);
  sweep.records = read_folder_records(folders, scorers_of(sweep.header, folders.front())).table;
  if (const std::filesystem::path file = folders.front() / kSamplesFile; path_exists(file)) {
    read_lines(file, [&](std::string_view line, const std::string& place) {
      add_sample(parse_sample_line(line, place), sweep);
    });
  }
  std::map<std::array<std::string, 3>, StoredDetail> last;  // a sample may be looked at again
  for (const std::filesystem::path& folder : folders) {
    for (const RecordFile& file : record_files(folder, kDetailsStem)) {
      read_lines(file.path, [&](std::string_view line, const std::string& place) {
        StoredDetail detail = parse_detail_line(line, place);
        std::array<std::string, 3> key{detail.model, detail.data, detail.sample};
        last.insert_or_assign(std::move(key), std::move(detail));
      });
    }
  }
  if (!last.empty()) {
    for (auto& [key, detail] : last) sweep.details.push_back(std::move(detail));
    sort_details(folders.front(), sweep);
  }
  return sweep;
}

const std::vector<StoredSample>* StoredSweep::samples_of(const std::string& model,
                                                         const std::string& data) const {
  const auto own = model_samples.find({model, data});
  if (own != model_samples.end()) return &own->second;
  const auto common = samples.find(data);
  return common == samples.end() ? nullptr : &common->second;
}

}  // namespace elastikv
