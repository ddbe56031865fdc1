#include <utility>

#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/recompression.h"

namespace elastikv {
namespace {

/// The cache grows by `every` tokens, then the strategy's importance, selection and compaction
/// bring it back to its budget, now on statistics of the cache itself (R-KV, arXiv 2505.24133;
/// CAKE's eviction while decoding, arXiv 2503.12491).
class RecompressGeneration final : public Generation {
 public:
  explicit RecompressGeneration(int64_t every) : every_(every) {}

  bool needs_rows() const override { return true; }
  bool recompresses() const override { return true; }
  std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const override {
    return std::make_unique<Recompression>(std::move(start), every_);
  }
  std::string description() const override { return fmt::format("recompress(every={})", every_); }

 private:
  int64_t every_;
};

}  // namespace

std::shared_ptr<const Generation> make_recompress_generation(const Parameters& parameters) {
  parameters.require_known({"every"});
  return std::make_shared<RecompressGeneration>(
      parameters.integer("every", /*otherwise=*/16, /*least=*/1));
}

}  // namespace elastikv
