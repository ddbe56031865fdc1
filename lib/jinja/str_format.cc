// Python's str.format, as the class string.Formatter does it.

#include <algorithm>

#include "jinja/attributes.h"
#include "jinja/characters.h"
#include "jinja/format_spec.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {
namespace {

class Formatter {
 public:
  Formatter(Runtime& runtime, const Arguments& arguments, bool markup)
      : runtime_(runtime), arguments_(arguments), markup_(markup) {}

  /// `depth` is how often fields may still stand in the specifications of fields.
  void run(TextBuilder& out, std::string_view format, int depth) {
    for (size_t at = 0; at < format.size();) {
      const char c = format[at];
      if (c != '{' && c != '}') {
        const size_t end = std::min(format.find_first_of("{}", at), format.size());
        out += format.substr(at, end - at);
        at = end;
      } else if (at + 1 < format.size() && format[at + 1] == c) {
        out += c;
        at += 2;
      } else if (c == '}') {
        fail("Single '}}' encountered in format string");
      } else {
        at = field(out, format, at + 1, depth);
      }
    }
  }

 private:
  /// Writes the field that begins at `begin`, behind its brace; returns where it ends.
  size_t field(TextBuilder& out, std::string_view format, size_t begin, int depth) {
    if (depth == 0) fail("Max string recursion exceeded");
    if (begin >= format.size()) fail("Single '{{' encountered in format string");
    size_t end = begin;
    int open = 1;
    bool in_index = false;
    size_t name_end = std::string_view::npos;
    for (; end < format.size(); ++end) {
      const char c = format[end];
      if (name_end == std::string_view::npos) {
        if (c == '[') in_index = true;
        if (c == ']') in_index = false;
        if (in_index) continue;
        if (c == '!' || c == ':') name_end = end;
        if (c == '{') fail("unexpected '{{' in field name");
      }
      if (c == '{') ++open;
      if (c == '}' && --open == 0) break;
    }
    if (end >= format.size()) fail("expected '}}' before end of string");
    if (name_end == std::string_view::npos) name_end = end;
    Value value = look_up(format.substr(begin, name_end - begin));
    size_t at = name_end;
    if (format[at] == '!') {
      if (at + 1 >= end) fail("end of string while looking for conversion specifier");
      value = converted(value, format[at + 1]);
      at += 2;
      if (at < end && format[at] != ':') fail("expected ':' after conversion specifier");
    }
    std::string spec;
    if (at < end && format[at] == ':') {
      TextBuilder inner(runtime_);
      run(inner, format.substr(at + 1, end - at - 1), depth - 1);
      spec = inner.take();
    }
    write(out, value, spec);
    return end + 1;
  }

  void write(TextBuilder& out, const Value& value, const std::string& spec) {
    const bool is_markup = value.is_string() && value.as<StringObject>().markup();
    if (markup_ && is_markup) {
      if (!spec.empty()) fail("Unsupported format specification for Markup.");
      out += value.as<StringObject>().text();
      return;
    }
    const std::string text = format_value(runtime_, value, spec);
    out += markup_ ? escape_html(text) : text;
  }

  Value converted(const Value& value, char how) {
    switch (how) {
      case 's':
        return runtime_.string(to_text(runtime_, value));
      case 'r':
        return runtime_.string(repr(runtime_, value));
      case 'a':
        return runtime_.string(ascii_only(repr(runtime_, value)));
      default:
        fail("Unknown conversion specifier {}", how);
    }
  }

  Value positional(size_t index) {
    if (index >= arguments_.positional.size()) {
      fail("Replacement index {} out of range for positional args tuple", index);
    }
    return arguments_.positional[index];
  }

  Value look_up(std::string_view name) {
    const size_t first_end = std::min(name.find_first_of(".["), name.size());
    const std::string_view first = name.substr(0, first_end);
    Value value;
    if (first.empty()) {
      if (numbered_ == 1)
        fail("cannot switch from manual field specification to automatic field numbering");
      numbered_ = 2;
      value = positional(next_++);
    } else if (first.find_first_not_of("0123456789") == std::string_view::npos) {
      if (numbered_ == 2)
        fail("cannot switch from automatic field numbering to manual field specification");
      numbered_ = 1;
      value = positional(first.size() > 6 ? SIZE_MAX : std::stoul(std::string(first)));
    } else {
      const auto named =
          std::find_if(arguments_.named.begin(), arguments_.named.end(),
                       [&](const auto& argument) { return argument.first == first; });
      if (named == arguments_.named.end()) fail("{}", repr_text(first));
      value = named->second;
    }
    for (size_t at = first_end; at < name.size();) {
      if (name[at] == '.') {
        const size_t end = std::min(name.find_first_of(".[", at + 1), name.size());
        if (end == at + 1) fail("Empty attribute in format string");
        value = get_attribute(runtime_, value, name.substr(at + 1, end - at - 1));
        at = end;
        continue;
      }
      if (name[at] != '[') fail("Only '.' or '[' may follow ']' in format field specifier");
      const size_t end = name.find(']', at);
      if (end == std::string_view::npos) fail("Missing ']' in format string");
      const std::string_view key = name.substr(at + 1, end - at - 1);
      if (key.empty()) fail("Empty attribute in format string");
      const bool is_index =
          key.size() < 10 && key.find_first_not_of("0123456789") == std::string_view::npos;
      value = get_item(runtime_, value,
                       is_index ? Value::integer(std::stol(std::string(key)))
                                : runtime_.string(std::string(key)));
      at = end + 1;
    }
    return value;
  }

  Runtime& runtime_;
  const Arguments& arguments_;
  bool markup_;
  size_t next_ = 0;
  int numbered_ = 0;  // 1 by hand, 2 automatically
};

}  // namespace

Value format_string(Runtime& runtime, const Value& format, const Arguments& arguments) {
  const auto& string = format.as<StringObject>();
  constexpr int kFieldsInFields = 2;
  TextBuilder out(runtime);
  Formatter(runtime, arguments, string.markup()).run(out, string.text(), kFieldsInFields);
  return runtime.string(out.take(), string.markup());
}

}  // namespace elastikv::jinja
