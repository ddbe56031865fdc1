// Reading a record's line. Reports read hundreds of thousands of them, which is why this one kind
// of line is not read by the library that writes it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <simdjson.h>

#include "base/error.h"
#include "base/files.h"
#include "sweep/failure_name.h"
#include "sweep/folder.h"
#include "sweep/records.h"

namespace elastikv {
namespace {

namespace dom = simdjson::dom;

constexpr const char* kMend = "; remove the line and use --resume";

/// A value of a record and where it is, for errors.
class Value {
 public:
  Value(dom::element element, const std::string& place, std::string_view name)
      : element_(element), place_(&place), name_(name) {}

  Value at(std::string_view key) const {
    const std::optional<Value> found = find(key);
    if (!found) fail_at(key, "is missing");
    return *found;
  }

  /// What stands under a key that may be missing.
  std::optional<Value> find(std::string_view key) const {
    dom::element found;
    if (object().at_key(key).get(found) != simdjson::SUCCESS) return std::nullopt;
    return Value(found, *place_, key);
  }

  std::string text() const {
    std::string_view text;
    if (element_.get(text) != simdjson::SUCCESS) fail_at(name_, "is no text");
    return std::string(text);
  }

  char letter() const {
    std::string_view text;
    if (element_.get(text) != simdjson::SUCCESS || text.size() != 1) fail_at(name_, "is no letter");
    return text.front();
  }

  bool truth() const {
    bool value = false;
    if (element_.get(value) != simdjson::SUCCESS) fail_at(name_, "is neither true nor false");
    return value;
  }

  int64_t integer() const {
    int64_t value = 0;
    if (element_.get(value) != simdjson::SUCCESS) fail_at(name_, "is no integer");
    return value;
  }

  /// That a double holds to the last digit.
  double exact_integer() const {
    constexpr int64_t kMost = int64_t{1} << 53;
    const int64_t value = integer();
    if (value < -kMost || value > kMost) fail_at(name_, "is too large an integer");
    return static_cast<double>(value);
  }

  /// What is not finite stands as a word; null, as earlier versions wrote it, is NaN.
  double number() const {
    double value = 0;
    if (element_.get(value) == simdjson::SUCCESS) return value;
    if (element_.is_null()) return std::numeric_limits<double>::quiet_NaN();
    std::string_view word;
    if (element_.get(word) == simdjson::SUCCESS) {
      if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
      if (word == "inf") return std::numeric_limits<double>::infinity();
      if (word == "-inf") return -std::numeric_limits<double>::infinity();
    }
    fail_at(name_, "is no number");
  }

  /// The largest float stands for what rounding took beyond it.
  float single() const {
    constexpr double kLargest = std::numeric_limits<float>::max();
    const double value = number();
    return static_cast<float>(std::isfinite(value) ? std::clamp(value, -kLargest, kLargest)
                                                   : value);
  }

  /// Calls `take` with each value of a list.
  template <typename Take>
  void each(Take take) const {
    dom::array array;
    if (element_.get(array) != simdjson::SUCCESS) fail_at(name_, "is no list");
    for (const dom::element one : array) take(Value(one, *place_, name_));
  }

  std::vector<int64_t> integers() const {
    std::vector<int64_t> values;
    each([&](const Value& value) { values.push_back(value.integer()); });
    return values;
  }

  std::vector<int64_t> counts() const {
    std::vector<int64_t> values = integers();
    for (const int64_t value : values) {
      if (value < 0 || value > LayerCounts::kMost) fail_at(name_, "has no number of tokens");
    }
    return values;
  }

 private:
  dom::object object() const {
    dom::object object;
    if (element_.get(object) != simdjson::SUCCESS) {
      if (name_.empty()) fail("{}: damaged record: is no object{}", *place_, kMend);
      fail_at(name_, "is no object");
    }
    return object;
  }

  [[noreturn]] void fail_at(std::string_view key, const char* what) const {
    fail("{}: damaged record: key '{}' {}{}", *place_, key, what, kMend);
  }

  dom::element element_;
  const std::string* place_;
  std::string_view name_;
};

SharedSeconds shared_seconds(const Value& value) {
  return {value.at("image").number(), value.at("prefill").number(), value.at("statistics").number(),
          value.at("scoring").number(), value.at("generation").number()};
}

Score score_of(const Value& value, const Scorer& scorer) {
  Score score{};
  for (size_t i = 0; i < scorer.fields().size(); ++i) {
    const ScoreField& field = scorer.fields()[i];
    const Value number = value.at(field.key);
    switch (field.kind) {
      case ScoreField::Kind::kNumber:
        score[i] = number.number();
        break;
      case ScoreField::Kind::kInteger:
        score[i] = number.exact_integer();
        break;
      case ScoreField::Kind::kTruth:
        score[i] = number.truth() ? 1 : 0;
        break;
    }
  }
  return score;
}

void read_scores(const Value& line, const Scorers& scorers, Record& record) {
  record.scores.reserve(scorers.size());
  const std::string* section = nullptr;
  std::optional<Value> found;
  for (const auto& scorer : scorers) {
    if (section == nullptr || *section != scorer->section()) {
      section = &scorer->section();
      found = line.find(*section);
    }
    auto& score = record.scores.emplace_back();
    if (!found) continue;
    if (scorer->name().empty()) {
      score = score_of(*found, *scorer);
    } else if (const auto own = found->find(scorer->name())) {
      // A data set may ask for others than the sweep's other sets; summaries know which it needs.
      score = score_of(*own, *scorer);
    }
  }
}

OptionLikelihood option_of(const Value& value) {
  return {value.at("letter").letter(), value.at("log_likelihood").number(),
          value.at("tokens").integer(), value.at("bytes").integer(),
          value.at("characters").integer()};
}

void read_outcome(const Value& line, const Scorers& scorers, Record& record) {
  CellOutcome& outcome = record.outcome;
  outcome.nll_sum = line.at("nll_sum").number();
  outcome.scored_tokens = line.at("scored_tokens").integer();
  line.at("nll").each([&](const Value& value) { outcome.nll.push_back(value.single()); });
  outcome.text = line.at("text").text();
  outcome.token_ids = line.at("token_ids").integers();
  outcome.finished = line.at("finished").truth();
  if (const auto options = line.find("options")) {
    options->each([&](const Value& option) { outcome.options.push_back(option_of(option)); });
  }
  if (const auto mean_kl = line.find("mean_kl")) outcome.mean_kl = mean_kl->number();
  if (const auto compressed = line.find("compressed_tokens"))
    outcome.compressed_tokens = compressed->integer();
  outcome.requested_tokens = line.at("requested_tokens").integer();
  line.at("kept_tokens").each([&](const Value& layer) {
    outcome.kept_tokens.add_layer(layer.counts());
  });
  outcome.entry_bytes = line.at("entry_bytes").integer();
  outcome.cache_bytes_prefill = line.at("cache_bytes_prefill").integer();
  outcome.cache_bytes_end = line.at("cache_bytes_end").integer();
  outcome.seconds.compression = line.at("seconds").at("compression").number();
  read_scores(line, scorers, record);
}

/// Bytes of lines that a thread parses at a time.
constexpr size_t kPiece = size_t{4} << 20;

/// Whole lines, and their records up to the first damaged one.
struct Piece {
  std::string_view text;
  std::vector<Record> records;
  std::optional<std::string_view> damaged;
};

void parse_piece(const Scorers& scorers, Piece& piece) {
  std::string_view last;
  try {
    each_line(piece.text, [&](std::string_view line) {
      last = line;
      piece.records.push_back(parse_record(line, scorers, /*place=*/""));
    });
  } catch (const Error&) {
    piece.damaged = last;
  }
}

Failure failure_of(const std::string& status, const std::string& place) {
  for (const Failure failure : {Failure::kCell, Failure::kOutOfMemory, Failure::kSample}) {
    if (status == failure_name(failure)) return failure;
  }
  fail("{}: damaged record: unknown status '{}'{}", place, status, kMend);
}

}  // namespace

Record parse_record(std::string_view line, const Scorers& scorers, const std::string& place) {
  // It keeps its memory from one line to the next.
  thread_local dom::parser parser;
  dom::element element;
  if (parser.parse(line).get(element) != simdjson::SUCCESS)
    fail("{}: damaged record: not valid JSON{}", place, kMend);
  const Value whole(element, place, "");
  Record record;
  record.cell = whole.at("cell").text();
  record.sample = whole.at("sample").text();
  record.key = whole.at("key").text();
  if (const auto commit = whole.find("commit")) record.commit = commit->text();
  record.item = whole.at("item").text();
  record.hidden = whole.at("hidden").truth();
  record.prompt_tokens = whole.at("prompt_tokens").integer();
  record.image_tokens = whole.at("image_tokens").integer();
  record.shared = shared_seconds(whole.at("shared_seconds"));
  const std::string status = whole.at("status").text();
  if (status == "ok") {
    read_outcome(whole, scorers, record);
    return record;
  }
  record.outcome.failure = failure_of(status, place);
  record.outcome.error = whole.at("error").text();
  if (!record.failed()) fail("{}: damaged record: a failure without a reason{}", place, kMend);
  return record;
}

size_t read_records(const std::filesystem::path& file, const Scorers& scorers,
                    const std::function<void(Record)>& use) {
  const MappedFile mapped(file);
  const std::string_view text = mapped.view();
  const size_t whole = text.rfind('\n') + 1;  // 0 without any
  int64_t lines = 0;
  for (size_t begin = 0; begin < whole;) {
    const size_t first = begin;
    std::vector<Piece> pieces;
    while (begin < whole && pieces.size() < static_cast<size_t>(at::get_num_threads())) {
      const size_t end = text.find('\n', std::min(begin + kPiece, whole) - 1) + 1;
      pieces.push_back(
          {.text = text.substr(begin, end - begin), .records = {}, .damaged = std::nullopt});
      begin = end;
    }
    at::parallel_for(0, static_cast<int64_t>(pieces.size()), /*grain_size=*/1,
                     [&](int64_t from, int64_t to) {
                       for (int64_t i = from; i < to; ++i)
                         parse_piece(scorers, pieces[static_cast<size_t>(i)]);
                     });
    for (Piece& piece : pieces) {
      lines += static_cast<int64_t>(piece.records.size());
      for (Record& record : piece.records) use(std::move(record));
      if (!piece.damaged) continue;
      // Once more, for the error with the line's number.
      parse_record(*piece.damaged, scorers, fmt::format("{}:{}", file.string(), lines + 1));
    }
    mapped.release(first, begin - first);
  }
  return whole;
}

}  // namespace elastikv
