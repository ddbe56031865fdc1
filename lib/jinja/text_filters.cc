// Filters that make texts.

#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "jinja/arguments.h"
#include "jinja/characters.h"
#include "jinja/filters.h"
#include "jinja/json_text.h"
#include "jinja/operators.h"
#include "jinja/printf_format.h"
#include "jinja/python_text.h"
#include "jinja/text_tools.h"
#include "jinja/word_wrap.h"

namespace elastikv::jinja {
namespace {

const StringObject& string_of(const Value& value) { return value.as<StringObject>(); }

/// A string of Python's own; Error when the input is something else.
const StringObject& required_string(const Value& value) {
  require_defined(value);
  if (!value.is_string()) fail("a str is needed, not {}", type_name(value));
  return string_of(value);
}

Value escaped(Runtime& runtime, const Value& value) {
  if (value.is_string() && string_of(value).markup()) return value;
  return runtime.string(escape_html(to_text(runtime, value)), /*markup=*/true);
}

template <std::string (*change)(std::string_view)>
Value changed(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("filter", arguments, {});
  const Value text = to_string_value(runtime, input);
  runtime.require_room(string_of(text).text().size() * 3);
  return runtime.string(change(string_of(text).text()), string_of(text).markup());
}

/// The filter title: words begin behind white space and some brackets, unlike those of str.title.
std::string title_words(std::string_view text) {
  constexpr std::string_view kBreaks = "-({[<";
  const auto is_break = [&](size_t at) {
    return is_space(character_at(text, at)) || kBreaks.find(text[at]) != std::string_view::npos;
  };
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const bool breaks = is_break(at);
    const size_t begin = at;
    while (at < text.size() && is_break(at) == breaks) at += character_size(text[at]);
    const size_t first = character_size(text[begin]);
    out += upper(text.substr(begin, first));
    out += lower(text.substr(begin + first, at - begin - first));
  }
  return out;
}

Value title_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("title", arguments, {});
  return runtime.string(title_words(to_text(runtime, input)));
}

Value center_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("center", arguments, {"width"});
  const Value text = to_string_value(runtime, input);
  return runtime.string(centered(runtime, string_of(text).text(), bound.integer(0, 80), " "),
                        string_of(text).markup());
}

Value escape_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("escape", arguments, {});
  return escaped(runtime, input);
}

Value forceescape_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("forceescape", arguments, {});
  return runtime.string(escape_html(to_text(runtime, input)), /*markup=*/true);
}

Value safe_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("safe", arguments, {});
  return runtime.string(to_text(runtime, input), /*markup=*/true);
}

Value string_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("string", arguments, {});
  return to_string_value(runtime, input);
}

Value format_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    fail("can't handle positional and keyword arguments at the same time");
  }
  const Value format = to_string_value(runtime, input);
  if (arguments.named.empty()) {
    return printf_format(runtime, format, runtime.tuple(arguments.positional));
  }
  Entries entries;
  for (const auto& [name, value] : arguments.named) {
    entries.set(runtime, runtime.string(name), value);
  }
  return printf_format(runtime, format, runtime.dict(std::move(entries)));
}

Value indent_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("indent", arguments, {"width", "first", "blank"});
  const StringObject& string = required_string(input);
  TextBuilder blanks(runtime);
  if (bound.has(0) && bound[0].is_string()) {
    const StringObject& width = string_of(bound[0]);
    blanks += string.markup() && !width.markup() ? escape_html(width.text()) : width.text();
  } else {
    blanks.repeat(" ", static_cast<size_t>(std::max<int64_t>(bound.integer(0, 4), 0)));
  }
  const std::string indention = blanks.take();
  const bool blank = bound.truth(2, false);
  TextBuilder out(runtime);
  if (bound.truth(1, false)) out += indention;
  bool first = true;
  const std::string text = string.text() + "\n";
  for (const std::string_view line : split_lines(text, /*keep_ends=*/false)) {
    if (!first) {
      out += '\n';
      if (blank || !line.empty()) out += indention;
    }
    first = false;
    out += line;
  }
  return runtime.string(out.take(), string.markup());
}

Value replace_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("replace", arguments, {"old", "new", "count"}, 2);
  const auto count = bound.optional(2);
  return runtime.string(replaced(runtime, to_text(runtime, input), to_text(runtime, bound[0]),
                                 to_text(runtime, bound[1]), count ? require_integer(*count) : -1));
}

Value trim_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("trim", arguments, {"chars"});
  const Value text = to_string_value(runtime, input);
  const auto given = bound.optional(0);
  std::optional<std::string_view> characters;
  if (given) characters = text_argument("trim", *given);
  runtime.step_bytes(string_of(text).text().size());
  return runtime.string(std::string(stripped(string_of(text).text(), characters, true, true)),
                        string_of(text).markup());
}

/// The character that an HTML entity stands for. Error for one with a name that is not of HTML 2.
std::string unescaped(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> kNames[]{
      {"amp;", "&"},   {"lt;", "<"},   {"gt;", ">"},
      {"quot;", "\""}, {"apos;", "'"}, {"nbsp;", "\u00a0"}};
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '&') {
      out += text[at++];
      continue;
    }
    const std::string_view rest = text.substr(at + 1);
    const auto* named = std::find_if(std::begin(kNames), std::end(kNames), [&](const auto& name) {
      return rest.substr(0, name.first.size()) == name.first;
    });
    if (named != std::end(kNames)) {
      out += named->second;
      at += 1 + named->first.size();
      continue;
    }
    const bool hex = rest.size() > 1 && rest[0] == '#' && (rest[1] | 0x20) == 'x';
    const size_t begin = hex ? 2 : 1;
    const size_t end = std::min(
        rest.find_first_not_of(hex ? "0123456789abcdefABCDEF" : "0123456789", begin), rest.size());
    if (!rest.empty() && rest[0] == '#' && end > begin && end < begin + 8) {
      const auto code = static_cast<int64_t>(
          std::stoul(std::string(rest.substr(begin, end - begin)), nullptr, hex ? 16 : 10));
      if (code < 0x20 || (code >= 0x7F && code < 0xA0) || code > 0xD7FF) {
        fail("striptags: the entity &#{}; is not supported", code);
      }
      append_utf8(out, static_cast<char32_t>(code));
      at += 1 + end + (end < rest.size() && rest[end] == ';' ? 1 : 0);
      continue;
    }
    if (!rest.empty() && std::isalpha(static_cast<unsigned char>(rest[0])) != 0) {
      fail("striptags: named entities such as &{} are not supported", rest.substr(0, 8));
    }
    out += text[at++];
  }
  return out;
}

Value striptags_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("striptags", arguments, {});
  const std::string whole = to_text(runtime, input);
  const std::string_view text = whole;
  runtime.step_bytes(text.size());
  std::string kept;
  size_t at = 0;
  for (size_t start = text.find('<'); start != std::string_view::npos; start = text.find('<', at)) {
    const bool comment = text.substr(start, 4) == "<!--";
    const size_t end = comment ? find_text(text, "-->", start + 4) : text.find('>', start);
    if (end == std::string_view::npos) break;
    kept += text.substr(at, start - at);
    at = end + (comment ? 3 : 1);
  }
  kept += text.substr(at);
  std::string joined;
  for (const std::string_view word : split(kept, std::nullopt, -1)) {
    if (!joined.empty()) joined += ' ';
    joined += word;
  }
  return runtime.string(unescaped(joined));
}

Value truncate_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("truncate", arguments, {"length", "killwords", "end", "leeway"});
  const int64_t most = bound.integer(0, 255);
  const std::string end = bound.has(2) ? bound.text(2) : "...";
  const auto given_leeway = bound.optional(3);
  const int64_t leeway = given_leeway ? require_integer(*given_leeway) : 5;
  const auto end_length = static_cast<int64_t>(count_characters(end));
  if (most < end_length) fail("expected length >= {}, got {}", end_length, most);
  if (leeway < 0) fail("expected leeway >= 0, got {}", leeway);
  const int64_t count = length(input);
  if (count <= most || count - most <= leeway) return input;
  const StringObject& string = required_string(input);
  std::string_view kept = std::string_view(string.text())
                              .substr(0, string.offset(static_cast<size_t>(most - end_length)));
  if (!bound.truth(1, false)) {
    const size_t blank = kept.rfind(' ');
    if (blank != std::string_view::npos) kept = kept.substr(0, blank);
  }
  const std::string tail =
      string.markup() && !(bound.has(2) && string_of(bound[2]).markup()) ? escape_html(end) : end;
  return runtime.string(std::string(kept) + tail, string.markup());
}

std::string url_quoted(std::string_view text, bool for_query) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '_' || c == '.' || c == '-' || c == '~' ||
        (c == '/' && !for_query)) {
      out += c;
    } else if (c == ' ' && for_query) {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

Value urlencode_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("urlencode", arguments, {});
  if (input.is_string() || !iterator_of(runtime, input)) {
    return runtime.string(url_quoted(to_text(runtime, input), false));
  }
  std::vector<Value> pairs;
  if (input.is(Kind::kDict)) {
    for (const auto& [key, value] : input.as<DictObject>().entries) {
      pairs.push_back(runtime.tuple({key, value}));
    }
  } else {
    pairs = items_of(runtime, input);
  }
  TextBuilder out(runtime);
  for (const Value& pair : pairs) {
    const std::vector<Value> both = items_of(runtime, pair);
    if (both.size() != 2) fail("urlencode needs pairs of a key and a value");
    if (out.size() > 0) out += '&';
    out += url_quoted(to_text(runtime, both[0]), true);
    out += '=';
    out += url_quoted(to_text(runtime, both[1]), true);
  }
  return runtime.string(out.take());
}

Value wordcount_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("wordcount", arguments, {});
  const std::string text = to_text(runtime, input);
  int64_t count = 0;
  bool in_word = false;
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    const char32_t character = character_at(text, at);
    const bool part = character == U'_' || is_alnum(character);
    if (part && !in_word) ++count;
    in_word = part;
  }
  return Value::integer(count);
}

Value wordwrap_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("wordwrap", arguments,
                    {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  const StringObject& string = required_string(input);
  const auto between = bound.optional(2);
  const std::string end = between ? text_argument("wordwrap", *between) : "\n";
  WrapOptions options;
  options.width = bound.integer(0, 79);
  options.break_long_words = bound.truth(1, true);
  options.break_on_hyphens = bound.truth(3, true);
  runtime.step_bytes(string.text().size() * 16);
  TextBuilder out(runtime);
  bool first_paragraph = true;
  for (const std::string_view paragraph : split_lines(string.text(), /*keep_ends=*/false)) {
    if (!first_paragraph) out += end;
    first_paragraph = false;
    bool first = true;
    for (const std::string& line : wrapped(paragraph, options)) {
      if (!first) out += end;
      first = false;
      out += line;
    }
  }
  return runtime.string(out.take());
}

Value xmlattr_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("xmlattr", arguments, {"autospace"});
  require_defined(input);
  if (!input.is(Kind::kDict)) fail("'{}' object has no attribute 'items'", type_name(input));
  TextBuilder out(runtime);
  const bool blank = bound.truth(0, true);
  bool first = true;
  for (const auto& [key, value] : input.as<DictObject>().entries) {
    if (value.is_none() || value.is_undefined()) continue;
    const std::string& name = required_string(key).text();
    if (name.find_first_of(" \t\n\r\f\v/>=") != std::string::npos) {
      fail("Invalid character in attribute name: {}", repr_text(name));
    }
    if (!first || blank) out += ' ';
    first = false;
    out += string_of(escaped(runtime, key)).text();
    out += "=\"";
    out += string_of(escaped(runtime, value)).text();
    out += '"';
  }
  return runtime.string(out.take());
}

}  // namespace

const Named<Filter>& text_filters() {
  static const Named<Filter> filters{
      {"tojson", to_json},
      {"trim", trim_filter},
      {"replace", replace_filter},
      {"string", string_filter},
      {"upper", changed<upper>},
      {"lower", changed<lower>},
      {"capitalize", changed<capitalize>},
      {"title", title_filter},
      {"indent", indent_filter},
      {"format", format_filter},
      {"center", center_filter},
      {"e", escape_filter},
      {"escape", escape_filter},
      {"forceescape", forceescape_filter},
      {"safe", safe_filter},
      {"striptags", striptags_filter},
      {"truncate", truncate_filter},
      {"urlencode", urlencode_filter},
      {"wordcount", wordcount_filter},
      {"wordwrap", wordwrap_filter},
      {"xmlattr", xmlattr_filter},
  };
  return filters;
}

}  // namespace elastikv::jinja
