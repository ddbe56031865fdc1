// Filters about lists and dicts as a whole.

#include <algorithm>

#include "jinja/arguments.h"
#include "jinja/characters.h"
#include "jinja/filters.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {
namespace {

/// Makes its items when the first is asked for, as a generator of Python's does.
class LaterIterator final : public Iterator {
 public:
  using Maker = std::vector<Value> (*)(Runtime& runtime, const std::vector<Value>& inputs);
  LaterIterator(Maker maker, std::vector<Value> inputs)
      : maker_(maker), inputs_(std::move(inputs)) {}
  bool next(Runtime& runtime, Value& item) override {
    const Runtime::Level level(runtime);
    if (maker_ != nullptr) items_ = std::exchange(maker_, nullptr)(runtime, inputs_);
    if (index_ >= items_.size()) return false;
    item = std::move(items_[index_++]);
    return true;
  }

 private:
  Maker maker_;
  std::vector<Value> inputs_;
  std::vector<Value> items_;
  size_t index_ = 0;
};

Value later(Runtime& runtime, LaterIterator::Maker maker, std::vector<Value> inputs) {
  return {Kind::kIterator, runtime.make<LaterIterator>(256, maker, std::move(inputs))};
}

/// A value with what it is sorted by.
struct Keyed {
  Value key;
  Value item;
};

void sort_by_key(Runtime& runtime, std::vector<Keyed>& items, bool reverse) {
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& one, const Keyed& other) {
    return reverse ? less(runtime, other.key, one.key) : less(runtime, one.key, other.key);
  });
}

Value with_case(Runtime& runtime, const Value& value, bool case_sensitive) {
  return case_sensitive ? value : without_case(runtime, value);
}

Value length_filter(Runtime& /*runtime*/, const Value& input, Arguments& arguments) {
  const Bound bound("length", arguments, {});
  return Value::integer(length(input));
}

Value first_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("first", arguments, {});
  Value item;
  if (iterate(runtime, input)->next(runtime, item)) return item;
  return runtime.undefined("No first item, sequence was empty.");
}

Value last_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("last", arguments, {});
  const auto count = length_of(input);
  if (!count || input.is(Kind::kIterator)) fail("'{}' object is not reversible", type_name(input));
  if (*count == 0) return runtime.undefined("No last item, sequence was empty.");
  if (input.is(Kind::kDict) || input.is(Kind::kView)) return items_of(runtime, input).back();
  return *item_of(runtime, input, Value::integer(-1));
}

Value list_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("list", arguments, {});
  return runtime.list(items_of(runtime, input));
}

Value reverse_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("reverse", arguments, {});
  if (input.is_string()) {
    return slice(runtime, input, Value::none(), Value::none(), Value::integer(-1));
  }
  if (auto items = reversed_items(runtime, input)) return iterator_over(runtime, std::move(*items));
  if (!iterator_of(runtime, input)) fail("argument must be iterable");
  std::vector<Value> items = items_of(runtime, input);
  std::reverse(items.begin(), items.end());
  return runtime.list(std::move(items));
}

Value join_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("join", arguments, {"d", "attribute"});
  const AttributePath path(runtime, bound.optional(1));
  const std::string separator = bound.has(0) ? to_text(runtime, bound[0]) : "";
  const Ref<Iterator> items = iterate(runtime, input);
  TextBuilder out(runtime);
  bool first = true;
  Value item;
  while (items->next(runtime, item)) {
    runtime.step();
    if (!first) out += separator;
    first = false;
    append_text(runtime, out, path.of(runtime, item));
  }
  return runtime.string(out.take());
}

Value sum_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("sum", arguments, {"attribute", "start"});
  const AttributePath path(runtime, bound.optional(0));
  Value sum = bound.value(1, Value::integer(0));
  if (sum.is_string()) fail("sum() can't sum strings [use ''.join(seq) instead]");
  const Ref<Iterator> items = iterate(runtime, input);
  Value item;
  while (items->next(runtime, item)) {
    runtime.step();
    sum = arithmetic(runtime, "+", sum, path.of(runtime, item));
  }
  return sum;
}

template <bool largest>
Value extreme_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("min", arguments, {"case_sensitive", "attribute"});
  const AttributePath path(runtime, bound.optional(1));
  const bool case_sensitive = bound.truth(0, false);
  const Ref<Iterator> items = iterate(runtime, input);
  std::optional<Keyed> best;
  Value item;
  while (items->next(runtime, item)) {
    runtime.step();
    Keyed keyed{with_case(runtime, path.of(runtime, item), case_sensitive), item};
    if (!best || compare(runtime, largest ? ">" : "<", keyed.key, best->key)) {
      best = std::move(keyed);
    }
  }
  if (!best) return runtime.undefined("No aggregated item, sequence was empty.");
  return best->item;
}

Value sort_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  const bool case_sensitive = bound.truth(1, false);
  // A text may name several attributes, between commas.
  std::vector<AttributePath> paths;
  const auto attribute = bound.optional(2);
  if (attribute && attribute->is_string()) {
    std::string_view rest = attribute->as<StringObject>().text();
    for (size_t comma = 0; comma != std::string_view::npos;) {
      comma = rest.find(',');
      paths.emplace_back(runtime, runtime.string(std::string(rest.substr(0, comma))));
      rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
    }
  } else {
    paths.emplace_back(runtime, attribute);
  }
  std::vector<Keyed> keyed;
  for (const Value& item : items_of(runtime, input)) {
    std::vector<Value> keys;
    keys.reserve(paths.size());
    for (const AttributePath& path : paths) {
      keys.push_back(with_case(runtime, path.of(runtime, item), case_sensitive));
    }
    keyed.push_back({runtime.list(std::move(keys)), item});
  }
  sort_by_key(runtime, keyed, bound.truth(0, false));
  std::vector<Value> sorted;
  sorted.reserve(keyed.size());
  for (Keyed& one : keyed) sorted.push_back(std::move(one.item));
  return runtime.list(std::move(sorted));
}

Value dictsort_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string by = bound.has(1) ? bound.text(1) : "key";
  if (by != "key" && by != "value") fail("You can only sort by either \"key\" or \"value\"");
  require_defined(input);
  if (!input.is(Kind::kDict)) fail("'{}' object has no attribute 'items'", type_name(input));
  std::vector<Keyed> keyed;
  for (const auto& [key, value] : input.as<DictObject>().entries) {
    keyed.push_back({with_case(runtime, by == "key" ? key : value, bound.truth(0, false)),
                     runtime.tuple({key, value})});
  }
  sort_by_key(runtime, keyed, bound.truth(2, false));
  std::vector<Value> sorted;
  sorted.reserve(keyed.size());
  for (Keyed& one : keyed) sorted.push_back(std::move(one.item));
  return runtime.list(std::move(sorted));
}

Value groupby_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  AttributePath path(runtime, bound.optional(0));
  path.set_default(bound.optional(1));
  const bool case_sensitive = bound.truth(2, false);
  std::vector<Keyed> keyed;
  for (const Value& item : items_of(runtime, input)) {
    keyed.push_back({with_case(runtime, path.of(runtime, item), case_sensitive), item});
  }
  sort_by_key(runtime, keyed, false);
  std::vector<Value> groups;
  for (size_t begin = 0; begin < keyed.size();) {
    std::vector<Value> members;
    size_t end = begin;
    while (end < keyed.size() && equal(runtime, keyed[end].key, keyed[begin].key)) {
      members.push_back(keyed[end++].item);
    }
    Value group =
        runtime.tuple({path.of(runtime, keyed[begin].item), runtime.list(std::move(members))});
    group.as_mutable<ListObject>().group = true;
    groups.push_back(std::move(group));
    begin = end;
  }
  return runtime.list(std::move(groups));
}

std::vector<Value> make_unique(Runtime& runtime, const std::vector<Value>& inputs) {
  const AttributePath path(runtime, inputs[1].is_none() ? std::nullopt : std::optional(inputs[1]));
  Entries seen;
  std::vector<Value> items;
  for (const Value& item : items_of(runtime, inputs[0])) {
    const Value key = with_case(runtime, path.of(runtime, item), truth(inputs[2]));
    if (seen.find(runtime, key) != nullptr) continue;
    seen.set(runtime, key, Value::none());
    items.push_back(item);
  }
  return items;
}

Value unique_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("unique", arguments, {"case_sensitive", "attribute"});
  return later(runtime, make_unique,
               {input, bound.value(1, Value::none()), Value::boolean(bound.truth(0, false))});
}

std::vector<Value> make_batches(Runtime& runtime, const std::vector<Value>& inputs) {
  std::vector<Value> batches;
  std::vector<Value> batch;
  const auto is_full = [&] {
    return equal(runtime, Value::integer(static_cast<int64_t>(batch.size())), inputs[1]);
  };
  for (const Value& item : items_of(runtime, inputs[0])) {
    if (is_full()) batches.push_back(runtime.list(std::exchange(batch, {})));
    batch.push_back(item);
  }
  if (batch.empty()) return batches;
  if (!inputs[2].is_none()) {
    const int64_t missing = require_integer(inputs[1]) - static_cast<int64_t>(batch.size());
    if (missing > 0) {
      runtime.step(missing);
      batch.insert(batch.end(), static_cast<size_t>(missing), inputs[2]);
    }
  }
  batches.push_back(runtime.list(std::move(batch)));
  return batches;
}

Value batch_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("batch", arguments, {"linecount", "fill_with"}, 1);
  return later(runtime, make_batches, {input, bound[0], bound.value(1, Value::none())});
}

std::vector<Value> make_slices(Runtime& runtime, const std::vector<Value>& inputs) {
  const std::vector<Value> items = items_of(runtime, inputs[0]);
  const int64_t count = require_integer(inputs[1]);
  if (count == 0) fail("integer division or modulo by zero");
  std::vector<Value> slices;
  if (count < 0) return slices;
  runtime.step(count);
  const auto wanted = static_cast<size_t>(count);
  const size_t size = items.size() / wanted;
  const size_t larger = items.size() % wanted;
  auto at = items.begin();
  for (size_t i = 0; i < wanted; ++i) {
    const auto end = at + static_cast<std::ptrdiff_t>(size + (i < larger ? 1 : 0));
    std::vector<Value> part(at, end);
    if (!inputs[2].is_none() && i >= larger) part.push_back(inputs[2]);
    slices.push_back(runtime.list(std::move(part)));
    at = end;
  }
  return slices;
}

Value slice_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("slice", arguments, {"slices", "fill_with"}, 1);
  return later(runtime, make_slices, {input, bound[0], bound.value(1, Value::none())});
}

std::vector<Value> make_items(Runtime& runtime, const std::vector<Value>& inputs) {
  if (inputs[0].is_undefined()) return {};
  if (!inputs[0].is(Kind::kDict)) fail("Can only get item pairs from a mapping.");
  std::vector<Value> items;
  for (const auto& [key, value] : inputs[0].as<DictObject>().entries) {
    items.push_back(runtime.tuple({key, value}));
  }
  return items;
}

Value items_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("items", arguments, {});
  return later(runtime, make_items, {input});
}

}  // namespace

const Named<Filter>& sequence_filters() {
  static const Named<Filter> filters{
      {"length", length_filter},     {"count", length_filter},  {"first", first_filter},
      {"last", last_filter},         {"list", list_filter},     {"join", join_filter},
      {"reverse", reverse_filter},   {"sum", sum_filter},       {"min", extreme_filter<false>},
      {"max", extreme_filter<true>}, {"sort", sort_filter},     {"dictsort", dictsort_filter},
      {"groupby", groupby_filter},   {"unique", unique_filter}, {"batch", batch_filter},
      {"slice", slice_filter},       {"items", items_filter},
  };
  return filters;
}

}  // namespace elastikv::jinja
