#include "sweep/prefills.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace elastikv {

Prefills::Prefills(std::vector<Prefill> prefills) : prefills_(std::move(prefills)) {
  ELASTIKV_ASSERT(!prefills_.empty(), "a sample without a prefill");
}

LateTokens Prefills::late(const Cell& cell) const {
  return {at(cell).late, cell.strategy.moment.keeps_question()};
}

int64_t Prefills::most_late() const {
  int64_t most = 0;
  for (const Prefill& prefill : prefills_) most = std::max<int64_t>(most, std::ssize(prefill.late));
  return most;
}

SharedSeconds Prefills::seconds() const {
  SharedSeconds seconds;
  for (const Prefill& prefill : prefills_) {
    seconds.image += prefill.prompt.seconds.image.value();
    seconds.prefill += prefill.prompt.seconds.prefill.value();
    seconds.statistics += prefill.prompt.seconds.statistics.value();
  }
  return seconds;
}

const Prefill& Prefills::at(const Cell& cell) const {
  const auto found = std::find_if(prefills_.begin(), prefills_.end(),
                                  [&](const Prefill& prefill) { return prefill.at == cell.at(); });
  ELASTIKV_ASSERT(found != prefills_.end(), "no prefill for cell {}", cell.id);
  return *found;
}

}  // namespace elastikv
