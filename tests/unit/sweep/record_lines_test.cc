#include <bit>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "metrics/metric_set.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "sweep/folder.h"
#include "sweep/records.h"

namespace elastikv {
namespace {

/// A file of records "s0", "s1", ... of a megabyte each: several times what a thread reads at once.
class ManyRecords : public ::testing::Test {
 protected:
  static constexpr int kLines = 23;

  static std::string line(int i) {
    Record record;
    record.cell = "c";
    record.sample = fmt::format("s{}", i);
    record.outcome.text.assign(size_t{1} << 20, 'x');
    return record_line(record, {}) + "\n";
  }

  /// The file with something else in place of some lines.
  std::filesystem::path file(const std::map<int, std::string>& others,
                             const std::string& tail = "") const {
    std::string text;
    for (int i = 0; i < kLines; ++i) text += others.contains(i) ? others.at(i) : line(i);
    const std::filesystem::path path = folder_.path() / "records.jsonl";
    write_file_atomically(path, text + tail);
    return path;
  }

  TemporaryFolder folder_;
};

TEST_F(ManyRecords, AreReadInTheirOrderWithoutATornEnd) {
  const std::filesystem::path path = file({}, R"({"cell":"c)");
  int next = 0;
  const size_t bytes = read_records(path, {}, [&](const Record& record) {
    EXPECT_EQ(record.sample, fmt::format("s{}", next++));
    EXPECT_EQ(record.outcome.text.size(), size_t{1} << 20);
  });
  EXPECT_EQ(next, kLines);
  EXPECT_EQ(bytes, std::filesystem::file_size(path) - 10);
}

TEST_F(ManyRecords, TheFirstDamagedLineIsNamed) {
  for (const int damaged : {0, 5, kLines - 1}) {
    const std::filesystem::path path = file({{damaged, "{}\n"}, {kLines - 1, "\n"}});
    int used = 0;
    const auto read = [&] { read_records(path, {}, [&](const Record&) { ++used; }); };
    EXPECT_ERROR(read(),
                 fmt::format("{}:{}: damaged record: key 'cell' is missing; remove the line "
                             "and use --resume",
                             path.string(), damaged + 1));
    EXPECT_EQ(used, damaged);
  }
}

TEST(RecordTable, TheLastRecordOfACellAndSampleCounts) {
  RecordTable table;
  const auto add = [&](const char* cell, const char* sample, int64_t tokens) {
    Record record;
    record.cell = cell;
    record.sample = sample;
    record.prompt_tokens = tokens;
    table.add(std::move(record));
  };
  add("b", "s2", 1);
  add("a", "s1", 2);
  add("b", "s1", 3);
  add("b", "s2", 4);
  EXPECT_EQ(table.size(), 3U);
  EXPECT_EQ(table.find("b", "s2")->prompt_tokens, 4);
  EXPECT_EQ(table.find("a", "s1")->prompt_tokens, 2);
  EXPECT_EQ(table.find("b", "s1")->prompt_tokens, 3);
  EXPECT_EQ(table.find("a", "s2"), nullptr);
  EXPECT_EQ(table.find("c", "s1"), nullptr);
  EXPECT_EQ(table.find("a", "s3"), nullptr);
  std::vector<int64_t> order;
  for (const Record& record : table) order.push_back(record.prompt_tokens);
  EXPECT_EQ(order, (std::vector<int64_t>{4, 2, 3}));
}

/// Of two metrics of texts and of agreement.
const Scorers kScorers = MetricSet(MetricChoice{.text = {"rougeL", "rouge-l-pltrdy"}}).scorers();

/// Values of every kind: any bits for numbers, any characters for texts.
class Values {
 public:
  explicit Values(uint64_t seed) : random_(seed) {}

  double number() {
    switch (random_() % 8) {
      case 0:
        return std::numeric_limits<double>::quiet_NaN();
      case 1:
        return random_() % 2 == 0 ? std::numeric_limits<double>::infinity()
                                  : -std::numeric_limits<double>::infinity();
      case 2:
        return random_() % 2 == 0 ? 0.0 : -0.0;
      case 3:
        return static_cast<double>(random_() % 1000) / 8;
      default:
        return std::bit_cast<double>(random_());
    }
  }
  float single() {
    return random_() % 4 == 0 ? static_cast<float>(number())
                              : std::bit_cast<float>(static_cast<uint32_t>(random_()));
  }
  int64_t integer() { return static_cast<int64_t>(random_() >> (random_() % 63)); }
  int64_t count() { return integer() & LayerCounts::kMost; }
  bool flag() { return random_() % 2 == 0; }

  /// Any characters: controls, quotes, backslashes, line ends, all planes.
  std::string text() {
    std::string text;
    for (uint64_t left = random_() % 12; left > 0; --left) append(character(), text);
    return text;
  }
  std::string some_text() {
    std::string all = text();
    return all.empty() ? "x" : all;
  }

  template <typename Make>
  auto list(Make make) {
    std::vector<decltype(make())> all;
    for (uint64_t left = random_() % 4; left > 0; --left) all.push_back(make());
    return all;
  }

 private:
  uint32_t character() {
    switch (random_() % 5) {
      case 0:
        return static_cast<uint32_t>(random_() % 0x20);
      case 1:
        return std::string_view("\"\\/\n\r\t|`<>&{}")[random_() % 13];
      case 2:
        return static_cast<uint32_t>(random_() % 0x80);
      default: {
        const auto any = static_cast<uint32_t>(random_() % 0x110000);
        return any >= 0xD800 && any < 0xE000 ? 0x2028 : any;
      }
    }
  }
  static void append(uint32_t code, std::string& text) {
    const auto add = [&](uint32_t byte) { text += static_cast<char>(byte); };
    if (code < 0x80) {
      add(code);
    } else if (code < 0x800) {
      add(0xC0 | (code >> 6));
      add(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      add(0xE0 | (code >> 12));
      add(0x80 | ((code >> 6) & 0x3F));
      add(0x80 | (code & 0x3F));
    } else {
      add(0xF0 | (code >> 18));
      add(0x80 | ((code >> 12) & 0x3F));
      add(0x80 | ((code >> 6) & 0x3F));
      add(0x80 | (code & 0x3F));
    }
  }

  std::mt19937_64 random_;
};

/// Equal to the last bit; NaN is NaN.
template <typename Number>
bool same(Number a, Number b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

Score any_score(Values& values, const Scorer& scorer) {
  Score score{};
  for (size_t i = 0; i < scorer.fields().size(); ++i) {
    const ScoreField::Kind kind = scorer.fields()[i].kind;
    score[i] = kind == ScoreField::Kind::kNumber    ? values.number()
               : kind == ScoreField::Kind::kInteger ? static_cast<double>(values.count())
                                                    : (values.flag() ? 1.0 : 0.0);
  }
  return score;
}

Record any_record(Values& values) {
  Record record;
  record.cell = values.text();
  record.sample = values.text();
  record.item = values.text();
  record.key = values.text();
  record.commit = values.text();
  record.hidden = values.flag();
  record.prompt_tokens = values.integer();
  record.image_tokens = values.integer();
  record.shared = {values.number(), values.number(), values.number(), values.number(),
                   values.number()};
  CellOutcome& outcome = record.outcome;
  if (values.integer() % 4 == 0) {
    outcome.error = values.some_text();
    outcome.failure = values.flag() ? Failure::kSample : Failure::kOutOfMemory;
    return record;
  }
  outcome.nll = values.list([&] { return values.single(); });
  outcome.nll_sum = values.number();
  outcome.scored_tokens = std::ssize(outcome.nll);
  outcome.text = values.text();
  outcome.token_ids = values.list([&] { return values.integer(); });
  outcome.finished = values.flag();
  if (values.flag()) outcome.mean_kl = values.number();
  outcome.requested_tokens = values.integer();
  outcome.kept_tokens =
      LayerCounts(values.list([&] { return values.list([&] { return values.count(); }); }));
  outcome.entry_bytes = values.integer();
  outcome.cache_bytes_prefill = values.integer();
  outcome.cache_bytes_end = values.integer();
  outcome.seconds.compression = values.number();
  if (values.flag()) return record;
  const bool texts = values.flag();
  for (const auto& scorer : kScorers) {
    auto& score = record.scores.emplace_back();
    if (scorer->of_full() ? texts : values.flag()) score = any_score(values, *scorer);
  }
  return record;
}

void expect_same(const Record& a, const Record& b) {
  EXPECT_EQ(a.cell, b.cell);
  EXPECT_EQ(a.sample, b.sample);
  EXPECT_EQ(a.item, b.item);
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.commit, b.commit);
  EXPECT_EQ(a.hidden, b.hidden);
  EXPECT_EQ(a.failed(), b.failed());
  EXPECT_EQ(a.outcome.error, b.outcome.error);
  if (a.failed()) {
    EXPECT_EQ(a.outcome.failure, b.outcome.failure);
  }
  EXPECT_TRUE(same(a.shared.scoring, b.shared.scoring));
  EXPECT_TRUE(same(a.outcome.nll_sum, b.outcome.nll_sum))
      << a.outcome.nll_sum << " " << b.outcome.nll_sum;
  ASSERT_EQ(a.outcome.nll.size(), b.outcome.nll.size());
  for (size_t i = 0; i < a.outcome.nll.size(); ++i)
    EXPECT_TRUE(same(a.outcome.nll[i], b.outcome.nll[i])) << a.outcome.nll[i];
  EXPECT_EQ(a.outcome.text, b.outcome.text);
  EXPECT_EQ(a.outcome.token_ids, b.outcome.token_ids);
  EXPECT_EQ(a.outcome.kept_tokens, b.outcome.kept_tokens);
  ASSERT_EQ(a.outcome.mean_kl.has_value(), b.outcome.mean_kl.has_value());
  if (a.outcome.mean_kl) {
    EXPECT_TRUE(same(*a.outcome.mean_kl, *b.outcome.mean_kl));
  }
  EXPECT_TRUE(same(a.outcome.seconds.compression, b.outcome.seconds.compression));
  for (size_t i = 0; i < kScorers.size(); ++i) {
    // Where nothing was scored, a record says nothing of it.
    const auto score_of = [i](const Record& record) {
      return i < record.scores.size() ? record.scores[i] : std::nullopt;
    };
    ASSERT_EQ(score_of(a).has_value(), score_of(b).has_value());
    for (size_t field = 0; score_of(a) && field < kMostScoreFields; ++field)
      EXPECT_TRUE(same((*score_of(a))[field], (*score_of(b))[field]));
  }
}

TEST(RecordLines, WhateverIsWrittenOfARecordIsReadBack) {
  Values values(1);
  for (int round = 0; round < 3000; ++round) {
    const Record record = any_record(values);
    const std::string line = record_line(record, kScorers);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const Record read = parse_record(line, kScorers, "f:1");
    expect_same(record, read);
    EXPECT_EQ(record_line(read, kScorers), line);
    if (HasFailure()) FAIL() << line;
  }
}

TEST(RecordLines, WhateverIsWrittenOfASampleIsReadBack) {
  Values values(2);
  for (int round = 0; round < 3000; ++round) {
    StoredSample sample;
    sample.id = values.text();
    sample.question = values.text();
    sample.answer = values.text();
    sample.references = values.list([&] { return values.text(); });
    sample.votes = values.list([&] { return values.text(); });
    sample.options = values.list([&] { return values.text(); });
    sample.categories = values.list([&] { return values.text(); });
    sample.images = values.list([&] { return values.text(); });
    sample.cluster = values.text();
    sample.group = values.text();
    sample.problem = values.text();
    const std::string data = values.text();
    const std::string model = values.text();
    const std::string line = sample_line(data, sample, model);
    const SampleEntry read = parse_sample_line(line, "f:1");
    EXPECT_EQ(read.data, data);
    EXPECT_EQ(read.model, model);
    EXPECT_EQ(read.sample.id, sample.id);
    EXPECT_EQ(read.sample.question, sample.question);
    EXPECT_EQ(read.sample.answer, sample.answer);
    EXPECT_EQ(read.sample.references, sample.references);
    EXPECT_EQ(read.sample.votes, sample.votes);
    EXPECT_EQ(read.sample.options, sample.options);
    EXPECT_EQ(read.sample.categories, sample.categories);
    EXPECT_EQ(read.sample.images, sample.images);
    EXPECT_EQ(read.sample.cluster, sample.cluster);
    EXPECT_EQ(read.sample.group, sample.group);
    EXPECT_EQ(read.sample.problem, sample.problem);
    if (HasFailure()) FAIL() << line;
  }
}

TEST(RecordLines, WhateverIsWrittenOfADetailIsReadBack) {
  Values values(3);
  for (int round = 0; round < 3000; ++round) {
    StoredDetail stored{values.text(), values.text(), values.text(), {}, {}};
    stored.cells = values.list([&] { return values.text(); });
    SampleDetail& detail = stored.detail;
    detail.prompt_tokens = values.integer();
    detail.image_begin = values.integer();
    detail.image_end = values.integer();
    detail.grid_rows = values.integer();
    detail.grid_columns = values.integer();
    detail.thumbnail = values.text();
    detail.importance = values.list([&] { return values.list([&] { return values.single(); }); });
    for (size_t i = 0; i < stored.cells.size(); ++i) {
      detail.kept.push_back(values.list([&] {
        return values.list([&] { return values.list([&] { return values.integer(); }); });
      }));
    }
    const std::string line = detail_line(stored);
    const StoredDetail read = parse_detail_line(line, "f:1");
    EXPECT_EQ(read.model, stored.model);
    EXPECT_EQ(read.cells, stored.cells);
    EXPECT_EQ(read.detail.thumbnail, detail.thumbnail);
    EXPECT_EQ(read.detail.kept, detail.kept);
    ASSERT_EQ(read.detail.importance.size(), detail.importance.size());
    for (size_t i = 0; i < detail.importance.size(); ++i) {
      ASSERT_EQ(read.detail.importance[i].size(), detail.importance[i].size());
      for (size_t j = 0; j < detail.importance[i].size(); ++j) {
        // Rounded to four digits; the largest may round beyond what a float holds.
        const float was = detail.importance[i][j];
        const float is = read.detail.importance[i][j];
        if (!std::isfinite(was) || was == 0) {
          EXPECT_TRUE(same(was, is)) << was << " " << is;
        } else if (std::fabs(was) > 1e-37F && std::isfinite(is)) {
          EXPECT_NEAR(is / was, 1.0, 1e-3);
        }
      }
    }
    if (HasFailure()) FAIL() << line;
  }
}

TEST(RecordLines, WhateverIsWrittenOfAHeaderIsReadBack) {
  Values values(4);
  for (int round = 0; round < 1000; ++round) {
    SweepHeader header;
    header.name = values.text();
    header.program = values.text();
    header.records_hash = values.text();
    header.config = R"({"models":[],"data":[],"metrics":{"text":["rougeL"]}})";
    for (int i = 0; i < 3; ++i) {
      header.provenance[values.text()] = values.text();
      header.revisions[values.text()] = values.integer();
      header.engines[values.text()] = {values.text(), values.text(), values.text(), values.text(),
                                       values.text()};
      header.data[values.text()] = {values.text(), values.text(),
                                    values.list([&] { return values.text(); })};
    }
    const std::string text = header_text(header);
    const SweepHeader read = parse_header(text, "f");
    EXPECT_EQ(read.name, header.name);
    EXPECT_EQ(read.program, header.program);
    EXPECT_EQ(read.records_hash, header.records_hash);
    EXPECT_EQ(read.config, header.config);
    EXPECT_EQ(read.provenance, header.provenance);
    EXPECT_EQ(read.revisions, header.revisions);
    ASSERT_EQ(read.engines.size(), header.engines.size());
    for (const auto& [name, engine] : header.engines)
      EXPECT_EQ(read.engines.at(name).difference(engine), "") << name;
    for (const auto& [name, set] : header.data) EXPECT_EQ(read.data.at(name).samples, set.samples);
    EXPECT_EQ(header_text(read), text);
    if (HasFailure()) FAIL() << text;
  }
}

/// Bytes that are no UTF-8 have no form in JSON; they become U+FFFD, and stay readable.
TEST(RecordLines, BrokenBytesAreReplacedAndReadable) {
  const std::string broken = "caf\xE9 \xF0\x9F\x92 \xED\xA0\x80";
  Record record;
  record.cell = record.sample = record.key = record.item = broken;
  record.outcome.text = broken;
  const std::string line = record_line(record, {});
  EXPECT_EQ(record_line(parse_record(line, {}, "f:1"), {}), line);
  EXPECT_EQ(parse_record(line, {}, "f:1").outcome.text.substr(0, 6), "caf\xEF\xBF\xBD");
  StoredSample sample;
  sample.id = sample.cluster = broken;
  sample.images = {broken};
  EXPECT_NO_THROW(parse_sample_line(sample_line(broken, sample, broken), "f:1"));
  EXPECT_NO_THROW(parse_detail_line(detail_line({broken, broken, broken, {}, {}}), "f:1"));
  SweepHeader header;
  header.name = broken;
  header.config = "{}";
  header.provenance[broken] = broken;
  header.engines[broken] = {broken, broken, broken, broken, broken};
  header.data[broken] = {broken, broken, {broken}};
  EXPECT_NO_THROW(parse_header(header_text(header), "f"));
}

/// As earlier programs wrote what was not finite.
TEST(RecordLines, NullIsNotANumber) {
  StoredDetail stored{"m", "d", "s", {}, {}};
  stored.detail.importance = {{0.5F, 0.25F}};
  std::string line = detail_line(stored);
  line.replace(line.find("0.25"), 4, "null");
  const StoredDetail read = parse_detail_line(line, "f:1");
  EXPECT_EQ(read.detail.importance[0][0], 0.5F);
  EXPECT_TRUE(std::isnan(read.detail.importance[0][1]));
}

TEST(RecordLines, DamageNamesItsPlace) {
  const std::string good = record_line(Record{}, {});
  EXPECT_ERROR(parse_record(good.substr(1), {}, "f:7"),
               "f:7: damaged record: not valid JSON; remove the line and use --resume");
  const std::string mend = "; remove the line and use --resume";
  EXPECT_ERROR(parse_record("[]", {}, "f:7"), "f:7: damaged record: is no object" + mend);
  EXPECT_ERROR(parse_record("{}", {}, "f:7"), "f:7: damaged record: key 'cell' is missing" + mend);
  const auto with = [&](const std::string& key, const std::string& value) {
    nlohmann::ordered_json json = nlohmann::ordered_json::parse(good);
    json[key] = nlohmann::ordered_json::parse(value);
    return json.dump();
  };
  for (const auto& [key, value, what] :
       {std::tuple{"cell", "3", "is no text"},
        std::tuple{"hidden", "0", "is neither true nor false"},
        std::tuple{"prompt_tokens", "1.5", "is no integer"},
        std::tuple{"image_tokens", "9223372036854775808", "is no integer"},
        std::tuple{"nll_sum", "\"x\"", "is no number"}, std::tuple{"nll", "{}", "is no list"},
        std::tuple{"nll", "[true]", "is no number"},
        std::tuple{"token_ids", "[0, null]", "is no integer"},
        std::tuple{"kept_tokens", "[[1], 2]", "is no list"},
        std::tuple{"kept_tokens", "[[-1]]", "has no number of tokens"},
        std::tuple{"kept_tokens", "[[1, 2147483648]]", "has no number of tokens"},
        std::tuple{"seconds", "[]", "is no object"},
        std::tuple{"shared_seconds", "1", "is no object"},
        std::tuple{"agreement", "0", "is no object"}}) {
    EXPECT_ERROR(parse_record(with(key, value), kScorers, "f:7"),
                 std::string("f:7: damaged record: key '") + key + "' " + what + mend);
  }
  EXPECT_ERROR(parse_record(with("scores", R"({"rougeL": {}})"), kScorers, "f:7"),
               "f:7: damaged record: key 'precision' is missing" + mend);
  EXPECT_ERROR(
      parse_record(with("agreement", R"({"first_divergence": 9007199254740993})"), kScorers, "f:7"),
      "f:7: damaged record: key 'first_divergence' is too large an integer" + mend);
  EXPECT_ERROR(parse_record(with("status", "\"fine\""), {}, "f:7"),
               "f:7: damaged record: unknown status 'fine'" + mend);
  EXPECT_ERROR_CONTAINS(parse_sample_line("{\"id\": 3}", "f:7"), "f:7: damaged: ");
  EXPECT_ERROR_CONTAINS(parse_detail_line("0", "f:7"), "f:7: damaged: ");
  StoredDetail stored{"m", "d", "s", {"c"}, {}};
  stored.detail.kept = {{{{0, 2}}}};
  const std::string detail = detail_line(stored);
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string line = detail;
    return line.replace(line.find(from), from.size(), to);
  };
  EXPECT_NO_THROW(parse_detail_line(detail, "f:7"));
  const std::string needed = "f:7: damaged: an integer of 64 bits is needed, this is ";
  EXPECT_ERROR(parse_detail_line(changed("\"prompt_tokens\":0", "\"prompt_tokens\":1e60"), "f:7"),
               needed + "1e+60");
  EXPECT_ERROR(
      parse_detail_line(changed("\"grid\":[0,0]", "\"grid\":[0,9223372036854775808]"), "f:7"),
      needed + "9223372036854775808");
  EXPECT_ERROR(parse_detail_line(changed("[0,2]", "[0,0.5]"), "f:7"), needed + "0.5");
  EXPECT_ERROR(parse_detail_line(changed("[0,2]", "[0,[]]"), "f:7"), needed + "array");
  EXPECT_ERROR_CONTAINS(parse_header("[]", "f"), "f: is not the description of a sweep's records");
}

}  // namespace
}  // namespace elastikv
