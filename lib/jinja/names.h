#pragma once

#include <functional>
#include <initializer_list>
#include <set>
#include <string_view>

#include "jinja/syntax.h"

namespace elastikv::jinja {

/// Calls `visit` with each expression in an expression, itself among them.
void for_each_expression(const Expression* expression,
                         const std::function<void(const Expression&)>& visit);

/// Calls `visit` with each name that a target assigns to or, for ns.attribute, reads.
void for_each_name(const Target& target, const std::function<void(const Target&)>& visit);

/// Which of some names statements read before they assign to them, in the order of the text and
/// without regard to scopes: how jinja2 decides whether a loop needs its variable `loop`.
class UndeclaredNames {
 public:
  explicit UndeclaredNames(std::initializer_list<std::string_view> names)
      : names_(names.begin(), names.end()) {}

  const UndeclaredNames& in(const Statements& statements);
  bool has(std::string_view name) const { return found_.count(name) > 0; }

 private:
  void visit(const Expression* expression);
  void visit(const Statement& statement);
  void store(const Target& target);

  std::set<std::string_view> names_;
  std::set<std::string_view> found_;
};

}  // namespace elastikv::jinja
