#pragma once

#include <any>
#include <deque>
#include <string_view>
#include <tuple>
#include <utility>

namespace elastikv {

/// A reference and a candidate (UTF-8) with what metrics read out of them: each reading is made
/// once, whichever metrics ask for it. The texts have to outlive the pair.
class TextPair final {
 public:
  TextPair(std::string_view reference, std::string_view candidate)
      : reference_(reference), candidate_(candidate) {}

  std::string_view reference() const { return reference_; }
  std::string_view candidate() const { return candidate_; }

  /// Reading(reference, candidate, choices...), which stays where it is as long as the pair does.
  template <typename Reading, typename... Choices>
  const Reading& as(const Choices&... choices) {
    using Made = std::pair<std::tuple<Choices...>, Reading>;
    const std::tuple<Choices...> key{choices...};
    for (const std::any& one : readings_) {
      const Made* made = std::any_cast<Made>(&one);
      if (made != nullptr && made->first == key) return made->second;
    }
    std::any& added = readings_.emplace_back(std::in_place_type<Made>, key,
                                             Reading(reference_, candidate_, choices...));
    return std::any_cast<const Made&>(added).second;
  }

 private:
  std::string_view reference_;
  std::string_view candidate_;
  std::deque<std::any> readings_;
};

}  // namespace elastikv
