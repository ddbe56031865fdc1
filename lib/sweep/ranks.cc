#include "sweep/ranks.h"

#include <cstdlib>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "base/device.h"
#include "base/error.h"

namespace elastikv {
namespace {

/// The launcher has given this process one GPU of its own.
bool sees_one_gpu() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible == nullptr || *visible == '\0') return false;
  return std::string_view(visible).find(',') == std::string_view::npos;
}

class RankEngines final : public Engines {
 public:
  RankEngines(std::unique_ptr<Engines> engines, RankPlace place)
      : engines_(std::move(engines)), place_(std::move(place)) {}

  void check(const ModelChoice& model, std::span<const Cell> cells,
             const EvaluationSettings& settings) const override {
    const ModelChoice own = placed(model);
    if (own.device != model.device) {
      try {
        require_available(parse_device(own.device));
      } catch (const Error& error) {
        fail(
            "{}; rank {} is the {}. of {} on its machine and takes the GPU of that number: start "
            "no "
            "more ranks there than it has GPUs, or use --device cpu",
            error.what(), place_.rank, place_.local_rank + 1, place_.local_world);
      }
    }
    engines_->check(own, cells, settings);
  }
  void check_image(const std::filesystem::path& file) const override {
    engines_->check_image(file);
  }
  std::unique_ptr<Tokenizer> tokenizer(const ModelChoice& model) const override {
    return engines_->tokenizer(model);
  }
  SampleCheck check_samples(const ModelChoice& model, std::span<const Cell> cells,
                            std::span<const Sample> samples,
                            const EvaluationSettings& settings) const override {
    return engines_->check_samples(placed(model), cells, samples, settings);
  }
  EngineIdentity identity(const ModelChoice& model) const override {
    return engines_->identity(model);
  }
  std::string strategy_text(const StrategyChoice& strategy) const override {
    return engines_->strategy_text(strategy);
  }
  std::vector<std::string> parts(const ModelChoice& model,
                                 std::span<const Cell> cells) const override {
    return engines_->parts(model, cells);
  }
  std::unique_ptr<SampleEvaluator> open(const ModelChoice& model,
                                        const EvaluationSettings& settings,
                                        RunWatch watch) const override {
    return engines_->open(placed(model), settings, std::move(watch));
  }

 private:
  ModelChoice placed(ModelChoice model) const {
    if (model.device == "cuda")
      model.device = fmt::format("cuda:{}", sees_one_gpu() ? 0 : place_.local_rank);
    return model;
  }

  std::unique_ptr<Engines> engines_;
  RankPlace place_;
};

}  // namespace

std::unique_ptr<Ranks> meet_ranks(const RankPlace& place, const RankTiming& timing) {
  auto ranks = std::make_unique<Ranks>();
  ranks->place = place;
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  ranks->host = host;
  ranks->store = RankStore::connect(place, timing.lost_after);
  ranks->work = std::make_unique<SharedWork>(*ranks->store, place.rank, place.world, timing);
  return ranks;
}

std::unique_ptr<Engines> engines_of_rank(std::unique_ptr<Engines> engines, const RankPlace& place) {
  return std::make_unique<RankEngines>(std::move(engines), place);
}

}  // namespace elastikv
