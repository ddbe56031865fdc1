#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace elastikv {

/// Checked access to one JSON object of a file. Every failure is an Error that names the file and
/// the full key, for example: models/x/config.json: key 'text_config.hidden_size' is missing (an
/// integer is needed).
class JsonFields {
 public:
  /// Reads and parses a file; Error when it cannot be read, is not JSON (with line and column) or
  /// is no object.
  static JsonFields read(const std::filesystem::path& file);
  /// Wraps an object that is already parsed; `origin` names it in messages.
  JsonFields(nlohmann::json object, std::string origin, std::string prefix = "");

  /// Present and not null.
  bool has(std::string_view key) const;
  std::vector<std::string> keys() const;

  int64_t integer(std::string_view key) const;
  double number(std::string_view key) const;
  bool boolean(std::string_view key) const;
  std::string string(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;
  std::vector<std::string> strings(std::string_view key) const;
  /// The same, with the value for a key that is missing or null.
  int64_t integer(std::string_view key, int64_t otherwise) const;
  double number(std::string_view key, double otherwise) const;
  bool boolean(std::string_view key, bool otherwise) const;
  std::string string(std::string_view key, std::string_view otherwise) const;

  /// A nested object; Error when missing or no object.
  JsonFields object(std::string_view key) const;
  /// A nested object, or an empty one (with the same name in messages) when missing or null.
  JsonFields object_or_empty(std::string_view key) const;
  /// A list of objects, each named by its index ("layers.0"); Error when missing or something else.
  std::vector<JsonFields> objects(std::string_view key) const;

  /// The parsed value itself, for readers that need its structure.
  const nlohmann::json& json() const { return *object_; }
  const std::string& origin() const { return origin_; }
  /// Throws an Error that names this file and key.
  [[noreturn]] void fail_key(std::string_view key, std::string_view problem) const;

 private:
  const nlohmann::json& at(std::string_view key, std::string_view needed) const;

  std::shared_ptr<const nlohmann::json> object_;
  std::string origin_;
  std::string prefix_;
};

/// How deep values may be nested: far beyond any file that is meant to be read, and so little that
/// what goes down into a value (a copy, its text in a message) never runs out of stack.
inline constexpr int kMostJsonLevels = 256;
/// Whether the brackets of a JSON text nest deeper than that. Says nothing of their being well
/// formed.
bool is_nested_too_deep(std::string_view text);

/// Parses JSON text; Error with origin, line and column when it is malformed, or nested deeper than
/// kMostJsonLevels.
nlohmann::json parse_json(std::string_view text, std::string_view origin);

}  // namespace elastikv
