// 20,000 random strings per kind of tokenizer, against hashes of what the Python packages make of
// them (tests/parity/make_random_text_golden.py).

#include "random_text.h"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/utf8.h"
#include "golden_lines.h"
#include "text/tokenizer.h"

namespace elastikv {

std::string random_text(const nlohmann::json& tables, uint64_t index) {
  Draw draw(tables["seed"].get<uint64_t>() + index);
  std::string text;
  const auto pick = [&](const char* name) -> const std::string& {
    const nlohmann::json& list = tables[name];
    return list[draw.below(list.size())].get_ref<const std::string&>();
  };
  const auto put = [&](uint64_t low, uint64_t high, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      append_utf8(text, static_cast<char32_t>(low + draw.below(high - low)));
    }
  };
  const auto put_run = [&](uint64_t low, uint64_t high, uint64_t most) {
    put(low, high, 1 + draw.below(most));
  };
  const auto pick_range = [&](const char* name) -> const nlohmann::json& {
    return tables[name][draw.below(tables[name].size())];
  };
  const auto repeat = [&](const std::string& what, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) text += what;
  };
  for (uint64_t parts = 1 + draw.below(6); parts > 0; --parts) {
    const uint64_t kind = draw.below(16);
    if (kind < 5) {
      text += pick("words");
    } else if (kind < 8) {
      const nlohmann::json& range = pick_range("ranges");
      put_run(range[0], range[1], 8);
    } else if (kind == 8) {
      const std::string& blank = pick("blanks");
      repeat(blank, 1 + draw.below(10));
    } else if (kind == 9) {
      text += pick("special");
    } else if (kind == 10) {
      put_run(0, 0x20, 3);
    } else if (kind == 11) {
      for (uint64_t count = 1 + draw.below(4); count > 0; --count) {
        text.push_back(static_cast<char>(0x80 + draw.below(128)));
      }
    } else if (kind == 12) {
      put_run('a', 'z' + 1, 1);
      put_run(0x300, 0x370, 4);
    } else if (kind == 13) {
      text += pick("emoji");
    } else if (kind == 14) {
      put_run('0', '9' + 1, 12);
    } else {
      put_run('!', '/' + 1, 6);
    }
    if (draw.below(3) > 0) text += ' ';
  }
  if (index % 500 == 7) {
    const nlohmann::json& range = pick_range("long");
    put(range[0], range[1], 1000 + draw.below(4000));
  }
  if (index % 500 == 11) {
    const std::string& blank = pick("blanks");
    repeat(blank, 1000 + draw.below(2000));
    text += pick("words");
  }
  return text;
}

namespace {

constexpr uint64_t kBlock = 20;

struct Hashes {
  Fnv1a texts;
  Fnv1a ids;
  Fnv1a plain;
  Fnv1a skipped;
  Fnv1a of_random_ids;
};

std::vector<int64_t> random_ids(uint64_t seed, int64_t size) {
  Draw draw(seed);
  std::vector<int64_t> ids(draw.below(12));
  for (int64_t& id : ids) {
    const auto limit =
        static_cast<uint64_t>(draw.below(2) != 0 ? std::min<int64_t>(size, 300) : size);
    id = static_cast<int64_t>(draw.below(limit));
  }
  return ids;
}

void add_ids(Fnv1a& hash, const std::vector<int64_t>& ids) {
  std::string bytes;
  for (const int64_t id : ids) {
    for (const int shift : {0, 8, 16, 24}) bytes.push_back(static_cast<char>(id >> shift));
  }
  hash.add(bytes + "\xFF\xFF\xFF\xFF");
}

class RandomText : public testing::TestWithParam<const char*> {};

TEST_P(RandomText, IsReadAsThePythonPackagesReadIt) {
  const std::string kind = GetParam();
  const auto tokenizer = load_tokenizer(kTextData + kind);
  std::ifstream tables_file(std::string(kTextData) + "random/tables.json");
  const nlohmann::json tables = nlohmann::json::parse(tables_file);
  std::ifstream golden(kTextData + fmt::format("random/{}.txt", kind));
  std::string line;
  uint64_t block = 0;
  for (; std::getline(golden, line); ++block) {
    Hashes hashes;
    for (uint64_t index = block * kBlock; index < (block + 1) * kBlock; ++index) {
      const std::string text = random_text(tables, index);
      hashes.texts.add(text);
      hashes.texts.add("\xFF\xFF");
      const std::vector<int64_t> ids = tokenizer->encode(text, /*add_special=*/true);
      add_ids(hashes.ids, ids);
      hashes.plain.add(tokenizer->decode(ids, /*skip_special=*/false));
      hashes.plain.add("\xFF");
      hashes.skipped.add(tokenizer->decode(ids, /*skip_special=*/true));
      hashes.skipped.add("\xFF");
      const std::vector<int64_t> others =
          random_ids(tables["seed"].get<uint64_t>() + index + 1000000000, tokenizer->vocab_size());
      for (const bool skip : {false, true}) {
        hashes.of_random_ids.add(tokenizer->decode(others, skip));
        hashes.of_random_ids.add("\xFF");
      }
    }
    std::istringstream words(line);
    for (const auto& [what, hash] : {std::pair{"strings", hashes.texts},
                                     {"ids", hashes.ids},
                                     {"decoded texts", hashes.plain},
                                     {"texts without special tokens", hashes.skipped},
                                     {"texts of random ids", hashes.of_random_ids}}) {
      std::string expected;
      words >> expected;
      ASSERT_EQ(fmt::format("{:016x}", hash.value()), expected)
          << "the " << what << " of strings " << block * kBlock << " to "
          << (block + 1) * kBlock - 1 << " differ; see make_random_text_golden.py --show " << block
          << " " << kind;
    }
  }
  EXPECT_EQ(block, 1000U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, RandomText,
                         testing::Values("llama-like", "llama3-like", "qwen2-like", "smollm2-like",
                                         "llama-model", "llama-model-later", "llama-model-plain",
                                         "qwen-tiktoken", "qwen2-files", "gpt2-files"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace elastikv
