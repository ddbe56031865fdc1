#include "report/explanation_tables.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace elastikv {

Table lost_table(const std::vector<Explanation>& explanations) {
  Table table;
  table.header = {"strategy", "kept entries", "attention lost", "least in a layer",
                  "most in a layer"};
  const auto percent = [](double share) { return fmt::format("{:.1f} %", 100 * share); };
  for (const Explanation& explanation : explanations) {
    const auto [least, most] = std::minmax_element(
        explanation.layers.begin(), explanation.layers.end(),
        [](const auto& a, const auto& b) { return a.attention_lost < b.attention_lost; });
    table.rows.push_back({explanation.name, std::to_string(explanation.tokens),
                          percent(explanation.attention_lost), percent(least->attention_lost),
                          percent(most->attention_lost)});
  }
  return table;
}

Table lost_details(const std::vector<Explanation>& explanations) {
  Table table;
  table.header = {"strategy", "layer", "kv_head", "kept", "attention_lost"};
  for (const Explanation& explanation : explanations) {
    for (const LayerDecision& layer : explanation.layers) {
      const std::string number = std::to_string(layer.layer);
      size_t kept = 0;
      for (size_t head = 0; head < layer.heads.size(); ++head) {
        const HeadDecision& decision = layer.heads[head];
        kept += decision.kept.size();
        table.rows.push_back({explanation.name, number, std::to_string(head),
                              std::to_string(decision.kept.size()),
                              long_number(decision.attention_lost)});
      }
      table.rows.push_back({explanation.name, number, "all", std::to_string(kept),
                            long_number(layer.attention_lost)});
    }
  }
  return table;
}

Table agreement_table(const std::vector<Explanation>& explanations) {
  Table table;
  table.header.emplace_back("kept in common");
  for (const Explanation& explanation : explanations) table.header.push_back(explanation.name);
  const auto matrix = kept_agreement(explanations);
  for (size_t row = 0; row < matrix.size(); ++row) {
    std::vector<std::string> fields{explanations[row].name};
    for (const double value : matrix[row]) fields.push_back(fmt::format("{:.3f}", value));
    table.rows.push_back(std::move(fields));
  }
  return table;
}

Table agreement_details(const std::vector<Explanation>& explanations) {
  Table table;
  table.header = {"layer", "strategy", "other", "jaccard"};
  const auto add = [&](const std::string& layer, const std::vector<std::vector<double>>& matrix) {
    for (size_t a = 0; a < matrix.size(); ++a) {
      for (size_t b = a + 1; b < matrix.size(); ++b) {
        table.rows.push_back(
            {layer, explanations[a].name, explanations[b].name, long_number(matrix[a][b])});
      }
    }
  };
  for (size_t i = 0; i < explanations.front().layers.size(); ++i) {
    add(std::to_string(explanations.front().layers[i].layer), kept_agreement(explanations, i));
  }
  add("mean", kept_agreement(explanations));
  return table;
}

}  // namespace elastikv
