#include "text/post_processor.h"

#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "text/bpe_model.h"

namespace elastikv {
namespace {

SpecialIds read_template(const JsonFields& fields) {
  const JsonFields known = fields.object_or_empty("special_tokens");
  SpecialIds ids;
  bool text_seen = false;
  for (const JsonFields& step : fields.objects("single")) {
    if (step.has("Sequence")) {
      if (text_seen) fields.fail_key("single", "names the text twice");
      text_seen = true;
      continue;
    }
    const std::string token = step.object("SpecialToken").string("id");
    const JsonFields special = known.object(token);
    const auto list = special.json().find("ids");
    if (list == special.json().end() || !list->is_array()) {
      special.fail_key("ids", "is missing (a list of ids is needed)");
    }
    for (const auto& id : *list) {
      if (!id.is_number_integer() || id < 0 || id >= kTokenIdLimit) {
        special.fail_key("ids", fmt::format("holds {}, an id is needed", id.dump()));
      }
      (text_seen ? ids.suffix : ids.prefix).push_back(id.get<int64_t>());
    }
  }
  if (!text_seen) fields.fail_key("single", "does not name the text");
  return ids;
}

}  // namespace

SpecialIds read_post_processor(const JsonFields& fields) {
  const std::string type = fields.string("type");
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return read_template(fields);
  if (type != "Sequence") {
    fields.fail_key("type", fmt::format("is '{}', which is not supported; supported: ByteLevel, "
                                        "Sequence, TemplateProcessing",
                                        type));
  }
  SpecialIds ids;
  for (const JsonFields& step : fields.objects("processors")) {
    const SpecialIds around = read_post_processor(step);
    ids.prefix.insert(ids.prefix.begin(), around.prefix.begin(), around.prefix.end());
    ids.suffix.insert(ids.suffix.end(), around.suffix.begin(), around.suffix.end());
  }
  return ids;
}

}  // namespace elastikv
