#include "metrics/signature.h"

#include <fmt/format.h>

#include "base/revisions.h"
#include "base/version.h"

namespace elastikv {
namespace {

/// "|rev:2" where the part's results are not those of its first release.
std::string revision_text(std::string_view part) {
  const int64_t revision = revision_of(part);
  return revision == 1 ? "" : fmt::format("|rev:{}", revision);
}

}  // namespace

std::string metric_signature(std::string_view name, std::string_view definition,
                             std::string_view aggregation, const SignatureContext& context) {
  std::string resampling = "bs:0";
  if (context.bootstrap > 0) {
    resampling = fmt::format("ci:bootstrap-t|bs:{}|seed:{}", context.bootstrap, context.seed);
  }
  return fmt::format("{} {}{}|agg:{}|{}|impl:elastikv-{}|ref:{}", name, definition,
                     revision_text(fmt::format("metric/{}", name)), aggregation, resampling,
                     version(), context.reference);
}

}  // namespace elastikv
