#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace YAML {
class Node;
}

namespace elastikv {

/// Checked access to one node of a YAML file. Every failure is an Error of the form
/// "configs/x.yaml:12: key 'strategies.name' ..." with the line of the key it speaks of.
class YamlFields {
 public:
  /// Reads a file whose root is a mapping; Error when it cannot be read or is malformed (with the
  /// line).
  static YamlFields read(const std::filesystem::path& file);
  /// The same from text; `origin` stands for the file name in messages.
  static YamlFields parse(std::string_view text, std::string origin);
  /// Reads a file that may name another one under the key `extends`, relative to its own folder:
  /// all top-level keys that it does not have itself are that file's, which may extend a further
  /// one. Every key keeps its file and line for messages. Error for files that extend each other in
  /// a circle.
  static YamlFields read_extended(const std::filesystem::path& file);
  /// The file and those that it extends, the nearest first; errors as read_extended's.
  static std::vector<std::filesystem::path> extended_files(const std::filesystem::path& file);

  bool is_map() const;
  bool is_list() const;
  bool is_scalar() const;
  /// The line of this node, from 1.
  int line() const;
  const std::string& origin() const { return origin_; }

  /// Error for every key of this mapping that is not in `known`, naming its line and the nearest
  /// known key. `earlier` are names that are known too, and that no message suggests.
  void require_known_keys(const std::vector<std::string>& known,
                          const std::vector<std::string>& earlier = {}) const;
  std::vector<std::string> keys() const;
  bool has(std::string_view key) const;

  /// The value at a key; Error when it is missing.
  YamlFields at(std::string_view key) const;
  /// The elements of a list; Error when this is none. A scalar is not taken for a list of one.
  std::vector<YamlFields> items() const;

  /// This node itself as a scalar.
  int64_t as_integer() const;
  double as_number() const;
  bool as_boolean() const;
  std::string as_string() const;

  int64_t integer(std::string_view key) const { return at(key).as_integer(); }
  double number(std::string_view key) const { return at(key).as_number(); }
  bool boolean(std::string_view key) const { return at(key).as_boolean(); }
  std::string string(std::string_view key) const { return at(key).as_string(); }
  int64_t integer(std::string_view key, int64_t otherwise) const;
  double number(std::string_view key, double otherwise) const;
  bool boolean(std::string_view key, bool otherwise) const;
  std::string string(std::string_view key, std::string_view otherwise) const;

  /// A copy with the scalar or flow-style value `text` put at a dotted key (`--set a.b=c`), where a
  /// number indexes a list (`--set models.0.dtype=bf16`); Error when `text` is malformed, a parent
  /// holds no keys or an index is out of range.
  YamlFields with(std::string_view dotted_key, std::string_view text) const;
  /// The node as YAML text with keys in file order: what a hash or a record of the configuration is
  /// made from.
  std::string dump() const;

  /// Throws an Error at this node's line that begins with its full key.
  [[noreturn]] void fail_here(std::string_view problem) const;

 private:
  YamlFields(std::shared_ptr<YAML::Node> node, std::string origin, std::string key, int line);

  /// read_extended of the chain's only file, which those it extends are added to.
  static YamlFields merge_extended(std::vector<std::filesystem::path>& chain);
  /// has, but true for a key without a value as well.
  bool has_key(const std::string& key) const;
  /// The file that a key of this mapping comes from.
  const std::string& origin_of(const std::string& key) const;

  std::shared_ptr<YAML::Node> node_;
  std::string origin_;
  std::map<std::string, std::string> extended_;  // files of keys that another file gave (the root)
  std::string key_;                              // full dotted key of this node, empty at the root
  int line_;  // of the key, so that messages point at it even when the value is missing
};

}  // namespace elastikv
