#include "jinja/names.h"

namespace elastikv::jinja {

void for_each_expression(const Expression* expression,
                         const std::function<void(const Expression&)>& visit) {
  if (expression == nullptr) return;
  visit(*expression);
  for (const ExpressionPtr& part : expression->parts) for_each_expression(part.get(), visit);
  const CallArguments& arguments = expression->arguments;
  for (const ExpressionPtr& part : arguments.positional) for_each_expression(part.get(), visit);
  for (const auto& [name, part] : arguments.named) for_each_expression(part.get(), visit);
  for_each_expression(arguments.more_positional.get(), visit);
  for_each_expression(arguments.more_named.get(), visit);
}

void for_each_name(const Target& target, const std::function<void(const Target&)>& visit) {
  if (target.kind != Target::Kind::kTuple) visit(target);
  for (const Target& item : target.items) for_each_name(item, visit);
}

const UndeclaredNames& UndeclaredNames::in(const Statements& statements) {
  for (const auto& statement : statements) visit(*statement);
  return *this;
}

void UndeclaredNames::visit(const Expression* expression) {
  for_each_expression(expression, [&](const Expression& one) {
    if (one.kind == Expression::Kind::kName && names_.count(one.text) > 0) {
      found_.insert(*names_.find(one.text));
    }
  });
}

void UndeclaredNames::store(const Target& target) {
  for_each_name(target, [&](const Target& one) {
    if (one.kind == Target::Kind::kName) names_.erase(one.name);
  });
}

void UndeclaredNames::visit(const Statement& statement) {
  if (statement.kind == Statement::Kind::kBlock) return;
  const auto visit_expressions = [&] {
    for (const ExpressionPtr& expression : statement.expressions) visit(expression.get());
  };
  switch (statement.kind) {
    case Statement::Kind::kFor:
      store(statement.targets[0]);
      visit(statement.expressions[0].get());
      for (const Statements& body : statement.bodies) in(body);
      visit(statement.expressions[1].get());
      return;
    case Statement::Kind::kIf:
      for (size_t i = 0; i < statement.bodies.size(); ++i) {
        if (i < statement.expressions.size()) visit(statement.expressions[i].get());
        in(statement.bodies[i]);
      }
      return;
    case Statement::Kind::kFilterBlock:
      in(statement.bodies[0]);
      visit_expressions();
      return;
    default:
      break;
  }
  if (statement.kind == Statement::Kind::kCallBlock) visit_expressions();
  for (const Target& target : statement.targets) store(target);
  if (statement.kind != Statement::Kind::kCallBlock) visit_expressions();
  if (statement.macro != nullptr) {
    for (const Parameter& parameter : statement.macro->parameters) names_.erase(parameter.name);
    for (const Parameter& parameter : statement.macro->parameters) {
      visit(parameter.otherwise.get());
    }
    in(statement.macro->body);
  }
  for (const Statements& body : statement.bodies) in(body);
}

}  // namespace elastikv::jinja
