#include "strategies/parameters.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/nearest_name.h"

namespace elastikv {

std::string Parameters::kind() const {
  return node_.is_scalar() ? node_.as_string() : node_.string("kind");
}

void Parameters::require_known(std::vector<std::string> known) const {
  if (node_.is_scalar()) return;
  known.emplace_back("kind");
  node_.require_known_keys(known);
}

int64_t Parameters::integer(std::string_view key, int64_t otherwise) const {
  return node_.is_scalar() ? otherwise : node_.integer(key, otherwise);
}

int64_t Parameters::integer(std::string_view key, int64_t otherwise, int64_t least) const {
  const int64_t value = integer(key, otherwise);
  if (value < least) {
    node_.at(key).fail_here(fmt::format("is {}, at least {} is needed", value, least));
  }
  return value;
}

double Parameters::share(std::string_view key, double otherwise) const {
  const double value = node_.is_scalar() ? otherwise : node_.number(key, otherwise);
  if (!(value >= 0.0 && value <= 1.0)) {
    node_.at(key).fail_here(fmt::format("is {}, a share from 0 to 1 is needed", value));
  }
  return value;
}

double Parameters::number(std::string_view key, double otherwise, double least, double most) const {
  const double value = node_.is_scalar() ? otherwise : node_.number(key, otherwise);
  if (!(value >= least && value <= most)) {
    node_.at(key).fail_here(
        fmt::format("is {}, a number from {} to {} is needed", value, least, most));
  }
  return value;
}

bool Parameters::flag(std::string_view key, bool otherwise) const {
  return node_.is_scalar() ? otherwise : node_.boolean(key, otherwise);
}

bool Parameters::has(std::string_view key) const { return node_.is_map() && node_.has(key); }

Parameters Parameters::child(std::string_view key) const {
  if (!node_.is_map()) fail_kind(fmt::format("needs '{}'", key));
  return Parameters(node_.at(key));
}

Granularity Parameters::granularity(Granularity otherwise) const {
  const std::string name =
      choice("granularity", granularity_name(otherwise), {"model", "layer", "kv_head"});
  if (name == "model") return Granularity::kModel;
  return name == "layer" ? Granularity::kLayer : Granularity::kKvHead;
}

std::string Parameters::choice(std::string_view key, std::string_view otherwise,
                               const std::vector<std::string>& known) const {
  if (node_.is_scalar()) return std::string(otherwise);
  std::string value = node_.string(key, otherwise);
  if (std::find(known.begin(), known.end(), value) == known.end()) {
    node_.at(key).fail_here(fmt::format("is unknown: '{}'{}", value, suggestion(value, known)));
  }
  return value;
}

void Parameters::fail_kind(const std::string& problem) const {
  if (node_.is_map() && node_.has("kind")) node_.at("kind").fail_here(problem);
  node_.fail_here(problem);
}

}  // namespace elastikv
