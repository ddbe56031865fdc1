#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/key_table.h"

namespace elastikv {
namespace {

/// Writes tables of keys.
class KeyDocument {
 public:
  explicit KeyDocument(std::string_view hashed_title) : hashed_title_(hashed_title) {}

  std::string text(const KeyTable& keys, std::string_view title) {
    write_table(keys, title, /*hashed=*/true);
    // Lists inside of lists come behind them.
    for (size_t i = 0; i < lists_.size(); ++i) {
      const List list = lists_[i];
      write_table(*list.keys, fmt::format("**`{}`**, one mapping or a list of them", list.name),
                  list.hashed);
    }
    return std::move(text_);
  }

 private:
  struct List {
    std::string name;
    const KeyTable* keys;
    bool hashed;
  };

  void write_table(const KeyTable& keys, std::string_view title, bool hashed) {
    const bool column = !hashed_title_.empty();
    if (!text_.empty()) text_ += '\n';
    text_ += fmt::format("{}\n\n", title);
    text_ += fmt::format("| key | value | default |{} what it says |\n",
                         column ? fmt::format(" {} |", hashed_title_) : "");
    text_ += fmt::format("| --- | --- | --- |{} --- |\n", column ? " --- |" : "");
    write_rows(keys, "", hashed);
  }

  void write_rows(const KeyTable& keys, const std::string& prefix, bool hashed) {
    for (const Key& key : keys.keys()) {
      const std::string name = prefix + key.name;
      const bool counts = hashed && key.traits.hashed;
      if (!key.help.empty()) write_row(key, name, counts);
      if (key.inner == nullptr) continue;
      if (key.entries) {
        lists_.push_back({name, key.inner, counts});
      } else {
        write_rows(*key.inner, name + ".", counts);
      }
    }
  }

  void write_row(const Key& key, const std::string& name, bool hashed) {
    std::string help = key.help;
    if (!key.traits.earlier.empty())
      help += fmt::format(" Was `{}`, which is still read.", key.traits.earlier);
    std::vector<std::string> cells{"`" + name + "`", key.takes, key.otherwise};
    if (!hashed_title_.empty()) cells.emplace_back(hashed ? "yes" : "no");
    cells.push_back(std::move(help));
    for (const std::string& cell : cells) text_ += cell.empty() ? "| " : fmt::format("| {} ", cell);
    text_ += "|\n";
  }

  std::string_view hashed_title_;
  std::string text_;
  std::vector<List> lists_;
};

}  // namespace

std::string keys_markdown(const KeyTable& keys, std::string_view title,
                          std::string_view hashed_title) {
  return KeyDocument(hashed_title).text(keys, title);
}

}  // namespace elastikv
