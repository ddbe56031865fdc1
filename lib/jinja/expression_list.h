#pragma once

#include <utility>
#include <vector>

#include "jinja/syntax.h"

namespace elastikv::jinja {

// Expressions as the parts of another; they cannot be copied, as an initializer list would.

inline std::vector<ExpressionPtr> list_of(ExpressionPtr one) {
  std::vector<ExpressionPtr> parts;
  parts.push_back(std::move(one));
  return parts;
}

inline std::vector<ExpressionPtr> list_of(ExpressionPtr one, ExpressionPtr other) {
  std::vector<ExpressionPtr> parts = list_of(std::move(one));
  parts.push_back(std::move(other));
  return parts;
}

}  // namespace elastikv::jinja
