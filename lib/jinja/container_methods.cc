// The methods of Python's lists, tuples, ranges, dicts and numbers, and of Jinja's cycler.

#include <algorithm>
#include <cmath>

#include "jinja/arguments.h"
#include "jinja/attributes.h"
#include "jinja/operators.h"

namespace elastikv::jinja {
namespace {

Value sequence_index(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("index", arguments, 1, self.is(Kind::kRange) ? 1 : 3);
  const int64_t count = length(self);
  const auto bound = [&](size_t index, int64_t otherwise) {
    if (arguments.positional.size() <= index) return otherwise;
    const int64_t given = require_integer(arguments.positional[index]);
    return given < 0 ? std::max<int64_t>(given + count, 0) : given;
  };
  const int64_t last = std::min(bound(2, count), count);
  for (int64_t i = bound(1, 0); i < last; ++i) {
    const Value item = *item_of(runtime, self, Value::integer(i));
    if (equal(runtime, item, arguments.positional[0])) return Value::integer(i);
  }
  fail("the value is not in the {}", type_name(self));
}

Value sequence_count(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("count", arguments, 1, 1);
  int64_t count = 0;
  for (const Value& item : items_of(runtime, self)) {
    count += equal(runtime, item, arguments.positional[0]) ? 1 : 0;
  }
  return Value::integer(count);
}

Value list_copy(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("copy", arguments, 0, 0);
  return runtime.list(items_of(runtime, self));
}

Value dict_get(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("get", arguments, 1, 2);
  const Value* found = self.as<DictObject>().entries.find(runtime, arguments.positional[0]);
  if (found != nullptr) return *found;
  return arguments.positional.size() > 1 ? arguments.positional[1] : Value::none();
}

template <ViewObject::Part part>
Value dict_view(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional(view_name(part), arguments, 0, 0);
  auto view = runtime.make<ViewObject>(0);
  view->part = part;
  view->dict = self;
  return {Kind::kView, view};
}

Value dict_copy(Runtime& runtime, const Value& self, Arguments& arguments) {
  require_positional("copy", arguments, 0, 0);
  runtime.step(length(self));
  return runtime.dict(self.as<DictObject>().entries);
}

Value dict_fromkeys(Runtime& runtime, const Value& /*self*/, Arguments& arguments) {
  require_positional("fromkeys", arguments, 1, 2);
  const Value value = arguments.positional.size() > 1 ? arguments.positional[1] : Value::none();
  Entries entries;
  for (const Value& key : items_of(runtime, arguments.positional[0])) {
    entries.set(runtime, key, value);
  }
  return runtime.dict(std::move(entries));
}

Value is_integer(Runtime& /*runtime*/, const Value& self, Arguments& arguments) {
  require_positional("is_integer", arguments, 0, 0);
  const double number = self.as_number();
  return Value::boolean(std::isfinite(number) && number == std::floor(number));
}

Value conjugate(Runtime& /*runtime*/, const Value& self, Arguments& arguments) {
  require_positional("conjugate", arguments, 0, 0);
  return positive(self);
}

Value cycler_next(Runtime& /*runtime*/, const Value& self, Arguments& arguments) {
  require_positional("next", arguments, 0, 0);
  auto& cycler = self.as_mutable<CyclerObject>();
  Value item = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return item;
}

Value cycler_reset(Runtime& /*runtime*/, const Value& self, Arguments& arguments) {
  require_positional("reset", arguments, 0, 0);
  self.as_mutable<CyclerObject>().position = 0;
  return Value::none();
}

}  // namespace

const std::vector<NamedMethod>& container_methods(Kind kind) {
  static const std::vector<NamedMethod> none;
  static const std::vector<NamedMethod> list{
      {"copy", list_copy}, {"count", sequence_count}, {"index", sequence_index}};
  static const std::vector<NamedMethod> sequence{{"count", sequence_count},
                                                 {"index", sequence_index}};
  static const std::vector<NamedMethod> dict{{"copy", dict_copy},
                                             {"fromkeys", dict_fromkeys},
                                             {"get", dict_get},
                                             {"items", dict_view<ViewObject::Part::kItems>},
                                             {"keys", dict_view<ViewObject::Part::kKeys>},
                                             {"values", dict_view<ViewObject::Part::kValues>}};
  static const std::vector<NamedMethod> integer{{"conjugate", conjugate}};
  static const std::vector<NamedMethod> number{{"conjugate", conjugate},
                                               {"is_integer", is_integer}};
  static const std::vector<NamedMethod> cycler{{"next", cycler_next}, {"reset", cycler_reset}};
  switch (kind) {
    case Kind::kList:
      return list;
    case Kind::kTuple:
    case Kind::kRange:
      return sequence;
    case Kind::kDict:
      return dict;
    case Kind::kBoolean:
    case Kind::kInteger:
      return integer;
    case Kind::kFloat:
      return number;
    case Kind::kCycler:
      return cycler;
    default:
      return none;
  }
}

}  // namespace elastikv::jinja
