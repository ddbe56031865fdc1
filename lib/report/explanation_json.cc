#include <string>
#include <utility>
#include <vector>

#include <c10/core/ScalarType.h>
#include <nlohmann/json.hpp>

#include "report/explanation_tables.h"
#include "text/json_text.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

Json head_json(const HeadDecision& head) {
  Json groups = Json::array();
  for (const MergedGroup& group : head.groups) {
    groups.push_back({{"anchor", group.anchor},
                      {"sources", group.sources},
                      {"anchor_weight", group.anchor_weight},
                      {"source_weights", group.source_weight}});
  }
  return {{"tokens", head.kept.size()},
          {"attention_lost", head.attention_lost},
          {"kept", head.kept},
          {"groups", std::move(groups)}};
}

Json explanation_json(const Explanation& explanation, const CacheShape& shape) {
  const auto element = static_cast<int64_t>(c10::elementSize(shape.dtype));
  Json layers = Json::array();
  for (const LayerDecision& layer : explanation.layers) {
    Json heads = Json::array();
    for (const HeadDecision& head : layer.heads) heads.push_back(head_json(head));
    layers.push_back({{"layer", layer.layer},
                      {"shared_by_heads", layer.shared},
                      {"attention_lost", layer.attention_lost},
                      {"heads", std::move(heads)}});
  }
  return {{"name", explanation.name},
          {"description", explanation.description},
          {"requested_tokens", explanation.requested},
          {"tokens", explanation.tokens},
          {"bytes", explanation.bytes(shape.head_dim, element)},
          {"attention_lost", explanation.attention_lost},
          {"layers", std::move(layers)}};
}

}  // namespace

std::string explanations_json(const ExplainedPrompt& prompt,
                              const std::vector<Explanation>& explanations) {
  const PromptStatistics& statistics = prompt.statistics;
  Json out{{"model", prompt.model},
           {"budget", prompt.budget},
           {"prompt_tokens", statistics.prompt_tokens},
           {"image_begin", statistics.image_begin},
           {"image_end", statistics.image_end},
           {"prompt_token_ids", prompt.ids},
           {"query_heads", statistics.query_heads},
           {"kv_heads", statistics.kv_heads},
           {"head_dim", prompt.shape.head_dim},
           {"layers", prompt.layers}};
  if (!prompt.sample.empty()) out["sample"] = prompt.sample;
  Json strategies = Json::array();
  for (const Explanation& explanation : explanations)
    strategies.push_back(explanation_json(explanation, prompt.shape));
  out["strategies"] = std::move(strategies);
  out["kept_agreement"] = kept_agreement(explanations);
  return json_text(std::move(out));
}

}  // namespace elastikv
