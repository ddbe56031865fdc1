#include "weights/strict_json.h"

#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "weights/tensor_names.h"

namespace elastikv {

nlohmann::json parse_strict_json(std::string_view text, std::string_view origin, int max_depth) {
  using Json = nlohmann::json;
  std::vector<std::set<std::string>> open_objects;  // keys seen so far, outermost object first
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    switch (event) {
      case Json::parse_event_t::object_start:
        open_objects.emplace_back();
        [[fallthrough]];
      case Json::parse_event_t::array_start:
        if (depth >= max_depth) fail("{} is nested deeper than {} levels", origin, max_depth);
        break;
      case Json::parse_event_t::object_end:
        open_objects.pop_back();
        break;
      case Json::parse_event_t::key: {
        const auto& key = value.get_ref<const std::string&>();
        if (!open_objects.back().insert(key).second) {
          fail("{} holds the name '{}' twice", origin, printable_name(key));
        }
        break;
      }
      default:
        break;
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::parse_error& error) {
    fail("{} is not valid JSON (at byte {})", origin, error.byte);
  } catch (const Json::exception&) {
    fail("{} is not valid JSON (a number is out of range)", origin);
  }
}

}  // namespace elastikv
