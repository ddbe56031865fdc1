#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/value_form.h"
#include "base/yaml_fields.h"

namespace elastikv {

class KeyTable;

/// Whether a key stands in the JSON that a configuration is kept as.
enum class Written {
  kAlways,
  kWhereSet,  ///< where it differs from the default: what was kept earlier was made without it
  kNever,
};

/// That a key may list values, which makes a thing of each.
struct ListedValues {
  /// Keys that list are gone through in this order, the first outermost: so they stand in names.
  int order = 0;
  bool named = true;    ///< false: the name follows from the value anyhow, as from a path
  bool ranges = false;  ///< "1-4+1" counts
};

/// What is said of a key beside its name, its values and its help.
struct KeyTraits {
  Written written = Written::kAlways;
  /// Part of the hash of what was measured. False: it cannot change a result.
  bool hashed = true;
  /// Of a key that came after others were measured: where it is set, it stands under this name in
  /// what a single result is known by.
  std::string tag{};
  bool required = false;
  /// The default in words, where the default value does not say it.
  std::string otherwise{};
  /// What the key was called before: still read, and still what it is called in JSON, since hashes
  /// are made of that.
  std::string earlier{};
  std::optional<ListedValues> lists{};
};

/// A key of a mapping, whatever it holds.
struct Key {
  std::string name;
  std::string takes;      ///< what may stand there, as Markdown
  std::string otherwise;  ///< its default, as Markdown
  std::string help;       ///< a sentence, as Markdown; empty for a group that needs none
  KeyTraits traits;
  /// The keys of the mapping that it holds, or of each mapping of a list; null for neither. Lives
  /// as long as the program.
  const KeyTable* inner = nullptr;
  bool entries = false;  ///< `inner` is of each mapping of a list

  /// What JSON calls it.
  const std::string& json_name() const { return traits.earlier.empty() ? name : traits.earlier; }
  /// What a mapping calls it: its earlier name where it stands under that.
  const std::string& name_in(const YamlFields& fields) const;
};

/// The keys of a mapping, as they were declared.
class KeyTable {
 public:
  const std::vector<Key>& keys() const { return keys_; }
  std::vector<std::string> names() const;
  /// The key of this name, or of this earlier name; null for none.
  const Key* find(std::string_view name) const;

  /// Error at the first key of a mapping that is none of these, and for one under both its names.
  void check(const YamlFields& fields) const;
  /// Keys that stand under an earlier name, in the mapping and in those below it: by that name, a
  /// sentence for the user that names the first place.
  std::map<std::string, std::string> earlier_names_in(const YamlFields& fields) const;

  /// The part of a configuration's JSON that is hashed.
  OrderedJson hashed_part(OrderedJson json) const;
  /// The names of keys whose hashed parts differ.
  std::vector<std::string> differing(const OrderedJson& a, const OrderedJson& b) const;
  /// " TAG=VALUE" of every key in the JSON that has a tag.
  std::string tags(const OrderedJson& json) const;

 protected:
  std::vector<Key> keys_;
};

/// The keys as Markdown: a table under `title`, which has groups of keys dotted ("a.b"), and one
/// for each list of mappings. With `hashed_title` a column of this title tells which are hashed.
std::string keys_markdown(const KeyTable& keys, std::string_view title,
                          std::string_view hashed_title = {});

}  // namespace elastikv
