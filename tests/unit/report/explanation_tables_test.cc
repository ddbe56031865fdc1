#include "report/explanation_tables.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "report/explanation_files.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

using Rows = std::vector<std::vector<std::string>>;

LayerDecision layer(int64_t number, std::vector<std::vector<int64_t>> kept, double lost) {
  LayerDecision decision;
  decision.layer = number;
  decision.attention_lost = lost;
  for (std::vector<int64_t>& positions : kept) {
    HeadDecision& head = decision.heads.emplace_back();
    head.kept = std::move(positions);
    head.attention_lost = lost / 2;
  }
  return decision;
}

/// Two strategies over layers 0 and 3 with two KV heads; `b` merges 2 and 3 into 1.
std::vector<Explanation> explanations() {
  Explanation a;
  a.name = "a";
  a.description = "what a is";
  a.requested = 2;
  a.tokens = 8;
  a.attention_lost = 0.25;
  a.layers = {layer(0, {{0, 1}, {0, 1}}, 0.125), layer(3, {{0, 1}, {2, 3}}, 0.375)};
  Explanation b = a;
  b.name = "b";
  b.layers = {layer(0, {{0, 1}, {0, 1}}, 0.5), layer(3, {{0, 1}, {0, 1}}, 0)};
  b.layers[0].shared = true;
  b.layers[0].heads[0].groups.push_back(
      {.anchor = 1, .sources = {2, 3}, .source_weight = {2.F, 3.F}});
  return {a, b};
}

TEST(ExplanationTables, AttentionIsAShareForPeople) {
  const Table table = lost_table(explanations());
  EXPECT_EQ(table.header, (std::vector<std::string>{"strategy", "kept entries", "attention lost",
                                                    "least in a layer", "most in a layer"}));
  EXPECT_EQ(table.rows, (Rows{{"a", "8", "25.0 %", "12.5 %", "37.5 %"},
                              {"b", "8", "25.0 %", "0.0 %", "50.0 %"}}));
}

TEST(ExplanationTables, AttentionHasARowPerHeadForPrograms) {
  EXPECT_EQ(lost_details({explanations().front()}).csv(),
            "strategy,layer,kv_head,kept,attention_lost\n"
            "a,0,0,2,0.0625\n"
            "a,0,1,2,0.0625\n"
            "a,0,all,4,0.125\n"
            "a,3,0,2,0.1875\n"
            "a,3,1,2,0.1875\n"
            "a,3,all,4,0.375\n");
}

TEST(ExplanationTables, AgreementIsAMatrixForPeopleAndPairsForPrograms) {
  const Table matrix = agreement_table(explanations());
  EXPECT_EQ(matrix.header, (std::vector<std::string>{"kept in common", "a", "b"}));
  // Layer 0 is the same; in layer 3 two of the six entries that either keeps.
  EXPECT_EQ(matrix.rows, (Rows{{"a", "1.000", "0.667"}, {"b", "0.667", "1.000"}}));
  EXPECT_EQ(agreement_details(explanations()).csv(),
            "layer,strategy,other,jaccard\n"
            "0,a,b,1\n"
            "3,a,b,0.333333333\n"
            "mean,a,b,0.666666667\n");
}

TEST(ExplanationTables, JsonHoldsEveryPosition) {
  PromptStatistics statistics;
  statistics.prompt_tokens = 4;
  statistics.image_begin = 1;
  statistics.image_end = 3;
  statistics.query_heads = 4;
  statistics.kv_heads = 2;
  ExplainedPrompt prompt{.model = "models/m",
                         .budget = "keep=0.5",
                         .sample = "",
                         .ids = {5, 6, 7, 8},
                         .layers = {0, 3},
                         .shape = {.layers = 4, .kv_heads = 2, .head_dim = 8},
                         .statistics = statistics};
  const std::string text = explanations_json(prompt, explanations());
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const auto json = nlohmann::json::parse(text);
  EXPECT_FALSE(json.contains("sample"));
  EXPECT_EQ(json.at("prompt_token_ids"), nlohmann::json({5, 6, 7, 8}));
  EXPECT_EQ(json.at("image_end"), 3);
  EXPECT_EQ(json.at("head_dim"), 8);
  EXPECT_EQ(json.at("kept_agreement").at(0).at(0), 1.0);
  const auto& b = json.at("strategies").at(1);
  EXPECT_EQ(b.at("name"), "b");
  EXPECT_EQ(b.at("description"), "what a is");
  EXPECT_EQ(b.at("requested_tokens"), 2);
  EXPECT_EQ(b.at("bytes"), 8 * 8 * 2 * 4) << "entries, head_dim, keys and values, fp32";
  const auto& first = b.at("layers").at(0);
  EXPECT_EQ(first.at("shared_by_heads"), true);
  EXPECT_EQ(first.at("heads").at(0).at("groups").at(0),
            nlohmann::json({{"anchor", 1},
                            {"sources", {2, 3}},
                            {"anchor_weight", 1.0},
                            {"source_weights", {2.0, 3.0}}}));
  EXPECT_TRUE(first.at("heads").at(1).at("groups").empty());
  EXPECT_EQ(b.at("layers").at(1).at("layer"), 3);
  EXPECT_EQ(json.at("strategies").at(0).at("layers").at(1).at("heads").at(1).at("kept"),
            nlohmann::json({2, 3}));

  prompt.sample = "s1";
  EXPECT_EQ(nlohmann::json::parse(explanations_json(prompt, explanations())).at("sample"), "s1");
}

#ifdef ELASTIKV_WITH_IMAGES
TEST(ExplanationFiles, AreNamedAsTheyAreWritten) {
  const TemporaryFolder folder;
  ShownPrompt shown;
  shown.image = Image(ImageSize{8, 8});
  shown.image_begin = 0;
  shown.image_end = 4;
  shown.grid = {2, 2};
  shown.prompt_tokens = 4;
  const std::vector<std::string> files = write_explanations(folder.path(), explanations(), shown);
  EXPECT_EQ(files, (std::vector<std::string>{"a-kept.png", "b-kept.png", "attention_lost.csv",
                                             "agreement.png", "agreement.csv"}));
  for (const std::string& file : files)
    EXPECT_TRUE(std::filesystem::exists(folder.path() / file)) << file;
  EXPECT_EQ(write_explanations(folder.path(), {explanations().front()}, shown),
            (std::vector<std::string>{"a-kept.png", "attention_lost.csv"}));
}
#endif

}  // namespace
}  // namespace elastikv
