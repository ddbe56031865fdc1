#include "models/config_fields.h"

#include <cmath>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/nearest_name.h"

namespace elastikv {

int64_t positive_integer(const JsonFields& config, std::string_view key, int64_t otherwise,
                         int64_t most) {
  const int64_t value = config.integer(key, otherwise);
  if (value < 1)
    config.fail_key(key, fmt::format("is {}, a number of at least 1 is needed", value));
  if (value > most) {
    config.fail_key(key, fmt::format("is {}, a number of at most {} is needed", value, most));
  }
  return value;
}

double positive_number(const JsonFields& config, std::string_view key,
                       std::optional<double> otherwise) {
  const double value = otherwise ? config.number(key, *otherwise) : config.number(key);
  if (!(value > 0) || !std::isfinite(value)) {
    config.fail_key(key, fmt::format("is {}, a number above 0 is needed", value));
  }
  return value;
}

std::vector<int64_t> whole_numbers(const JsonFields& config, std::string_view key) {
  const std::vector<double> numbers = config.numbers(key);
  for (const double number : numbers) {
    if (!(std::abs(number) <= static_cast<double>(kMostSize))) {
      config.fail_key(key,
                      fmt::format("holds {}, a number of at most {} is needed", number, kMostSize));
    }
  }
  return {numbers.begin(), numbers.end()};
}

int64_t square_side(const JsonFields& config, std::string_view key, int64_t otherwise,
                    int64_t most) {
  if (!config.has(key) || !config.json()[std::string(key)].is_array())
    return positive_integer(config, key, otherwise, most);
  const std::vector<double> sides = config.numbers(key);
  if (sides.size() != 2 || sides[0] != sides[1] || sides[0] < 1 ||
      sides[0] > static_cast<double>(most)) {
    config.fail_key(key, fmt::format("is {}, a number or two equal ones are needed",
                                     config.json()[std::string(key)].dump()));
  }
  return static_cast<int64_t>(sides[0]);
}

Activation read_activation(const JsonFields& config, std::string_view key,
                           std::string_view otherwise) {
  const std::string name = config.string(key, otherwise);
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return Activation::kGeluTanh;
  if (name == "quick_gelu") return Activation::kQuickGelu;
  if (name == "silu" || name == "swish") return Activation::kSilu;
  config.fail_key(
      key, fmt::format("is '{}', which is not computed here{}", name,
                       suggestion(name, {"gelu", "gelu_pytorch_tanh", "quick_gelu", "silu"})));
}

int64_t read_image_token(const JsonFields& config, int64_t otherwise, int64_t vocabulary) {
  const char* key = config.has("image_token_id") ? "image_token_id" : "image_token_index";
  const int64_t token = config.integer(key, otherwise);
  if (token < 0 || token >= vocabulary) {
    config.fail_key(key, fmt::format("is {}, outside the vocabulary of {}", token, vocabulary));
  }
  return token;
}

}  // namespace elastikv
