// The methods of Python's str.

#include <algorithm>

#include "jinja/arguments.h"
#include "jinja/attributes.h"
#include "jinja/characters.h"
#include "jinja/format_spec.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/text_tools.h"

namespace elastikv::jinja {
namespace {

constexpr size_t kNowhere = std::string_view::npos;

const StringObject& string_of(const Value& self) { return self.as<StringObject>(); }
const std::string& text_of(const Value& self) { return string_of(self).text(); }

/// A string that is markup when `self` is.
Value alike(Runtime& runtime, const Value& self, std::string text) {
  return runtime.string(std::move(text), string_of(self).markup());
}

/// The text of an argument, escaped when it goes into markup.
std::string inserted(const Value& self, std::string_view function, const Value& argument) {
  const std::string& text = text_argument(function, argument);
  const bool escape = string_of(self).markup() && !string_of(argument).markup();
  return escape ? escape_html(text) : text;
}

template <std::string (*change)(std::string_view)>
Value changed(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("str method", arguments, 0, 0);
  runtime.step_bytes(text_of(self).size());
  runtime.require_room(text_of(self).size() * 3);
  return alike(runtime, self, change(text_of(self)));
}

template <bool left, bool right>
Value strip_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("strip", arguments, 0, 1);
  std::optional<std::string_view> characters;
  if (!arguments.positional.empty() && !arguments.positional[0].is_none()) {
    characters = text_argument("strip", arguments.positional[0]);
  }
  runtime.step_bytes(text_of(self).size());
  return alike(runtime, self, std::string(stripped(text_of(self), characters, left, right)));
}

/// The bytes [first, second) of the code points that arguments `from` and `from + 1` bound, as
/// Python's slices do; nothing when the first is beyond the end.
std::optional<std::pair<size_t, size_t>> bounds(const StringObject& string,
                                                const Arguments& arguments, size_t from) {
  const auto count = static_cast<int64_t>(string.length());
  const auto bound = [&](size_t index, int64_t otherwise) {
    if (arguments.positional.size() <= index || arguments.positional[index].is_none())
      return otherwise;
    if (!arguments.positional[index].is_integral()) {
      fail("slice indices must be integers or None or have an __index__ method");
    }
    const int64_t given = arguments.positional[index].as_integer();
    return given < 0 ? std::max<int64_t>(given + count, 0) : given;
  };
  const int64_t first = bound(from, 0);
  const int64_t last = std::min(bound(from + 1, count), count);
  if (first > last) return std::nullopt;
  return std::pair(string.offset(static_cast<size_t>(first)),
                   string.offset(static_cast<size_t>(last)));
}

/// The code point at which a part is found, -1 if nowhere.
int64_t found_at(Runtime& runtime, const Value& self, const Arguments& arguments, bool last) {
  require_positional("find", arguments, 1, 3);
  const std::string& part = text_argument("find", arguments.positional[0]);
  const auto range = bounds(string_of(self), arguments, 1);
  if (!range) return -1;
  runtime.step_bytes(text_of(self).size());
  const std::string_view within =
      std::string_view(text_of(self)).substr(0, range->second).substr(range->first);
  const size_t found = last ? find_last(within, part) : find_text(within, part);
  if (found == kNowhere) return -1;
  return static_cast<int64_t>(
      count_characters(std::string_view(text_of(self)).substr(0, range->first + found)));
}

template <bool last, bool required>
Value find_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  const int64_t found = found_at(runtime, self, arguments, last);
  if (required && found < 0) fail("substring not found");
  return Value::integer(found);
}

Value count_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("count", arguments, 1, 3);
  const std::string& part = text_argument("count", arguments.positional[0]);
  const auto range = bounds(string_of(self), arguments, 1);
  if (!range) return Value::integer(0);
  runtime.step_bytes(text_of(self).size());
  const std::string_view within =
      std::string_view(text_of(self)).substr(0, range->second).substr(range->first);
  if (part.empty()) return Value::integer(static_cast<int64_t>(count_characters(within)) + 1);
  int64_t count = 0;
  for (size_t at = find_text(within, part); at != kNowhere;
       at = find_text(within, part, at + part.size())) {
    ++count;
  }
  return Value::integer(count);
}

template <bool end>
Value affix_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  constexpr std::string_view kName = end ? "endswith" : "startswith";
  require_positional(kName, arguments, 1, 3);
  const auto range = bounds(string_of(self), arguments, 1);
  const auto matches = [&](const Value& affix) {
    runtime.step();
    const std::string& text = text_argument(kName, affix);
    if (!range) return false;
    const std::string_view within =
        std::string_view(text_of(self)).substr(0, range->second).substr(range->first);
    if (text.size() > within.size()) return false;
    return within.substr(end ? within.size() - text.size() : 0, text.size()) == text;
  };
  const Value& affix = arguments.positional[0];
  if (!affix.is(Kind::kTuple)) return Value::boolean(matches(affix));
  const auto& affixes = affix.as<ListObject>().items;
  return Value::boolean(std::any_of(affixes.begin(), affixes.end(), matches));
}

template <bool from_right>
Value split_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  const Bound bound("split", arguments, {"sep", "maxsplit"});
  const auto separator = bound.optional(0);
  std::optional<std::string_view> text;
  if (separator) text = text_argument("split", *separator);
  const int64_t most = bound.integer(1, -1);
  runtime.step_bytes(text_of(self).size());
  const auto parts =
      from_right ? split_from_right(text_of(self), text, most) : split(text_of(self), text, most);
  return runtime.list(strings(runtime, parts, string_of(self)));
}

Value splitlines_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  const Bound bound("splitlines", arguments, {"keepends"});
  runtime.step_bytes(text_of(self).size());
  return runtime.list(
      strings(runtime, split_lines(text_of(self), bound.truth(0, false)), string_of(self)));
}

template <bool last>
Value partition_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("partition", arguments, 1, 1);
  const std::string_view separator = text_argument("partition", arguments.positional[0]);
  if (separator.empty()) fail("empty separator");
  const std::string_view text = text_of(self);
  runtime.step_bytes(text.size());
  const size_t found = last ? find_last(text, separator) : find_text(text, separator);
  std::vector<std::string_view> parts;
  if (found != kNowhere) {
    parts = {text.substr(0, found), separator, text.substr(found + separator.size())};
  } else if (last) {
    parts = {"", "", text};
  } else {
    parts = {text, "", ""};
  }
  return runtime.tuple(strings(runtime, parts, string_of(self)));
}

template <bool prefix>
Value remove_affix(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("removeprefix", arguments, 1, 1);
  const std::string_view affix = text_argument("removeprefix", arguments.positional[0]);
  std::string_view text = text_of(self);
  if (!affix.empty() && text.size() >= affix.size()) {
    if (prefix && text.substr(0, affix.size()) == affix) {
      text.remove_prefix(affix.size());
    } else if (!prefix && text.substr(text.size() - affix.size()) == affix) {
      text.remove_suffix(affix.size());
    }
  }
  return alike(runtime, self, std::string(text));
}

Value replace_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("replace", arguments, 2, 3);
  const int64_t count =
      arguments.positional.size() < 3 ? -1 : require_integer(arguments.positional[2]);
  return alike(runtime, self,
               replaced(runtime, text_of(self), text_argument("replace", arguments.positional[0]),
                        inserted(self, "replace", arguments.positional[1]), count));
}

Value join_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("join", arguments, 1, 1);
  TextBuilder out(runtime);
  size_t index = 0;
  for (const Value& item : items_of(runtime, arguments.positional[0])) {
    if (index++ > 0) out += text_of(self);
    if (!item.is_string() && string_of(self).markup()) {
      out += escape_html(to_text(runtime, item));
      continue;
    }
    if (!item.is_string()) {
      fail("sequence item {}: expected str instance, {} found", index - 1, type_name(item));
    }
    out += inserted(self, "join", item);
  }
  return alike(runtime, self, out.take());
}

/// One character to fill with.
std::string filler(const Value& self, const Arguments& arguments) {
  if (arguments.positional.size() < 2) return " ";
  std::string fill = inserted(self, "fill", arguments.positional[1]);
  if (count_characters(fill) != 1) {
    fail("The fill character must be exactly one character long");
  }
  return fill;
}

Value center_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("center", arguments, 1, 2);
  const int64_t width = require_integer(arguments.positional[0]);
  return alike(runtime, self, centered(runtime, text_of(self), width, filler(self, arguments)));
}

template <bool left>
Value justify_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("ljust", arguments, 1, 2);
  const int64_t missing = std::max<int64_t>(require_integer(arguments.positional[0]), 0) -
                          static_cast<int64_t>(string_of(self).length());
  const std::string fill = filler(self, arguments);
  TextBuilder out(runtime);
  if (!left && missing > 0) out.repeat(fill, static_cast<size_t>(missing));
  out += text_of(self);
  if (left && missing > 0) out.repeat(fill, static_cast<size_t>(missing));
  return alike(runtime, self, out.take());
}

Value zfill_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("zfill", arguments, 1, 1);
  const int64_t missing = std::max<int64_t>(require_integer(arguments.positional[0]), 0) -
                          static_cast<int64_t>(string_of(self).length());
  std::string_view text = text_of(self);
  TextBuilder out(runtime);
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    out += text[0];
    text.remove_prefix(1);
  }
  if (missing > 0) out.repeat("0", static_cast<size_t>(missing));
  out += text;
  return alike(runtime, self, out.take());
}

Value expandtabs_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  const Bound bound("expandtabs", arguments, {"tabsize"});
  const int64_t size = bound.integer(0, 8);
  TextBuilder out(runtime);
  int64_t column = 0;
  const std::string& text = text_of(self);
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    if (text[at] == '\t') {
      const int64_t blanks = size > 0 ? size - column % size : 0;
      out.repeat(" ", static_cast<size_t>(blanks));
      column += blanks;
      continue;
    }
    out += std::string_view(text).substr(at, character_size(text[at]));
    column = text[at] == '\n' || text[at] == '\r' ? 0 : column + 1;
  }
  return alike(runtime, self, out.take());
}

Value format_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  return format_string(runtime, self, arguments);
}

Value format_map_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("format_map", arguments, 1, 1);
  const Value& mapping = arguments.positional[0];
  if (!mapping.is(Kind::kDict)) fail("format_map() takes a dict, not {}", type_name(mapping));
  Arguments named;
  for (const auto& [key, value] : mapping.as<DictObject>().entries) {
    if (key.is_string()) named.named.emplace_back(text_of(key), value);
  }
  return format_string(runtime, self, named);
}

/// Whether there are characters and all are of a kind.
template <bool (*is_of_kind)(char32_t)>
Value all_are(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("is...", arguments, 0, 0);
  const std::string& text = text_of(self);
  runtime.step_bytes(text.size());
  bool all = !text.empty();
  for (size_t at = 0; all && at < text.size(); at += character_size(text[at])) {
    all = is_of_kind(character_at(text, at));
  }
  return Value::boolean(all);
}

Value isprintable_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  if (text_of(self).empty()) return Value::boolean(true);
  return all_are<is_printable>(runtime, self, arguments);
}

Value isascii_method(Runtime& /*runtime*/, const Value& self, Arguments& arguments) {
  require_positional("isascii", arguments, 0, 0);
  return Value::boolean(string_of(self).ascii());
}

Value isidentifier_method(Runtime& /*runtime*/, const Value& self, Arguments& arguments) {
  require_positional("isidentifier", arguments, 0, 0);
  const std::string& text = text_of(self);
  bool all = !text.empty() && is_identifier_start(character_at(text, 0));
  for (size_t at = 0; all && at < text.size(); at += character_size(text[at])) {
    all = is_identifier_part(character_at(text, at));
  }
  return Value::boolean(all);
}

template <bool lower_case>
Value case_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("islower", arguments, 0, 0);
  return Value::boolean(lower_case ? is_lower_text(runtime, text_of(self))
                                   : is_upper_text(runtime, text_of(self)));
}

Value istitle_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("istitle", arguments, 0, 0);
  const std::string& text = text_of(self);
  runtime.step_bytes(text.size());
  bool cased = false;
  bool in_word = false;
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    const char32_t character = character_at(text, at);
    const bool begins = is_upper(character) || is_title(character);
    if (begins ? in_word : is_lower(character) && !in_word) return Value::boolean(false);
    in_word = begins || is_lower(character);
    cased = cased || in_word;
  }
  return Value::boolean(cased);
}

}  // namespace

bool is_lower_text(Runtime& runtime, std::string_view text) {
  runtime.step_bytes(text.size());
  bool cased = false;
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    const char32_t character = character_at(text, at);
    if (is_upper(character) || is_title(character)) return false;
    cased = cased || is_lower(character);
  }
  return cased;
}

bool is_upper_text(Runtime& runtime, std::string_view text) {
  runtime.step_bytes(text.size());
  bool cased = false;
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    const char32_t character = character_at(text, at);
    if (is_lower(character) || is_title(character)) return false;
    cased = cased || is_upper(character);
  }
  return cased;
}

const std::vector<NamedMethod>& string_methods() {
  static const std::vector<NamedMethod> methods{
      {"capitalize", changed<capitalize>},
      {"casefold", changed<casefold>},
      {"center", center_method},
      {"count", count_method},
      {"endswith", affix_method<true>},
      {"expandtabs", expandtabs_method},
      {"find", find_method<false, false>},
      {"format", format_method},
      {"format_map", format_map_method},
      {"index", find_method<false, true>},
      {"isalnum", all_are<is_alnum>},
      {"isalpha", all_are<is_alpha>},
      {"isascii", isascii_method},
      {"isdecimal", all_are<is_decimal>},
      {"isdigit", all_are<is_digit>},
      {"isidentifier", isidentifier_method},
      {"islower", case_method<true>},
      {"isnumeric", all_are<is_numeric>},
      {"isprintable", isprintable_method},
      {"isspace", all_are<is_space>},
      {"istitle", istitle_method},
      {"isupper", case_method<false>},
      {"join", join_method},
      {"ljust", justify_method<true>},
      {"lower", changed<lower>},
      {"lstrip", strip_method<true, false>},
      {"partition", partition_method<false>},
      {"removeprefix", remove_affix<true>},
      {"removesuffix", remove_affix<false>},
      {"replace", replace_method},
      {"rfind", find_method<true, false>},
      {"rindex", find_method<true, true>},
      {"rjust", justify_method<false>},
      {"rpartition", partition_method<true>},
      {"rsplit", split_method<true>},
      {"rstrip", strip_method<false, true>},
      {"split", split_method<false>},
      {"splitlines", splitlines_method},
      {"startswith", affix_method<false>},
      {"strip", strip_method<true, true>},
      {"swapcase", changed<swapcase>},
      {"title", changed<title>},
      {"upper", changed<upper>},
      {"zfill", zfill_method},
  };
  return methods;
}

}  // namespace elastikv::jinja
