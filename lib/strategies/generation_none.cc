#include "strategies/components.h"

namespace elastikv {
namespace {

/// Generated tokens are all kept and nothing is evicted for them: methods that compress the prompt
/// only.
class NoneGeneration final : public Generation {
 public:
  std::unique_ptr<GenerationPolicy> begin(GenerationStart /*start*/) const override {
    return nullptr;
  }
  std::string description() const override { return "none"; }
};

}  // namespace

std::shared_ptr<const Generation> make_none_generation(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<NoneGeneration>();
}

}  // namespace elastikv
