// What the declarations of a benchmark's keys say: its JSON, and the page that documents them.
#include "bench/bench_keys.h"

#include <gtest/gtest.h>

#include "support/generated_text.h"

namespace elastikv {
namespace {

TEST(BenchKeys, JsonStaysWhatFiguresAreKnownBy) {
  EXPECT_EQ(
      parse_bench("models: [{shape: tiny, dtype: bf16}, {path: a/assembled}]\nbatch: [1, 2]\n"
                  "shared_prompt: true\nprompt_tokens: 8\nnew_tokens: [1, 2]\n"
                  "strategies: elastic\nbudgets: {keep: 0.5}\nthreads: 2\noutput: out\n",
                  "b.yaml")
          .json(),
      R"({"name":"b","models":[{"shape":{"layers":2,"hidden_size":64,"intermediate_size":128,)"
      R"("query_heads":4,"kv_heads":2,"head_dim":16,"vocab_size":256,"max_positions":4096,)"
      R"("rope_theta":10000.0,"attention_bias":false,"tie_word_embeddings":false},)"
      R"("label":"tiny","device":"cpu","dtype":"bf16"},)"
      R"({"path":"a/assembled","label":"a","device":"cpu","dtype":"fp32"}],"batch":[1,2],)"
      R"("shared_prompt":true,"lengths":["8+1","8+2"],)"
      R"("strategies":[{"name":"elastic","preset":"elastic","set":{}}],)"
      R"("budgets":{"keep":[0.5],"growth":["generation"]},"runs":5,"warmup":1,"threads":2,)"
      R"("too_large":"refuse","seed":0,"output":"out"})");
}

TEST(BenchKeys, ThePageIsWhatTheDeclarationsSay) {
  expect_generated("docs/bench.md", "keys", bench_keys_markdown());
}

}  // namespace
}  // namespace elastikv
