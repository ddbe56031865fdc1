#include "jinja/value.h"

#include "jinja/objects.h"

namespace elastikv::jinja {

void Object::bury(const Object* dead) {
  // What an object held is freed by the outermost call, one after another.
  thread_local const Object* waiting = nullptr;
  thread_local bool digging = false;
  dead->next_dead_ = waiting;
  waiting = dead;
  if (digging) return;
  digging = true;
  while (waiting != nullptr) {
    const Object* next = waiting;
    waiting = next->next_dead_;
    delete next;
  }
  digging = false;
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBoolean:
      return "bool";
    case Kind::kInteger:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return value.as<StringObject>().markup() ? "Markup" : "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kRange:
      return "range";
    case Kind::kView:
      return view_name(value.as<ViewObject>().part);
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kIterator:
      return "generator";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kMacro:
      return "Macro";
    case Kind::kFunction:
      return "function";
    case Kind::kMethod:
      return "builtin_function_or_method";
    case Kind::kCycler:
      return "Cycler";
    case Kind::kJoiner:
      return "Joiner";
  }
  return "object";
}

std::string described_type(const Value& value) {
  switch (value.kind()) {
    case Kind::kNone:
      return "None";
    case Kind::kString:
      if (value.as<StringObject>().markup()) return "markupsafe.Markup object";
      break;
    case Kind::kNamespace:
    case Kind::kCycler:
    case Kind::kJoiner:
      return "jinja2.utils." + std::string(type_name(value)) + " object";
    case Kind::kLoop:
    case Kind::kMacro:
      return "jinja2.runtime." + std::string(type_name(value)) + " object";
    default:
      break;
  }
  return std::string(type_name(value)) + " object";
}

}  // namespace elastikv::jinja
