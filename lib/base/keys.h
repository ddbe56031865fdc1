#pragma once

#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/key_table.h"
#include "base/value_form.h"
#include "base/yaml_fields.h"

namespace elastikv {

/// Says that a group of keys is kept in the very thing that holds the group.
struct Itself {
  template <typename T>
  T& operator()(T& value) const {
    return value;
  }
};
inline constexpr Itself kItself{};

/// The keys of a mapping that is kept as a `T`. Each is declared once; by that it is checked, read,
/// written as JSON, in the order of the declarations, and documented.
template <typename T>
class Keys : public KeyTable {
 public:
  /// Reads the value at a key.
  using Read = std::function<void(const YamlFields& node, T& value)>;
  /// The JSON of a key; null where there is nothing to be written.
  using Write = std::function<OrderedJson(const T& value)>;
  /// Fills in what the default of a key depends on, where a mapping is without the key.
  using Otherwise = std::function<void(const YamlFields& fields, T& value)>;

  /// What becomes of a key that is no plain member. A key without `read` is read by whoever reads
  /// the mapping, who knows what it depends on.
  struct Access {
    Read read{};
    Write write{};
    Otherwise otherwise{};
  };

  /// `fill` adds the keys.
  explicit Keys(void (*fill)(Keys& keys)) { fill(*this); }

  /// A key that is kept in a member: a pointer to it, or a callable that takes a `T` to it. The
  /// member is of the form's type, or an optional of it, which is written where it is set.
  template <typename Member, typename V>
  void add(std::string name, Member member, ValueForm<V> form, std::string help,
           KeyTraits traits = {}, Otherwise otherwise = {}) {
    using Held = std::decay_t<std::invoke_result_t<Member, T&>>;
    static_assert(std::is_same_v<Held, V> || std::is_same_v<Held, std::optional<V>>);
    Access access;
    access.read = [member, read = std::move(form.read)](const YamlFields& node, T& value) {
      std::invoke(member, value) = read(node);
    };
    access.write = [member, write = std::move(form.write)](const T& value) {
      const Held& held = std::invoke(member, value);
      if constexpr (std::is_same_v<Held, V>) {
        return write(held);
      } else {
        return held ? write(*held) : OrderedJson();
      }
    };
    access.otherwise = std::move(otherwise);
    const OrderedJson usual = access.write(fresh_);
    if (traits.otherwise.empty()) traits.otherwise = code_of(usual);
    declare(std::move(name), std::move(access), std::move(form.takes), std::move(help),
            std::move(traits));
    usual_.back() = usual;
  }

  /// A key that is none of the other kinds.
  void custom(std::string name, Access access, std::string takes, std::string help,
              KeyTraits traits = {}) {
    declare(std::move(name), std::move(access), std::move(takes), std::move(help),
            std::move(traits));
  }

  /// A mapping of further keys, kept in a member, or in the `T` itself (kItself). Written where any
  /// of its keys is.
  template <typename Member, typename S>
  void section(std::string name, Member member, const Keys<S>& inner, std::string help = {},
               KeyTraits traits = {}) {
    Access access;
    access.read = [member, keys = &inner](const YamlFields& node, T& value) {
      keys->read(node, std::invoke(member, value));
    };
    access.write = [member, keys = &inner](const T& value) {
      OrderedJson json = keys->write(std::invoke(member, value));
      return json.empty() ? OrderedJson() : json;
    };
    group(std::move(name), std::move(access), inner, "mapping", std::move(help), std::move(traits));
  }

  /// A mapping of further keys that is not read or written like a section.
  void group(std::string name, Access access, const KeyTable& inner, std::string takes,
             std::string help, KeyTraits traits = {}) {
    declare(std::move(name), std::move(access), std::move(takes), std::move(help),
            std::move(traits));
    keys_.back().inner = &inner;
  }

  /// A mapping of further keys, or a list of such mappings.
  void entries(std::string name, Access access, const KeyTable& inner, std::string takes,
               std::string help, KeyTraits traits = {}) {
    group(std::move(name), std::move(access), inner, std::move(takes), std::move(help),
          std::move(traits));
    keys_.back().entries = true;
  }

  /// Checks a mapping and puts the values of its keys into `value`, in the order of the
  /// declarations. Error for a key that is unknown, missing or malformed, with its line.
  void read(const YamlFields& fields, T& value) const {
    check(fields);
    for (size_t i = 0; i < keys_.size(); ++i) {
      const Access& access = access_[i];
      const std::string& name = keys_[i].name_in(fields);
      if (fields.has(name)) {
        if (access.read) access.read(fields.at(name), value);
      } else if (access.otherwise) {
        access.otherwise(fields, value);
      } else if (keys_[i].traits.required) {
        fields.at(name);  // Error
      }
    }
  }

  /// The value as JSON, in the form of the mapping.
  OrderedJson write(const T& value) const {
    OrderedJson json = OrderedJson::object();
    for (size_t i = 0; i < keys_.size(); ++i) {
      const Written written = keys_[i].traits.written;
      if (written == Written::kNever || !access_[i].write) continue;
      OrderedJson one = access_[i].write(value);
      if (one.is_null() || (written == Written::kWhereSet && one == usual_[i])) continue;
      json[keys_[i].json_name()] = std::move(one);
    }
    return json;
  }

  /// Several values as a JSON list.
  OrderedJson write_all(const std::vector<T>& values) const {
    OrderedJson list = OrderedJson::array();
    for (const T& value : values) list.push_back(write(value));
    return list;
  }

 private:
  void declare(std::string name, Access access, std::string takes, std::string help,
               KeyTraits traits) {
    Key key;
    key.name = std::move(name);
    key.takes = traits.lists ? or_list(std::move(takes), traits.lists->ranges) : std::move(takes);
    key.otherwise = traits.required ? "required" : traits.otherwise;
    key.help = std::move(help);
    key.traits = std::move(traits);
    keys_.push_back(std::move(key));
    access_.push_back(std::move(access));
    usual_.emplace_back();
  }

  /// A default as documentation shows it; nothing for none.
  static std::string code_of(const OrderedJson& value) {
    if (value.is_null() || value.empty()) return "";
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    return text.empty() ? "" : "`" + text + "`";
  }

  T fresh_{};                       // as it is before anything is read
  std::vector<Access> access_;      // by key
  std::vector<OrderedJson> usual_;  // by key: the default of a member; null for other keys
};

}  // namespace elastikv
