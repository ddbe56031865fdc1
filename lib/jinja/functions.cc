// The functions that every template can call.

#include <algorithm>
#include <ctime>

#include "jinja/arguments.h"
#include "jinja/filters.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {
namespace {

Value range_function(Runtime& runtime, Arguments& arguments) {
  constexpr uint64_t kMostItems = 100000;  // jinja2.sandbox.MAX_RANGE
  require_positional("range", arguments, 1, 3);
  std::vector<int64_t> numbers;
  for (const Value& value : arguments.positional) numbers.push_back(require_integer(value));
  auto range = runtime.make<RangeObject>(0);
  range->start = numbers.size() > 1 ? numbers[0] : 0;
  range->stop = numbers.size() > 1 ? numbers[1] : numbers[0];
  range->step = numbers.size() > 2 ? numbers[2] : 1;
  if (range->step == 0) fail("range() arg 3 must not be zero");
  const bool down = range->step < 0;
  const auto from = static_cast<uint64_t>(down ? range->stop : range->start);
  const auto to = static_cast<uint64_t>(down ? range->start : range->stop);
  const bool empty = down ? range->stop >= range->start : range->start >= range->stop;
  const uint64_t pace =
      down ? 0 - static_cast<uint64_t>(range->step) : static_cast<uint64_t>(range->step);
  const uint64_t length = empty ? 0 : (to - from - 1) / pace + 1;
  if (length > kMostItems) {
    fail("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", kMostItems);
  }
  range->length = static_cast<int64_t>(length);
  return {Kind::kRange, range};
}

/// What dict(...) and namespace(...) are given: a dict or pairs, and names.
Entries entries_from(Runtime& runtime, std::string_view function, const Arguments& arguments) {
  Entries entries;
  if (arguments.positional.size() > 1) {
    fail("{} expected at most 1 argument, got {}", function, arguments.positional.size());
  }
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (source.is(Kind::kDict)) {
      runtime.step(length(source));
      entries = source.as<DictObject>().entries;
    } else {
      for (const Value& pair : items_of(runtime, source)) {
        const std::vector<Value> both = items_of(runtime, pair);
        if (both.size() != 2) {
          fail("dictionary update sequence element has length {}; 2 is required", both.size());
        }
        entries.set(runtime, both[0], both[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) {
    entries.set(runtime, runtime.string(name), value);
  }
  return entries;
}

Value dict_function(Runtime& runtime, Arguments& arguments) {
  return runtime.dict(entries_from(runtime, "dict", arguments));
}

Value namespace_function(Runtime& runtime, Arguments& arguments) {
  auto object = runtime.make_changeable<NamespaceObject>();
  object->entries = entries_from(runtime, "namespace", arguments);
  return {Kind::kNamespace, object};
}

Value cycler_function(Runtime& runtime, Arguments& arguments) {
  if (!arguments.named.empty()) fail("cycler() takes no keyword arguments");
  if (arguments.positional.empty()) fail("at least one item has to be provided");
  auto object = runtime.make<CyclerObject>(arguments.positional.size() * sizeof(Value));
  object->items = arguments.positional;
  return {Kind::kCycler, object};
}

Value joiner_function(Runtime& runtime, Arguments& arguments) {
  const Bound bound("joiner", arguments, {"sep"});
  auto object = runtime.make<JoinerObject>(0);
  object->separator = bound.has(0) ? bound[0] : runtime.string(", ");
  return {Kind::kJoiner, object};
}

Value lipsum_function(Runtime& /*runtime*/, Arguments& /*arguments*/) {
  fail("the function lipsum is not supported: a prompt must not depend on chance");
}

Value raise_function(Runtime& runtime, Arguments& arguments) {
  const Bound bound("raise_exception", arguments, {"message"}, 1);
  std::string message = to_text(runtime, bound[0]);
  throw Raised(message.empty() ? "the template raised an exception without a message" : message);
}

std::tm broken_down(const CivilTime& time) {
  std::tm parts{};
  parts.tm_year = time.year - 1900;
  parts.tm_mon = time.month - 1;
  parts.tm_mday = time.day;
  parts.tm_hour = time.hour;
  parts.tm_min = time.minute;
  parts.tm_sec = time.second;
  // The day of the week and of the year.
  std::tm copy = parts;
  timegm(&copy);
  parts.tm_wday = copy.tm_wday;
  parts.tm_yday = copy.tm_yday;
  return parts;
}

Value strftime_function(Runtime& runtime, Arguments& arguments) {
  const Bound bound("strftime_now", arguments, {"format"}, 1);
  const auto& now = runtime.environment().now;
  if (!now) {
    fail("the template asks for the date (strftime_now), and no date is given");
  }
  // What C's strftime has no answer for in a time without a zone.
  std::string format;
  const std::string& given = bound.text(0);
  for (size_t at = 0; at < given.size(); ++at) {
    if (given[at] != '%' || at + 1 == given.size()) {
      format += given[at];
      continue;
    }
    const char letter = given[++at];
    if (letter == 'f') {
      format += "000000";
    } else if (letter != 'z' && letter != 'Z') {
      format += '%';
      format += letter;
    }
  }
  if (format.empty()) return runtime.string("");
  if (format.find('\0') != std::string::npos) fail("embedded null character");
  const std::tm parts = broken_down(*now);
  constexpr size_t kMostBytes = 65536;
  std::string text(kMostBytes, '\0');
  const size_t size = std::strftime(text.data(), text.size(), format.c_str(), &parts);
  if (size == 0) fail("strftime_now: the date takes more than {} bytes", kMostBytes);
  text.resize(size);
  return runtime.string(std::move(text));
}

const Named<Function>& functions() {
  static const Named<Function> all{
      {"range", range_function},           {"dict", dict_function},
      {"namespace", namespace_function},   {"cycler", cycler_function},
      {"joiner", joiner_function},         {"lipsum", lipsum_function},
      {"raise_exception", raise_function}, {"strftime_now", strftime_function},
  };
  return all;
}

}  // namespace

Function find_function(std::string_view name) {
  for (const auto& [known, function] : functions()) {
    if (known == name) return function;
  }
  return nullptr;
}

}  // namespace elastikv::jinja
