#include "strategies/compaction.h"
#include "strategies/components.h"

namespace elastikv {
namespace {

/// What does not stay is forgotten.
class EvictCompaction final : public Compaction {
 public:
  bool merges() const override { return false; }
  LayerPlan plan(const CompactionInput& input) const override {
    LayerPlan plan;
    plan.kept = padded_rows(input.kept);
    return plan;
  }
  std::string description() const override { return "evict"; }
};

}  // namespace

std::shared_ptr<const Compaction> make_evict_compaction(const Parameters& parameters) {
  parameters.require_known({});
  return std::make_shared<EvictCompaction>();
}

}  // namespace elastikv
