#include "models/rotary_config.h"

#include <string>

#include <fmt/format.h>

#include "models/config_fields.h"

namespace elastikv {

RotaryRule read_rotary_rule(const JsonFields& config, double default_theta) {
  RotaryRule rule;
  rule.theta = positive_number(config, "rope_theta", default_theta);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!config.has(key)) continue;
    const JsonFields rope = config.object(key);
    const std::string type = rope.string("rope_type", rope.string("type", "default"));
    rule.theta = positive_number(rope, "rope_theta", rule.theta);
    if (rope.has("mrope_section")) {
      rule.sections = whole_numbers(rope, "mrope_section");
    }
    if (type == "linear") {
      rule.linear_factor = positive_number(rope, "factor");
    } else if (type == "llama3") {
      RotaryRule::Llama3 llama3;
      llama3.factor = positive_number(rope, "factor");
      llama3.low_frequency_factor = positive_number(rope, "low_freq_factor");
      llama3.high_frequency_factor = positive_number(rope, "high_freq_factor");
      if (llama3.high_frequency_factor <= llama3.low_frequency_factor) {
        rope.fail_key("high_freq_factor",
                      fmt::format("is {}, more than low_freq_factor {} is needed",
                                  llama3.high_frequency_factor, llama3.low_frequency_factor));
      }
      llama3.original_positions =
          positive_integer(rope, "original_max_position_embeddings",
                           rope.integer("original_max_position_embeddings"), kMostTokens);
      rule.llama3 = llama3;
    } else if (type != "default" && type != "mrope") {
      rope.fail_key(
          "rope_type",
          fmt::format("is '{}'; default, mrope, linear and llama3 are computed here", type));
    }
  }
  return rule;
}

}  // namespace elastikv
