#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "jinja/syntax.h"

namespace elastikv::jinja {

/// A variable: of which function, and where in it.
struct Reference {
  int function = 0;
  int index = 0;
};

/// What is called by itself: the template, a macro, a recursive loop, the choice of a loop's items.
struct FunctionScope {
  int depth = 0;
  std::map<std::pair<int, std::string>, int> slots;  ///< by level and name
  int loops = 0;                                     ///< around what is read
};

/// The variables of a scope, as jinja2's class Symbols has them.
class Symbols {
 public:
  Symbols(FunctionScope& function, Symbols* parent)
      : function_(function), parent_(parent), level_(parent == nullptr ? 0 : parent->level_ + 1) {}

  /// Null for a name that neither this scope nor one around it knows.
  const Reference* find(const std::string& name) const;

  /// Reads a name, from outside where nothing here or around defines it.
  void load(const std::string& name) {
    if (find(name) == nullptr) define(name, Load::Kind::kResolve);
  }
  /// Assigns to a name.
  void store(const std::string& name);
  /// A variable that is given when the scope is entered.
  Reference declare(const std::string& name);

  /// How many names were assigned to so far.
  size_t mark() const { return stored_.size(); }
  /// What was assigned to in a branch since a mark may not be assigned to at all.
  void join_branches(size_t since);

  /// What entering and leaving the scope does.
  Scope scope(std::set<std::string>& resolved) const;

  Slot slot(const Reference& reference) const {
    return {function_.depth - reference.function, reference.index};
  }
  FunctionScope& function() const { return function_; }

 private:
  Reference define(const std::string& name, Load::Kind kind, Reference source = {});

  FunctionScope& function_;
  Symbols* parent_;
  int level_;
  std::unordered_map<std::string, Reference> references_;
  std::unordered_map<int, Load> loads_;
  std::unordered_map<int, Reference> sources_;
  std::vector<int> order_;
  std::unordered_set<int> given_;
  std::unordered_set<std::string> stores_;
  std::vector<std::string> stored_;
};

}  // namespace elastikv::jinja
