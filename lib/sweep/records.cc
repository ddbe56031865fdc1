#include "sweep/records.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fields.h"
#include "base/files.h"
#include "base/json_fields.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kRecordsFile = "records.jsonl";
constexpr const char* kHeaderFile = "sweep.json";
constexpr const char* kSamplesFile = "samples.jsonl";
constexpr const char* kDetailsFile = "details.jsonl";
constexpr const char* kHeaderFormat = "elastikv-sweep-2";

/// A float as the shortest decimal that reads back as the same float.
double shortest(float value) {
  double result = value;
  if (std::isfinite(value)) parse_double(fmt::format("{}", value), result);
  return result;
}

std::string_view failure_name(Failure failure) {
  switch (failure) {
    case Failure::kCell:
      return "failed";
    case Failure::kOutOfMemory:
      return "oom";
    case Failure::kSample:
      return "sample";
  }
  throw InternalError("a failure without a name");
}

Failure parse_failure(std::string_view name, const std::string& place) {
  for (const Failure failure : {Failure::kCell, Failure::kOutOfMemory, Failure::kSample}) {
    if (name == failure_name(failure)) return failure;
  }
  fail("{}: damaged record: unknown status '{}'; remove the line and use --resume", place, name);
}

Json shared_seconds(const SharedSeconds& seconds) {
  return {{"image", seconds.image},
          {"prefill", seconds.prefill},
          {"statistics", seconds.statistics},
          {"scoring", seconds.scoring},
          {"generation", seconds.generation}};
}

Json agreement_json(const Agreement& agreement) {
  return {{"first_divergence", agreement.first_divergence},
          {"match_rate", agreement.match_rate},
          {"identical", agreement.identical},
          {"matching_tokens", agreement.matching_tokens},
          {"reference_tokens", agreement.reference_tokens},
          {"candidate_tokens", agreement.candidate_tokens}};
}

Agreement parse_agreement(const Json& json) {
  Agreement agreement;
  agreement.first_divergence = json.at("first_divergence").get<int64_t>();
  agreement.match_rate = json.at("match_rate").get<double>();
  agreement.identical = json.at("identical").get<bool>();
  agreement.matching_tokens = json.at("matching_tokens").get<int64_t>();
  agreement.reference_tokens = json.at("reference_tokens").get<int64_t>();
  agreement.candidate_tokens = json.at("candidate_tokens").get<int64_t>();
  return agreement;
}

void parse_outcome(const Json& json, const std::vector<std::string>& text_metrics, Record& record) {
  CellOutcome& outcome = record.outcome;
  outcome.nll_sum = json.at("nll_sum").get<double>();
  outcome.scored_tokens = json.at("scored_tokens").get<int64_t>();
  for (const Json& value : json.at("nll")) outcome.nll.push_back(value.get<float>());
  outcome.text = json.at("text").get<std::string>();
  outcome.token_ids = json.at("token_ids").get<std::vector<int64_t>>();
  outcome.finished = json.at("finished").get<bool>();
  if (json.contains("mean_kl")) outcome.mean_kl = json["mean_kl"].get<double>();
  outcome.requested_tokens = json.at("requested_tokens").get<int64_t>();
  outcome.kept_tokens = json.at("kept_tokens").get<std::vector<std::vector<int64_t>>>();
  outcome.entry_bytes = json.at("entry_bytes").get<int64_t>();
  outcome.cache_bytes_prefill = json.at("cache_bytes_prefill").get<int64_t>();
  outcome.cache_bytes_end = json.at("cache_bytes_end").get<int64_t>();
  const Json& seconds = json.at("seconds");
  outcome.seconds.compression = seconds.at("compression").get<double>();
  if (json.contains("agreement")) record.agreement = parse_agreement(json["agreement"]);
  if (json.contains("scores")) {
    for (const std::string& name : text_metrics) {
      const Json& score = json["scores"].at(name);
      record.text_scores.push_back({score.at("precision").get<double>(),
                                    score.at("recall").get<double>(), score.at("f").get<double>(),
                                    score.at("defined").get<bool>()});
    }
  }
}

Json engine_json(const EngineIdentity& engine) {
  return {{"weights", engine.weights},
          {"tokenizer", engine.tokenizer},
          {"image_processing", engine.image_processing},
          {"prompt_format", engine.prompt_format}};
}

std::string header_text(const SweepHeader& header) {
  Json engines = Json::object();
  for (const auto& [name, engine] : header.engines) engines[name] = engine_json(engine);
  Json data = Json::object();
  for (const auto& [name, set] : header.data) {
    data[name] = {{"format", set.format}, {"content", set.content}, {"samples", set.samples}};
  }
  const Json json{{"format", kHeaderFormat},
                  {"name", header.name},
                  {"program", header.program},
                  {"records_hash", header.records_hash},
                  {"config", Json::parse(header.config)},
                  {"data", std::move(data)},
                  {"engines", std::move(engines)},
                  {"provenance", header.provenance}};
  return json.dump(/*indent=*/1) + "\n";
}

SweepHeader read_header(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  const Json json = Json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object() ||
      json.value("format", std::string()) != kHeaderFormat) {
    fail("{}: is not the description of a sweep's records that this version reads", file.string());
  }
  try {
    SweepHeader header;
    header.name = json.at("name").get<std::string>();
    header.program = json.at("program").get<std::string>();
    header.records_hash = json.at("records_hash").get<std::string>();
    header.config = json.at("config").dump();
    for (const auto& [name, set] : json.at("data").items()) {
      header.data[name] = {set.at("format").get<std::string>(),
                           set.at("content").get<std::string>(),
                           set.at("samples").get<std::vector<std::string>>()};
    }
    for (const auto& [name, engine] : json.at("engines").items()) {
      header.engines[name] = {engine.at("weights").get<std::string>(),
                              engine.at("tokenizer").get<std::string>(),
                              engine.at("image_processing").get<std::string>(),
                              engine.at("prompt_format").get<std::string>()};
    }
    for (const auto& [key, value] : json.at("provenance").items()) {
      header.provenance[key] = value.get<std::string>();
    }
    return header;
  } catch (const Json::exception& error) {
    fail("{}: damaged: {}", file.string(), error.what());
  }
}

std::vector<std::string> text_metrics_of(const SweepHeader& header) {
  return Json::parse(header.config).at("metrics").at("text").get<std::vector<std::string>>();
}

/// Calls `use` with every complete line and its place ("FILE:LINE"); returns their length in bytes.
template <typename Use>
size_t read_lines(const std::filesystem::path& file, Use use) {
  const MappedFile mapped(file);
  const std::string_view text = mapped.view();
  size_t start = 0;
  int64_t line = 0;
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', start)) {
    ++line;
    use(text.substr(start, end - start), fmt::format("{}:{}", file.string(), line));
    start = end + 1;
  }
  return start;
}

/// Reads all complete lines; returns their length in bytes.
size_t read_records(const std::filesystem::path& file, const std::vector<std::string>& text_metrics,
                    RecordTable& table) {
  return read_lines(file, [&](std::string_view line, const std::string& place) {
    table.add(parse_record(line, text_metrics, place));
  });
}

/// A line that must be JSON; `read` takes it apart.
template <typename Read>
void read_json_line(std::string_view line, const std::string& place, Read read) {
  const Json json = Json::parse(line, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) fail("{}: damaged: not valid JSON", place);
  try {
    read(json);
  } catch (const Json::exception& error) {
    fail("{}: damaged: {}", place, error.what());
  }
}

void read_samples(const std::filesystem::path& file, StoredSweep& sweep) {
  read_lines(file, [&](std::string_view line, const std::string& place) {
    read_json_line(line, place, [&](const Json& json) {
      StoredSample sample;
      json.at("id").get_to(sample.id);
      json.at("question").get_to(sample.question);
      json.at("answer").get_to(sample.answer);
      if (json.contains("references")) json["references"].get_to(sample.references);
      if (json.contains("categories")) json["categories"].get_to(sample.categories);
      json.at("images").get_to(sample.images);
      if (json.contains("cluster")) json["cluster"].get_to(sample.cluster);
      if (json.contains("problem")) json["problem"].get_to(sample.problem);
      const auto data = json.at("data").get<std::string>();
      auto& samples = json.contains("model")
                          ? sweep.model_samples[{json["model"].get<std::string>(), data}]
                          : sweep.samples[data];
      samples.push_back(std::move(sample));
    });
  });
}

/// Reads all complete lines; returns their length in bytes.
size_t read_details(const std::filesystem::path& file, std::vector<StoredDetail>& details) {
  return read_lines(file, [&](std::string_view line, const std::string& place) {
    read_json_line(line, place, [&](const Json& json) {
      StoredDetail stored;
      json.at("model").get_to(stored.model);
      json.at("data").get_to(stored.data);
      json.at("sample").get_to(stored.sample);
      json.at("cells").get_to(stored.cells);
      SampleDetail& detail = stored.detail;
      json.at("prompt_tokens").get_to(detail.prompt_tokens);
      detail.image_begin = json.at("image").at(0).get<int64_t>();
      detail.image_end = json.at("image").at(1).get<int64_t>();
      detail.grid_rows = json.at("grid").at(0).get<int64_t>();
      detail.grid_columns = json.at("grid").at(1).get<int64_t>();
      json.at("thumbnail").get_to(detail.thumbnail);
      json.at("importance").get_to(detail.importance);
      json.at("kept").get_to(detail.kept);
      if (detail.kept.size() != stored.cells.size()) {
        fail("{}: damaged: {} kept sets of {} cells", place, detail.kept.size(),
             stored.cells.size());
      }
      // A sample that was evaluated again replaces what was known of it.
      std::erase_if(details, [&](const StoredDetail& other) {
        return other.model == stored.model && other.data == stored.data &&
               other.sample == stored.sample;
      });
      details.push_back(std::move(stored));
    });
  });
}

/// Details of samples that are used, in the order of models, data sets and samples: a sweep that
/// was resumed may have made some of them later, and may use fewer samples than before.
void sort_details(StoredSweep& sweep) {
  const Json config = Json::parse(sweep.header.config);
  std::map<std::array<std::string, 3>, size_t> order;
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
  const auto place = [&](const StoredDetail& detail) {
    return order.find({detail.model, detail.data, detail.sample});
  };
  std::erase_if(sweep.details, [&](const auto& detail) { return place(detail) == order.end(); });
  std::stable_sort(sweep.details.begin(), sweep.details.end(), [&](const auto& a, const auto& b) {
    return place(a)->second < place(b)->second;
  });
}

/// Appends to a file and returns when the bytes are on the disk.
void append_to(int descriptor, std::string_view bytes, const std::filesystem::path& file) {
  size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t got = write(descriptor, bytes.data() + written, bytes.size() - written);
    if (got < 0) {
      if (errno == EINTR) continue;
      fail("{}: cannot write: {}", file.string(), std::strerror(errno));
    }
    written += static_cast<size_t>(got);
  }
  if (fsync(descriptor) != 0) fail("{}: cannot write: {}", file.string(), std::strerror(errno));
}

/// The top-level keys in which two configurations differ in a way that changes records.
std::string differing_keys(const std::string& ours, const std::string& theirs) {
  const auto relevant = [](const std::string& text, const char* key) {
    Json json = Json::parse(text);
    if (!json.contains(key)) return Json();
    Json value = json[key];
    if (std::string_view(key) == "data") {
      for (Json& set : value) {
        for (const char* selection : {"limit", "offset", "sample_ids"}) set.erase(selection);
      }
    }
    return value;
  };
  std::string keys;
  for (const char* key :
       {"models", "data", "strategies", "budgets", "matrix", "metrics", "generation", "seed"}) {
    if (relevant(ours, key) != relevant(theirs, key)) {
      keys += (keys.empty() ? "" : ", ") + std::string(key);
    }
  }
  return keys;
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
                      .problem = sample.problem};
  for (const PictureFile& image : sample.images) stored.images.push_back(image.path.string());
  return stored;
}

std::string sample_line(const std::string& data, const StoredSample& sample,
                        const std::string& model) {
  Json json = Json::object();
  if (!model.empty()) json["model"] = model;
  json["data"] = data;
  json["id"] = sample.id;
  json["question"] = sample.question;
  json["answer"] = sample.answer;
  if (!sample.references.empty()) json["references"] = sample.references;
  if (!sample.categories.empty()) json["categories"] = sample.categories;
  json["images"] = sample.images;
  if (!sample.cluster.empty()) json["cluster"] = sample.cluster;
  if (!sample.problem.empty()) json["problem"] = sample.problem;
  return json.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace);
}

std::string detail_line(const StoredDetail& stored) {
  constexpr int kDigits = 4;  // enough for a picture
  const SampleDetail& detail = stored.detail;
  Json importance = Json::array();
  for (const std::vector<float>& layer : detail.importance) {
    Json row = Json::array();
    for (const float value : layer) {
      double rounded = 0;
      parse_double(fmt::format("{:.{}g}", value, kDigits), rounded);
      row.push_back(rounded);
    }
    importance.push_back(std::move(row));
  }
  return Json{{"model", stored.model},
              {"data", stored.data},
              {"sample", stored.sample},
              {"cells", stored.cells},
              {"prompt_tokens", detail.prompt_tokens},
              {"image", {detail.image_begin, detail.image_end}},
              {"grid", {detail.grid_rows, detail.grid_columns}},
              {"thumbnail", detail.thumbnail},
              {"importance", std::move(importance)},
              {"kept", detail.kept}}
      .dump();
}

std::string record_line(const Record& record, const std::vector<std::string>& text_metrics) {
  const CellOutcome& outcome = record.outcome;
  Json json{{"cell", record.cell},
            {"sample", record.sample},
            {"status", record.failed() ? failure_name(record.outcome.failure) : "ok"},
            {"key", record.key},
            {"item", record.item},
            {"hidden", record.hidden},
            {"prompt_tokens", record.prompt_tokens},
            {"image_tokens", record.image_tokens},
            {"shared_seconds", shared_seconds(record.shared)}};
  if (record.failed()) {
    json["error"] = outcome.error;
  } else {
    Json nll = Json::array();
    for (const float value : outcome.nll) nll.push_back(shortest(value));
    json["nll_sum"] = outcome.nll_sum;
    json["scored_tokens"] = outcome.scored_tokens;
    json["nll"] = std::move(nll);
    json["text"] = outcome.text;
    json["token_ids"] = outcome.token_ids;
    json["finished"] = outcome.finished;
    if (!record.text_scores.empty()) {
      ELASTIKV_ASSERT(record.text_scores.size() == text_metrics.size(), "{} scores of {} metrics",
                      record.text_scores.size(), text_metrics.size());
      Json scores = Json::object();
      for (size_t i = 0; i < text_metrics.size(); ++i) {
        const TextScore& score = record.text_scores[i];
        scores[text_metrics[i]] = {{"precision", score.precision},
                                   {"recall", score.recall},
                                   {"f", score.f},
                                   {"defined", score.defined}};
      }
      json["scores"] = std::move(scores);
    }
    if (record.agreement) json["agreement"] = agreement_json(*record.agreement);
    if (outcome.mean_kl) json["mean_kl"] = *outcome.mean_kl;
    json["requested_tokens"] = outcome.requested_tokens;
    json["kept_tokens"] = outcome.kept_tokens;
    json["entry_bytes"] = outcome.entry_bytes;
    json["cache_bytes_prefill"] = outcome.cache_bytes_prefill;
    json["cache_bytes_end"] = outcome.cache_bytes_end;
    json["seconds"] = {{"compression", outcome.seconds.compression}};
  }
  // A generated text may end inside a character; what is stored must still be JSON.
  return json.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace);
}

Record parse_record(std::string_view line, const std::vector<std::string>& text_metrics,
                    const std::string& place) {
  const Json json = Json::parse(line, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    fail("{}: damaged record: not valid JSON; remove the line and use --resume", place);
  }
  try {
    Record record;
    record.cell = json.at("cell").get<std::string>();
    record.sample = json.at("sample").get<std::string>();
    record.key = json.at("key").get<std::string>();
    record.item = json.at("item").get<std::string>();
    record.hidden = json.at("hidden").get<bool>();
    record.prompt_tokens = json.at("prompt_tokens").get<int64_t>();
    record.image_tokens = json.at("image_tokens").get<int64_t>();
    const Json& shared = json.at("shared_seconds");
    record.shared = {shared.at("image").get<double>(), shared.at("prefill").get<double>(),
                     shared.at("statistics").get<double>(), shared.at("scoring").get<double>(),
                     shared.at("generation").get<double>()};
    const auto status = json.at("status").get<std::string>();
    if (status != "ok") {
      record.outcome.error = json.at("error").get<std::string>();
      record.outcome.failure = parse_failure(status, place);
    } else {
      parse_outcome(json, text_metrics, record);
    }
    return record;
  } catch (const Json::exception& error) {
    fail("{}: damaged record: {}; remove the line and use --resume", place, error.what());
  }
}

void RecordTable::add(Record record) {
  auto key = std::make_pair(record.cell, record.sample);
  records_.insert_or_assign(std::move(key), std::move(record));
}

const Record* RecordTable::find(std::string_view cell, std::string_view sample) const {
  const auto found = records_.find(std::make_pair(std::string(cell), std::string(sample)));
  return found == records_.end() ? nullptr : &found->second;
}

StoredSweep read_stored_sweep(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / kHeaderFile)) {
    fail("{}: holds no sweep (no {})", folder.string(), kHeaderFile);
  }
  // A sweep makes this file first. Where it was not kept, tables made anew would be empty, and
  // replace the good ones.
  if (!std::filesystem::exists(folder / kRecordsFile)) {
    fail("{}: holds no records (no {}); run the sweep again to get them", folder.string(),
         kRecordsFile);
  }
  StoredSweep sweep;
  sweep.header = read_header(folder / kHeaderFile);
  read_records(folder / kRecordsFile, text_metrics_of(sweep.header), sweep.records);
  if (std::filesystem::exists(folder / kSamplesFile)) read_samples(folder / kSamplesFile, sweep);
  if (std::filesystem::exists(folder / kDetailsFile)) {
    read_details(folder / kDetailsFile, sweep.details);
    sort_details(sweep);
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

RecordWriter::RecordWriter(const std::filesystem::path& folder, SweepHeader header,
                           const std::vector<std::string>& text_metrics, bool resume)
    : folder_(folder), header_(std::move(header)), text_metrics_(text_metrics) {
  std::error_code error;
  const bool exists = std::filesystem::exists(folder, error);
  if (exists && !std::filesystem::is_directory(folder)) {
    fail("{}: cannot be made as the output folder: a file of that name exists", folder.string());
  }
  std::filesystem::create_directories(folder, error);
  if (error) {
    fail("{}: cannot be made as the output folder: {}", folder.string(), error.message());
  }
  const std::filesystem::path file = folder / kRecordsFile;
  descriptor_ = open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("{}: cannot open: {}", file.string(), std::strerror(errno));
  try {
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      fail("{}: another process is writing a sweep there", folder.string());
    }
    const auto bytes = std::filesystem::file_size(file);
    const bool has_header = std::filesystem::exists(folder / kHeaderFile);
    if (bytes > 0 && !has_header) {
      fail("{}: holds records of an unknown sweep (no {}); use another --output", folder.string(),
           kHeaderFile);
    }
    if (bytes > 0) {
      SweepHeader stored = read_header(folder / kHeaderFile);
      if (stored.name != header_.name) {
        fail(
            "{}: holds the records of another sweep, '{}' (this one is '{}'); use another --output",
            folder.string(), stored.name, header_.name);
      }
      if (stored.records_hash != header_.records_hash) {
        const std::string keys = differing_keys(header_.config, stored.config);
        fail("{}: holds the records of sweep '{}' with other settings ({}); use another --output",
             folder.string(), stored.name, keys);
      }
      if (stored.program != header_.program) {
        fail("{}: holds records of ElastiKV {}, this is {}; use another --output", folder.string(),
             stored.program, header_.program);
      }
      if (!resume) {
        fail("{}: holds records of this sweep; use --resume to continue it, or another --output",
             folder.string());
      }
      const size_t complete = read_records(file, text_metrics_, stored_);
      if (complete < bytes && ftruncate(descriptor_, static_cast<off_t>(complete)) != 0) {
        fail("{}: cannot cut off a torn line: {}", file.string(), std::strerror(errno));
      }
      header_.engines = std::move(stored.engines);
    }
    open_details(/*has_records=*/bytes > 0);
    write_header();
  } catch (...) {
    close(descriptor_);
    throw;
  }
}

RecordWriter::~RecordWriter() { close(descriptor_); }

void RecordWriter::note_engine(const std::string& model_name, const EngineIdentity& identity) {
  const auto known = header_.engines.find(model_name);
  bool has_records = false;
  for (const auto& [place, record] : stored_) {
    has_records = has_records || record.cell.starts_with(model_name + "/");
  }
  if (known != header_.engines.end() && has_records) {
    const EngineIdentity& before = known->second;
    const char* what = before.weights != identity.weights                     ? "weights"
                       : before.tokenizer != identity.tokenizer               ? "tokenizer"
                       : before.image_processing != identity.image_processing ? "image processing"
                       : before.prompt_format != identity.prompt_format       ? "prompt format"
                                                                              : nullptr;
    if (what != nullptr) {
      fail("{}: its records of model '{}' were made with another {}; use another --output",
           folder_.string(), model_name, what);
    }
  }
  header_.engines[model_name] = identity;
  write_header();
}

void RecordWriter::append(std::span<const Record> records) {
  std::string lines;
  for (const Record& record : records) lines += record_line(record, text_metrics_) + "\n";
  append_to(descriptor_, lines, folder_ / kRecordsFile);
}

void RecordWriter::write_samples(std::string_view lines) const {
  write_file_atomically(folder_ / kSamplesFile, lines);
}

void RecordWriter::open_details(bool has_records) {
  const std::filesystem::path file = folder_ / kDetailsFile;
  if (!std::filesystem::exists(file)) return;
  size_t complete = 0;
  if (has_records) {
    std::vector<StoredDetail> details;
    complete = read_details(file, details);
    for (const StoredDetail& detail : details)
      details_.insert({detail.model, detail.data, detail.sample});
  }
  if (complete < std::filesystem::file_size(file) && truncate(file.c_str(), off_t(complete)) != 0) {
    fail("{}: cannot cut off a torn line: {}", file.string(), std::strerror(errno));
  }
}

bool RecordWriter::has_detail(const std::string& model, const std::string& data,
                              const std::string& sample) const {
  return details_.contains({model, data, sample});
}

void RecordWriter::append(const StoredDetail& detail) {
  const std::filesystem::path file = folder_ / kDetailsFile;
  const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0) fail("{}: cannot open: {}", file.string(), std::strerror(errno));
  try {
    append_to(descriptor, detail_line(detail) + "\n", file);
  } catch (...) {
    close(descriptor);
    throw;
  }
  close(descriptor);
  details_.insert({detail.model, detail.data, detail.sample});
}

void RecordWriter::write_header() const {
  write_file_atomically(folder_ / kHeaderFile, header_text(header_));
}

}  // namespace elastikv
