#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/intervals.h"

namespace elastikv {

/// One number as it was printed.
struct PublishedValue {
  std::string model;  // as published
  std::string data;   // the same; empty for a table of speeds
  std::string strategy;
  /// With a difference: the strategy whose value, at the same budget, was subtracted.
  std::string minus;
  double budget = 1;                     // fraction kept; 1 is the full cache
  std::optional<int64_t> budget_tokens;  // in its place: entries kept per layer
  std::string measure;
  double out_of = 1;  // what a score of 1 is printed as: 100 of percent
  int64_t batch = 0;  // of speeds, as are the tokens
  int64_t prompt_tokens = 0;
  int64_t new_tokens = 0;

  std::string text;             // as printed
  std::optional<double> value;  // absent for "OOM"
  /// What may have stood there before it was rounded: half a unit of the last digit on both sides,
  /// and more where the value was held in a coarser dtype.
  Interval range;

  /// "0.2", or "256t" of tokens, as the program's cells have it.
  std::string budget_text() const;
};

/// A published name and the labels that runs give to the same thing.
struct PublishedName {
  std::string name;
  std::vector<std::string> labels;  // patterns for label_matches
};

/// A published row and the labels of our strategies that can stand beside it (patterns).
struct PublishedStrategy {
  std::string name;
  std::vector<std::string> released;  // compute what the authors' released code does
  std::vector<std::string> paper;     // compute what the paper describes
};

/// A table from a paper: a file of results/published, whose README describes the format.
struct PublishedTable {
  std::string id;
  std::string title;
  std::string citation;
  std::string arxiv;
  std::string where;
  bool bench = false;                                         // speeds; otherwise of sweeps
  std::vector<std::pair<std::string, std::string>> protocol;  // in the file's order
  std::vector<PublishedName> models;
  std::vector<PublishedName> data;
  std::vector<PublishedStrategy> strategies;
  std::vector<std::string> notes;
  std::vector<PublishedValue> values;  // of grids, then single ones, then differences

  /// What the protocol says of a key; empty when it says nothing.
  std::string protocol_of(std::string_view key) const;
  const PublishedStrategy& strategy(std::string_view name) const;
};

/// What the protocol of a table says of something that nobody knows.
inline constexpr std::string_view kUnknown = "unknown";
/// Printed where memory did not suffice.
inline constexpr std::string_view kOutOfMemoryText = "OOM";

// Measures beside text metrics.
inline constexpr std::string_view kPerplexityMeasure = "ppl";
inline constexpr std::string_view kLatencyMeasure = "latency";                 // seconds
inline constexpr std::string_view kThroughputMeasure = "throughput";           // tokens per second
inline constexpr std::string_view kThroughputGainMeasure = "throughput-gain";  // % over full

/// Whether a label fits a pattern of letters, `*` (any text) and `?` (any character). Capitals do
/// not matter, since folders of one checkpoint are spelled either way.
bool label_matches(std::string_view pattern, std::string_view label);
bool label_matches_any(const std::vector<std::string>& patterns, std::string_view label);

/// The values that a printed number may stand for; nullopt when it is no plain decimal number.
/// With `held_in_bf16` those that a bf16 number which prints like this may stand for: its steps are
/// 0.4 to 0.8 % of the value; nullopt when no bf16 number prints like this (halves may be rounded
/// up or to even).
std::optional<Interval> printed_range(std::string_view text, bool held_in_bf16);

/// Reads a table. Error naming file, line and key for anything that is unknown, missing, of the
/// wrong kind or refers to a name that the file does not introduce.
PublishedTable read_published(const std::filesystem::path& file);
/// The same from text; `origin` stands for the file's name, `id` for its stem.
PublishedTable parse_published(std::string_view text, const std::string& origin,
                               const std::string& id);

/// The folder of the tables that come with the program: $ELASTIKV_PUBLISHED, else results/published
/// of the source tree that the program was built from.
std::filesystem::path published_folder();
/// All tables of that folder, by id.
std::vector<PublishedTable> read_all_published();
/// A table of that folder by its id, or of any file by its path (with a folder or .yaml in it).
/// Error for neither, with the nearest id.
PublishedTable find_published(const std::string& name);

}  // namespace elastikv
