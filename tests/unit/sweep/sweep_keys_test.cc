// What the declarations of a sweep's keys say: its JSON, what of it makes records, earlier names,
// and the page that documents them.
#include "sweep/sweep_keys.h"

#include <string>

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/generated_text.h"
#include "support/temporary_folder.h"
#include "sweep/config.h"
#include "sweep/plan.h"

namespace elastikv {
namespace {

constexpr const char* kEveryKey = R"(
name: all
models:
  path: a/m
  label: one
  device: cpu
  dtype: bfloat16
  prompt_format: vicuna
  image_place: after
  pixels: torchvision
  system: Be brief.
  date: 2024-01-02
  chat_template_kwargs: {think: false}
data:
  - path: x.json
    format: llava
    name: x
    turn: 2
    image_root: pics
    image_place: before
    image_orientation: exif
    answers: a.jsonl
    prompt: Why
    limit: 3
    offset: 1
    sample_ids: [p, q]
    image_cache: c
    on_problem: record
    ids: unique
  - path: z.json
    columns: {question: q, images: i, answer: a}
    images_from: {path: ../pictures, split: test, id: key}
    image_markers: "<image {n}>"
  - {path: y.txt, prompt_tokens: 8, answer_tokens: 4, stride: 6, bos: never, expect: {samples: 2}}
strategies: [full, {preset: elastic, name: mine, set: {selection: {sinks: 2}}}]
budgets: {keep: [0.5, 1], keep_tokens: 64, growth: prompt}
matrix: {exclude: {data: y, budget: 64t}}
metrics:
  perplexity: {score_end: true, one_pass: false}
  text: rougeL
  reference: dataset
generation: {max_new_tokens: 7}
bootstrap: {iterations: 10, seed: 3}
details: {samples: 1}
compare_with: mine
seed: 5
output: out/here
)";

// Records of years are known by hashes of this text: neither names nor their order may change.
TEST(SweepKeys, JsonStaysWhatRecordsAreKnownBy) {
  EXPECT_EQ(
      parse_sweep(kEveryKey, "s.yaml").json(),
      R"({"name":"all","models":[{"path":"a/m","label":"one","device":"cpu","dtype":"bf16",)"
      R"("prompt_format":"vicuna","image_aspect_ratio":"auto","picture_place":"after",)"
      R"("pixels":"torchvision","system":"Be brief.","date":"2024-01-02",)"
      R"("chat_template_kwargs":{"think":false}}],)"
      R"("data":[{"path":"x.json","format":"llava","name":"x","turn":"2","image_root":"pics",)"
      R"("picture_place":"before","picture_orientation":"exif","answers":"a.jsonl",)"
      R"("prompt":"Why","context_words":384,"answer_words":128,"limit":3,"offset":1,)"
      R"("sample_ids":["p","q"],"picture_cache":"c","on_problem":"record","ids":"unique"},)"
      R"({"path":"z.json","format":"auto","name":"z",)"
      R"("columns":{"question":"q","images":["i"],"answer":"a"},)"
      R"("images_from":{"path":"../pictures","split":"test","id":"key","image":"image"},)"
      R"("turn":"first","image_root":"","image_markers":"<image {n}>","context_words":384,)"
      R"("answer_words":128,"offset":0},)"
      R"({"path":"y.txt","format":"auto","name":"y","turn":"first","image_root":"",)"
      R"("prompt_tokens":8,"answer_tokens":4,"stride":6,"bos":"never","offset":0}],)"
      R"("strategies":[{"name":"full","preset":"full","set":{}},)"
      R"({"name":"mine","preset":"elastic","set":{"selection.sinks":"2"}}],)"
      R"("budgets":{"keep":[0.5,1.0],"keep_tokens":[64],"growth":["prompt"]},)"
      R"("matrix":{"exclude":[{"data":["y"],"budget":["64t"]}]},)"
      R"("metrics":{"perplexity":{"enabled":true,"score_last_token":true,"score_end":true,)"
      R"("one_pass":false},"text":["rougeL"],"reference":"dataset","agreement":true},)"
      R"("generation":{"max_new_tokens":7},"seed":5,"bootstrap":{"iterations":10,"seed":3},)"
      R"("details":{"samples":1},"compare_with":["mine"],"output":"out/here"})");
  EXPECT_EQ(parse_sweep("models: {path: m}\ndata: {path: d.json}\nstrategies: full\n"
                        "metrics: {text: [], agreement: false}\ncells: one-by-one\n",
                        "s.yaml")
                .json(),
            R"({"name":"s","models":[{"path":"m","label":"m","device":"cpu","dtype":"fp32",)"
            R"("prompt_format":"auto","image_aspect_ratio":"auto","picture_place":"auto"}],)"
            R"("data":[{"path":"d.json","format":"auto","name":"d","turn":"first","image_root":"",)"
            R"("context_words":384,"answer_words":128,"offset":0}],)"
            R"("strategies":[{"name":"full","preset":"full","set":{}}],)"
            R"("metrics":{"perplexity":{"enabled":true,"score_last_token":true},"text":[],)"
            R"("reference":"full-cache","agreement":false},"generation":{"max_new_tokens":128},)"
            R"("cells":"one-by-one","seed":0,"bootstrap":{"iterations":1000,"seed":12345},)"
            R"("details":{"samples":2},"compare_with":[],"output":"results/s"})");
  const SweepConfig again = parse_sweep(parse_sweep(kEveryKey, "s.yaml").json(), "sweep.json");
  EXPECT_EQ(again.json(), parse_sweep(kEveryKey, "s.yaml").json());
}

TEST(SweepKeys, ARecordIsKnownByWhatWasMeasuredFirstAndByTags) {
  const std::string head = "models: {path: m}\ndata: {path: d.json}\nstrategies: full\n";
  EXPECT_EQ(evaluation_text(parse_sweep(head, "s.yaml")),
            "ppl=true last=true agreement=true new=128 seed=0 reference=0 text=rouge-l-pltrdy,");
  EXPECT_EQ(
      evaluation_text(parse_sweep(head + "metrics: {perplexity: {score_end: true}}\n", "s.yaml")),
      "ppl=true last=true agreement=true new=128 seed=0 reference=0 text=rouge-l-pltrdy, end=true");
}

TEST(SweepKeys, SettingsThatDifferAreNamedWhereTheyChangeRecords) {
  const std::string json = parse_sweep(kEveryKey, "s.yaml").json();
  const auto differing = [&](const std::string& setting) {
    SweepOverrides overrides;
    overrides.set = {parse_set_option(setting)};
    return differing_settings(json, parse_sweep(kEveryKey, "s.yaml", overrides).json());
  };
  for (const char* setting :
       {"name=other", "data.0.limit=4", "data.0.offset=0", "data.0.ids=number",
        "data.0.on_problem=refuse", "data.0.image_cache=d", "output=there", "details.samples=0",
        "compare_with=[]", "bootstrap.seed=4"})
    EXPECT_EQ(differing(setting), "") << setting;
  EXPECT_EQ(differing("seed=6"), "seed");
  EXPECT_EQ(differing("data.0.image_place=after"), "data");
  EXPECT_EQ(differing("metrics.agreement=false"), "metrics");
  EXPECT_EQ(differing("predict_only=true"), "metrics, predict_only");
  EXPECT_EQ(differing("models.path=b/m"), "models");
}

TEST(SweepKeys, EarlierNamesAreReadAndTold) {
  const std::string now =
      "models: {path: m, image_place: after}\ndata:\n"
      "  - {path: d.json, image_place: before, image_orientation: exif, image_cache: c}\n"
      "  - {path: e.json, image_place: after}\nstrategies: full\n";
  const std::string before =
      "models: {path: m, picture_place: after}\ndata:\n"
      "  - {path: d.json, picture_place: before, picture_orientation: exif, picture_cache: c}\n"
      "  - {path: e.json, picture_place: after}\nstrategies: full\n";
  EXPECT_EQ(parse_sweep(before, "s.yaml").json(), parse_sweep(now, "s.yaml").json());
  EXPECT_EQ(parse_sweep(before, "s.yaml").records_hash(),
            parse_sweep(now, "s.yaml").records_hash());
  const auto told = [](const std::filesystem::path& file) {
    testing::internal::CaptureStderr();
    read_sweep(file);
    return testing::internal::GetCapturedStderr();
  };
  const TemporaryFolder folder;
  EXPECT_EQ(told(folder.write("now.yaml", now)), "");
  const std::filesystem::path file = folder.write("before.yaml", before);
  // One line a name, with its first place.
  EXPECT_EQ(
      told(file),
      file.string() + ":3: 'picture_cache' is now called 'image_cache'; both names are read\n" +
          file.string() +
          ":3: 'picture_orientation' is now called 'image_orientation'; both names are read\n" +
          file.string() + ":1: 'picture_place' is now called 'image_place'; both names are read\n");
  EXPECT_ERROR(parse_sweep("models: {path: m, picture_place: after, image_place: after}\n"
                           "data: {path: d}\nstrategies: full\n",
                           "s.yaml"),
               "s.yaml:1: key 'models.picture_place' is the earlier name of 'image_place', which "
               "is given too");
}

TEST(SweepKeys, ASettingReachesAKeyUnderEitherName) {
  const auto places = [](const std::string& data, const std::string& setting) {
    SweepOverrides overrides;
    overrides.set = {parse_set_option(setting)};
    const SweepConfig config = parse_sweep(
        "models: {path: m}\ndata: " + data + "\nstrategies: full\n", "s.yaml", overrides);
    std::string all;
    for (const DataOptions& set : config.data) all += set.image_place + " ";
    return all;
  };
  const std::string both =
      "[{path: d, picture_place: before}, {path: e, image_place: before}, {path: f}]";
  EXPECT_EQ(places(both, "data.image_place=after"), "after after after ");
  EXPECT_EQ(places(both, "data.picture_place=after"), "after after after ");
  EXPECT_EQ(places(both, "data.0.image_place=after"), "after before  ");
  EXPECT_EQ(places("{path: d, picture_place: before}", "data.image_place=after"), "after ");
  EXPECT_EQ(places("{path: d, image_place: before}", "data.0.picture_place=after"), "after ");
  // A list makes a data set of each, named by the key as it was written.
  EXPECT_EQ(places("{path: d, picture_place: before}", "data.image_place=before,after"),
            "before after ");
  EXPECT_EQ(parse_sweep("models: {path: m}\ndata: {path: d, picture_place: [before, after]}\n"
                        "strategies: full\n",
                        "s.yaml")
                .data[1]
                .name,
            "d-picture_place-after");
}

TEST(SweepKeys, ThePageIsWhatTheDeclarationsSay) {
  expect_generated("docs/sweeps.md", "keys", sweep_keys_markdown());
}

}  // namespace
}  // namespace elastikv
