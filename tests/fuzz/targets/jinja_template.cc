// The input is a chat template and, behind a cut, the JSON object of its variables. What is
// rendered is UTF-8 within the limits, and the same when it is rendered again.

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_fields.h"
#include "fuzz/support/contract.h"
#include "jinja/template.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<std::string_view> files = fuzz::parts_of(fuzz::text_of(data, size), 2);
  nlohmann::ordered_json variables = nlohmann::ordered_json::object();
  if (!is_nested_too_deep(files[1])) {
    auto parsed =
        nlohmann::ordered_json::parse(files[1], /*cb=*/nullptr, /*allow_exceptions=*/false);
    if (!parsed.is_discarded()) variables = std::move(parsed);
  }
  jinja::Environment environment;
  environment.now = jinja::CivilTime{2024, 7, 4, 15, 6, 9};
  // Less than what others may use, so that an input is done in a moment.
  environment.limits.steps = 200'000;
  environment.limits.memory_bytes = size_t{32} << 20;
  environment.limits.output_bytes = size_t{1} << 20;
  fuzz::accepted([&] {
    const jinja::Template parsed = jinja::Template::parse(files[0], "fuzz");
    std::string text;
    if (!fuzz::accepted([&] { text = parsed.render(variables, environment); })) return;
    fuzz::require(text.size() <= environment.limits.output_bytes, "a text is within its limit");
    const auto quoted =
        nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    fuzz::require(nlohmann::json::parse(quoted).get_ref<const std::string&>() == text,
                  "a text is UTF-8");
    fuzz::require(parsed.render(variables, environment) == text, "a text is the same again");
  });
  return 0;
}
