#include "jinja/json_text.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "jinja/arguments.h"
#include "jinja/characters.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {
namespace {

Value string_from(Runtime& runtime, const std::string& text) {
  if (!is_valid_utf8(text)) fail("a variable holds text that is not UTF-8");
  return runtime.string(text);
}

/// json.dumps.
class Writer {
 public:
  Writer(Runtime& runtime, Arguments& arguments) : runtime_(runtime), out_(runtime) {
    const Bound bound("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
    ascii_ = bound.truth(0, false);
    sort_ = bound.truth(3, false);
    if (const auto indent = bound.optional(1)) {
      is_indented_ = true;
      between_.assign(1, ',');
      if (indent->is_string()) {
        indent_ = indent->as<StringObject>().text();
      } else {
        TextBuilder blanks(runtime);
        blanks.repeat(" ", static_cast<size_t>(std::max<int64_t>(require_integer(*indent), 0)));
        indent_ = blanks.take();
      }
    }
    if (const auto separators = bound.optional(2)) {
      const std::vector<Value> pair = items_of(runtime, *separators);
      if (pair.size() != 2) fail("separators of tojson are a pair");
      between_ = text_argument("separators", pair[0]);
      colon_ = text_argument("separators", pair[1]);
    }
  }

  std::string run(const Value& value) {
    write(value, 1);
    return out_.take();
  }

 private:
  void write(const Value& value, size_t depth) {
    const Runtime::Level level(runtime_);
    runtime_.step();
    switch (value.kind()) {
      case Kind::kNone:
        out_ += "null";
        return;
      case Kind::kBoolean:
        out_ += value.as_boolean() ? "true" : "false";
        return;
      case Kind::kInteger:
        out_ += std::to_string(value.as_integer());
        return;
      case Kind::kFloat:
        out_ += float_form(value.as_float());
        return;
      case Kind::kString:
        write_string(value.as<StringObject>().text());
        return;
      case Kind::kList:
      case Kind::kTuple:
        write_list(value.as<ListObject>().items, depth);
        return;
      case Kind::kDict:
        write_dict(value.as<DictObject>().entries, depth);
        return;
      default:
        fail("Object of type {} is not JSON serializable", type_name(value));
    }
  }

  static std::string float_form(double number) {
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
    return float_text(number);
  }

  void write_string(std::string_view text) {
    out_ += '"';
    size_t plain = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t size = character_size(text[at]);
      const char32_t character = character_at(text, at);
      const bool escaped = character < 0x20 || character == U'"' || character == U'\\' ||
                           (ascii_ && character >= 0x7F);
      if (escaped) {
        out_ += text.substr(plain, at - plain);
        write_escape(character);
        plain = at + size;
      }
      at += size;
    }
    out_ += text.substr(plain);
    out_ += '"';
  }

  void write_escape(char32_t character) {
    constexpr std::string_view kNamed = "\"\\\n\r\t\f\b";
    constexpr std::string_view kLetters = "\"\\nrtfb";
    const size_t named =
        character < 0x80 ? kNamed.find(static_cast<char>(character)) : std::string_view::npos;
    if (named != std::string_view::npos) {
      out_ += '\\';
      out_ += kLetters[named];
    } else if (character < 0x10000) {
      out_ += fmt::format("\\u{:04x}", static_cast<uint32_t>(character));
    } else {
      const uint32_t rest = static_cast<uint32_t>(character) - 0x10000;
      out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
    }
  }

  void new_line(size_t depth) {
    if (!is_indented_) return;
    out_ += '\n';
    out_.repeat(indent_, depth);
  }

  void write_list(const std::vector<Value>& items, size_t depth) {
    if (items.empty()) {
      out_ += "[]";
      return;
    }
    out_ += '[';
    bool first = true;
    for (const Value& item : items) {
      if (!first) out_ += between_;
      first = false;
      new_line(depth);
      write(item, depth + 1);
    }
    new_line(depth - 1);
    out_ += ']';
  }

  void write_dict(const Entries& entries, size_t depth) {
    if (entries.size() == 0) {
      out_ += "{}";
      return;
    }
    std::vector<const Entries::Entry*> order;
    for (const Entries::Entry& entry : entries) order.push_back(&entry);
    if (sort_) {
      std::stable_sort(order.begin(), order.end(), [&](const auto* one, const auto* other) {
        return less(runtime_, one->first, other->first);
      });
    }
    out_ += '{';
    bool first = true;
    for (const Entries::Entry* entry : order) {
      if (!first) out_ += between_;
      first = false;
      new_line(depth);
      write_string(key_text(entry->first));
      out_ += colon_;
      write(entry->second, depth + 1);
    }
    new_line(depth - 1);
    out_ += '}';
  }

  std::string key_text(const Value& key) const {
    switch (key.kind()) {
      case Kind::kString:
        return key.as<StringObject>().text();
      case Kind::kNone:
        return "null";
      case Kind::kBoolean:
        return key.as_boolean() ? "true" : "false";
      case Kind::kInteger:
        return std::to_string(key.as_integer());
      case Kind::kFloat:
        return float_form(key.as_float());
      default:
        fail("keys must be str, int, float, bool or None, not {}", type_name(key));
    }
  }

  Runtime& runtime_;
  TextBuilder out_;
  bool ascii_ = false;
  bool sort_ = false;
  bool is_indented_ = false;
  std::string indent_;
  std::string between_ = ", ";
  std::string colon_ = ": ";
};

}  // namespace

Value from_json(Runtime& runtime, const nlohmann::ordered_json& json) {
  using Type = nlohmann::ordered_json::value_t;
  const Runtime::Level level(runtime);
  switch (json.type()) {
    case Type::boolean:
      return Value::boolean(json.get<bool>());
    case Type::number_integer:
      return Value::integer(json.get<int64_t>());
    case Type::number_unsigned: {
      const auto number = json.get<uint64_t>();
      if (number > INT64_MAX) fail("a variable holds {}, which does not fit 64 bits", number);
      return Value::integer(static_cast<int64_t>(number));
    }
    case Type::number_float:
      return Value::number(json.get<double>());
    case Type::string:
      return string_from(runtime, json.get_ref<const std::string&>());
    case Type::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(from_json(runtime, item));
      return runtime.list(std::move(items));
    }
    case Type::object: {
      Entries entries;
      for (const auto& [key, value] : json.items()) {
        entries.set(runtime, string_from(runtime, key), from_json(runtime, value));
      }
      return runtime.dict(std::move(entries));
    }
    default:
      return Value::none();
  }
}

Value to_json(Runtime& runtime, const Value& value, Arguments& arguments) {
  return runtime.string(Writer(runtime, arguments).run(value));
}

}  // namespace elastikv::jinja
