#include "text/byte_level_files.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_fields.h"
#include "text/tokenizer_settings.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// Contractions in either case, words with the sign before them, single digits, runs of other signs
/// with the line ends behind them, and white space, of which the last stays with what follows.
constexpr const char* kQwenPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

Json byte_level(bool add_prefix_space, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", false},
          {"use_regex", use_regex}};
}

/// The lines "left right" of a merges.txt, each as a pair.
Json read_merges(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  Json merges = Json::array();
  std::string_view rest = text;
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const size_t blank = line.find(' ');
    const bool well_formed = blank != std::string_view::npos && blank > 0 &&
                             blank + 1 < line.size() && line.find(' ', blank + 1) == line.npos;
    if (!well_formed) {
      fail("{}:{}: '{}' is no merge; two tokens with a blank between are needed", file.string(),
           number, line);
    }
    merges.push_back({line.substr(0, blank), line.substr(blank + 1)});
  }
  return merges;
}

}  // namespace

Json qwen_pre_tokenizer() {
  const Json cut{
      {"type", "Split"}, {"pattern", {{"Regex", kQwenPattern}}}, {"behavior", "Isolated"}};
  return {{"type", "Sequence"},
          {"pretokenizers", {cut, byte_level(/*add_prefix_space=*/false, /*use_regex=*/false)}}};
}

Json read_byte_level_files(const std::filesystem::path& folder) {
  const JsonFields vocabulary = JsonFields::read(folder / "vocab.json");
  const JsonFields config = read_tokenizer_config(folder);
  const std::string kind = config.string("tokenizer_class");
  const bool qwen2 = kind == "Qwen2Tokenizer" || kind == "Qwen2TokenizerFast";
  const bool gpt2 = kind == "GPT2Tokenizer" || kind == "GPT2TokenizerFast";
  if (!qwen2 && !gpt2) {
    config.fail_key("tokenizer_class",
                    fmt::format("is '{}', which is not supported beside a vocab.json; supported: "
                                "GPT2Tokenizer, GPT2TokenizerFast, Qwen2Tokenizer, "
                                "Qwen2TokenizerFast",
                                kind));
  }
  const Json& known = vocabulary.json();
  const auto find = [&](std::string_view token) -> std::optional<int64_t> {
    const auto found = known.find(token);
    if (found == known.end() || !found->is_number_integer()) return std::nullopt;
    return found->get<int64_t>();
  };
  std::map<std::string, std::string, std::less<>> defaults{{"eos_token", "<|endoftext|>"},
                                                           {"unk_token", "<|endoftext|>"}};
  defaults[gpt2 ? "bos_token" : "pad_token"] = "<|endoftext|>";
  const TokenizerSettings settings =
      read_tokenizer_settings(folder, {find, static_cast<int64_t>(known.size())}, defaults);

  Json added = Json::array();
  for (const AddedToken& token : settings.added) {
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", token.single_word},
                     {"lstrip", token.lstrip},
                     {"rstrip", token.rstrip},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  }
  const bool prefix_space = config.boolean("add_prefix_space", /*otherwise=*/false);
  Json file{{"model",
             {{"type", "BPE"}, {"vocab", known}, {"merges", read_merges(folder / "merges.txt")}}},
            {"added_tokens", std::move(added)},
            {"pre_tokenizer",
             qwen2 ? qwen_pre_tokenizer() : byte_level(prefix_space, /*use_regex=*/true)},
            {"decoder", byte_level(/*add_prefix_space=*/false, /*use_regex=*/true)}};
  if (qwen2) file["normalizer"] = {{"type", "NFC"}};
  if (gpt2 && config.boolean("add_bos_token", /*otherwise=*/false)) {
    const auto bos = settings.id_of("bos_token");
    if (!bos) config.fail_key("bos_token", "is null, but add_bos_token asks for it");
    file["post_processor"] = {
        {"type", "TemplateProcessing"},
        {"single", {{{"SpecialToken", {{"id", "bos"}}}}, {{"Sequence", {{"id", "A"}}}}}},
        {"special_tokens", {{"bos", {{"ids", {*bos}}}}}}};
  }
  return file;
}

}  // namespace elastikv
