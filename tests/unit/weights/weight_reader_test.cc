#include "weights/weight_reader.h"

#include <fstream>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "support/torch_archive.h"
#include "support/write_safetensors.h"

namespace elastikv {
namespace {

using Mode = WeightReader::Mode;

class WeightReaderTest : public testing::Test {
 protected:
  void write(const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
    write_safetensors(folder_.path() / "model.safetensors", tensors);
  }
  WeightReader reader(Mode mode = Mode::kLoad, c10::ScalarType dtype = at::kFloat) {
    return {Checkpoint::open(folder_.path()), at::kCPU, dtype, mode};
  }
  std::string file() const { return (folder_.path() / "model.safetensors").string(); }
  std::string folder() const { return folder_.path().string(); }

 private:
  TemporaryFolder folder_;
};

TEST_F(WeightReaderTest, TakesThroughScopesAndConverts) {
  write({{"model.layers.0.w", at::arange(6, at::kHalf).reshape({2, 3})},
         {"model.layers.0.ids", at::arange(2, at::kLong)}});
  const WeightReader top = reader();
  EXPECT_EQ(top.dtype(), at::kFloat);
  EXPECT_TRUE(top.device().is_cpu());
  EXPECT_FALSE(top.dry());
  const WeightReader layer = top.scope("model.").scope("layers.0.");
  const at::Tensor weight = layer.take("w", {2, 3});
  EXPECT_EQ(weight.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(weight, at::arange(6, at::kFloat).reshape({2, 3})));
  EXPECT_EQ(layer.take("ids", {2}).scalar_type(), at::kLong) << "integers keep their type";
  top.finish();
}

TEST_F(WeightReaderTest, MatchingTypeStaysAViewThatOutlivesTheReader) {
  write({{"w", at::arange(3, at::kFloat)}});
  at::Tensor first;
  at::Tensor second;
  {
    const WeightReader top = reader();
    first = top.take("w", {3});
    second = top.take("w", {3});
  }
  EXPECT_EQ(first.const_data_ptr(), second.const_data_ptr());
  EXPECT_TRUE(at::equal(first, at::arange(3, at::kFloat)));
}

TEST_F(WeightReaderTest, AnotherDeviceGetsTheTargetType) {
  // The meta device keeps no values; that they are right is seen on the CPU.
  write({{"half", at::arange(6, at::kHalf).reshape({2, 3})},
         {"wide", at::arange(6, at::kDouble).reshape({2, 3})},
         {"ids", at::arange(2, at::kLong)}});
  for (const auto device : {at::kCPU, at::kMeta}) {
    const WeightReader top(Checkpoint::open(folder()), device, at::kFloat);
    for (const char* name : {"half", "wide"}) {
      const at::Tensor taken = top.take(name, {2, 3});
      EXPECT_EQ(taken.device().type(), device);
      EXPECT_EQ(taken.scalar_type(), at::kFloat);
      EXPECT_TRUE(taken.is_contiguous());
      if (device == at::kCPU) {
        EXPECT_TRUE(at::equal(taken, at::arange(6, at::kFloat).reshape({2, 3})));
      }
    }
    EXPECT_EQ(top.take("ids", {2}).scalar_type(), at::kLong);
  }
}

TEST(WeightReader, StridedTensorsBecomeContiguous) {
  const TemporaryFolder folder;
  const at::Tensor values = at::arange(6, at::kFloat);
  const std::string tensor = pickled_tensor(pickled_storage("0", 6), 0, {3, 2}, {1, 3});
  folder.write("pytorch_model.bin",
               zip_archive({{"w/data.pkl", pickle(pickled_dict({{"w", tensor}}))},
                            {"w/data/0", std::string(static_cast<const char*>(values.data_ptr()),
                                                     values.nbytes())}}));
  const WeightReader reader(Checkpoint::open(folder.path()), at::kCPU, at::kFloat);
  const at::Tensor taken = reader.take("w", {3, 2});
  EXPECT_TRUE(taken.is_contiguous());
  EXPECT_TRUE(at::equal(taken, values.reshape({2, 3}).t()));
}

TEST_F(WeightReaderTest, ProgressCountsTheFileBytesOfEveryTensorOnce) {
  write({{"a", at::zeros({5}, at::kHalf)}, {"b", at::zeros({3})}, {"unused", at::zeros({7})}});
  using Calls = std::vector<std::pair<int64_t, int64_t>>;
  const auto take_all = [](const WeightReader& top) {
    (void)top.take("a", {5});
    (void)top.take("a", {5});
    (void)top.take("missing", {1});
    (void)top.scope("").take("b", {3});
  };
  const WeightReader dry = reader(Mode::kDry);
  Calls calls;
  const auto note = [&](int64_t taken, int64_t all) { calls.emplace_back(taken, all); };
  dry.on_progress(note, 1);
  take_all(dry);
  EXPECT_TRUE(calls.empty());
  EXPECT_EQ(dry.taken_bytes(), 22);

  const WeightReader top = reader();
  EXPECT_EQ(top.taken_bytes(), 0);
  top.on_progress(note, dry.taken_bytes());
  take_all(top);
  EXPECT_EQ(calls, (Calls{{10, 22}, {22, 22}}));
  EXPECT_EQ(top.taken_bytes(), 22);
}

/// Bytes of a mapped file that are resident in this process, from the kernel's account.
int64_t resident_bytes(const std::string& file) {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  int64_t kilobytes = 0;
  while (std::getline(maps, line)) {
    if (line.find('-') < line.find(' ')) inside = line.ends_with(file);
    if (inside && line.starts_with("Rss:")) kilobytes += std::stoll(line.substr(4));
  }
  return kilobytes * 1024;
}

TEST_F(WeightReaderTest, PagesOfCopiedTensorsAreReleased) {
  constexpr int64_t kElements = 1 << 20;
  const at::Tensor values = at::arange(kElements, at::kFloat);
  write({{"first", values}, {"second", values}});
  for (const bool keep : {false, true}) {
    SCOPED_TRACE(keep);
    const WeightReader top = reader(Mode::kLoad, at::kDouble);
    if (keep) top.keep_pages();
    for (const char* name : {"first", "second", "first"}) {
      EXPECT_TRUE(at::equal(top.take(name, {kElements}), values.to(at::kDouble)));
    }
    if (keep) {
      EXPECT_GE(resident_bytes(file()), kElements * 8);
    } else {
      EXPECT_LT(resident_bytes(file()), kElements);
    }
  }
  // A view is in use: its pages stay.
  const WeightReader top = reader();
  const at::Tensor view = top.take("first", {kElements});
  EXPECT_TRUE(at::equal(view, values));
  (void)top.take("first", {kElements});
  EXPECT_GE(resident_bytes(file()), kElements * 4);
}

TEST_F(WeightReaderTest, WrongShapeNamesFileTensorAndShapes) {
  write({{"model.norm.weight", at::zeros({3, 2})}});
  const WeightReader scope = reader().scope("model.");
  EXPECT_ERROR(scope.take("norm.weight", {2, 3}),
               file() + ": tensor 'model.norm.weight' has shape [3, 2], the model needs [2, 3]");
  EXPECT_ERROR(scope.take("norm.weight", {}),
               file() + ": tensor 'model.norm.weight' has shape [3, 2], the model needs []");
}

TEST_F(WeightReaderTest, QuantisedWeightsAreRefused) {
  write({{"w", at::zeros({2}).to(at::kFloat8_e4m3fn)}});
  for (const Mode mode : {Mode::kLoad, Mode::kDry}) {
    EXPECT_ERROR(reader(mode).take("w", {2}),
                 file() +
                     ": tensor 'w' is F8_E4M3, which models cannot use (a quantised "
                     "checkpoint?); take one in F32, F16 or BF16");
  }
}

TEST_F(WeightReaderTest, AskingForTheShapeIsNotTaking) {
  write({{"w", at::zeros({2})}});
  const WeightReader top = reader();
  EXPECT_TRUE(top.has("w"));
  EXPECT_EQ(top.shape("w"), (std::vector<int64_t>{2}));
  EXPECT_FALSE(top.has("bias"));
  EXPECT_EQ(top.shape("bias"), std::nullopt);
  EXPECT_ERROR(top.finish(), folder() + ": 1 tensor is not used by the model: w");
}

TEST_F(WeightReaderTest, FinishListsMissingAndLeftOver) {
  write({{"a", at::zeros({1})}, {"old.b", at::zeros({1})}, {"old.c", at::zeros({1})}});
  const WeightReader top = reader();
  EXPECT_TRUE(top.take("a", {1}).defined());
  EXPECT_FALSE(top.scope("new.").take("b", {1}).defined());
  EXPECT_ERROR(top.finish(), folder() +
                                 ": 1 tensor is missing: new.b; 2 tensors are not used by "
                                 "the model: old.b, old.c");
  const WeightReport report = top.report();
  ASSERT_EQ(report.missing.size(), 1U);
  EXPECT_EQ(report.missing[0].name, "new.b");
  EXPECT_EQ(report.missing[0].needed, (std::vector<int64_t>{1}));
  EXPECT_EQ(report.unexpected, (std::vector<std::string>{"old.b", "old.c"}));
  EXPECT_FALSE(report.clean());
}

TEST_F(WeightReaderTest, FinishShowsEightAndCountsTheRest) {
  write({});
  const WeightReader top = reader();
  for (int i = 0; i < 8; ++i) (void)top.take(fmt::format("w{}", i), {1});
  EXPECT_ERROR(top.finish(), folder() + ": 8 tensors are missing: w0, w1, w2, w3, w4, w5, w6, w7");
  (void)top.take("w8", {1});
  (void)top.take("w9", {1});
  (void)top.take("w9", {1});  // counted once
  EXPECT_ERROR(top.finish(),
               folder() + ": 10 tensors are missing: w0, w1, w2, w3, w4, w5, w6, w7 and 2 more");
}

TEST_F(WeightReaderTest, LeftOversCanBeIgnoredWithinAScope) {
  const at::Tensor one = at::zeros({1});
  write({{"model.layers.0.self_attn.rotary_emb.inv_freq", one},
         {"model.vision_tower.embeddings.position_ids", one},
         {"model.vision_tower.post_layernorm.weight", one},
         {"model.vision_tower.post_layernorm.bias", one},
         {"post_layernorm.bias", one},
         {"lm_head.weight", one}});
  const WeightReader top = reader();
  top.scope("model.vision_tower.").ignore("post_layernorm.*");
  EXPECT_EQ(top.report().unexpected,
            (std::vector<std::string>{"lm_head.weight", "post_layernorm.bias"}));
  top.ignore("lm_head.weight");
  top.ignore("post*");
  top.finish();
}

TEST_F(WeightReaderTest, DryModeCollectsEverythingAndReadsNothing) {
  write({{"a", at::zeros({1, 2})}, {"b", at::zeros({3})}});
  const WeightReader top = reader(Mode::kDry);
  EXPECT_TRUE(top.dry());
  EXPECT_FALSE(top.take("a", {1, 2}).defined());
  EXPECT_FALSE(top.take("b", {5}).defined());
  EXPECT_FALSE(top.take("d", {6, 7}).defined());
  const WeightReport report = top.report();
  EXPECT_TRUE(report.unexpected.empty());
  ASSERT_EQ(report.missing.size(), 1U);
  EXPECT_EQ(report.missing[0].needed, (std::vector<int64_t>{6, 7}));
  ASSERT_EQ(report.wrong_shape.size(), 1U);
  EXPECT_EQ(report.wrong_shape[0].found, (std::vector<int64_t>{3}));
  EXPECT_EQ(report.wrong_shape[0].needed, (std::vector<int64_t>{5}));
  EXPECT_ERROR(top.finish(), folder() +
                                 ": 1 tensor is missing: d; 1 tensor has another shape: b "
                                 "is [3], not [5]");
}

TEST(RandomWeights, EveryTensorIsThereAndDependsOnTheSeed) {
  const auto random = [](uint64_t seed) {
    return WeightReader::random(at::kCPU, at::kBFloat16, seed).scope("model.");
  };
  const WeightReader reader = random(3);
  const at::Tensor matrix = reader.take("layers.0.w.weight", {200, 300});
  EXPECT_EQ(matrix.scalar_type(), at::kBFloat16);
  EXPECT_EQ(matrix.sizes(), (at::IntArrayRef{200, 300}));
  EXPECT_NEAR(matrix.to(at::kFloat).std().item<double>(), 0.02, 0.001);
  EXPECT_TRUE(at::equal(random(3).take("other", {200, 300}), matrix));
  EXPECT_FALSE(at::equal(random(4).take("other", {200, 300}), matrix));
  EXPECT_EQ(reader.take("norm.weight", {4}).to(at::kFloat).sum().item<double>(), 4);
  EXPECT_EQ(reader.take("q.bias", {4}).to(at::kFloat).abs().sum().item<double>(), 0);
  EXPECT_TRUE(reader.has("anything"));
  EXPECT_TRUE(reader.report().clean());
  reader.finish();
}

TEST_F(WeightReaderTest, ReleasedTensorsAreReadAgain) {
  write({{"w", at::arange(4096, at::kFloat)}});
  const WeightReader top = reader();
  const at::Tensor view = top.take("w", {4096});
  top.release("w");
  top.release("absent");
  EXPECT_TRUE(at::equal(view, at::arange(4096, at::kFloat)));
}

TEST_F(WeightReaderTest, ForgottenTensorsAreReadAgain) {
  write({{"w", at::arange(4096, at::kFloat)}});
  const WeightReader top = reader();
  top.forget_pages();
  const at::Tensor view = top.take("w", {4096});
  EXPECT_TRUE(at::equal(top.take("w", {4096}), at::arange(4096, at::kFloat)));
  top.release("w");
  top.release("absent");
  EXPECT_TRUE(at::equal(view, at::arange(4096, at::kFloat)));
}

TEST(WeightReaderUniform, AllMatricesAreOneNumber) {
  const WeightReader reader = WeightReader::uniform(at::kCPU, at::kBFloat16, 0.5);
  const at::Tensor matrix = reader.take("w", {2, 3});
  EXPECT_EQ(matrix.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(matrix.to(at::kFloat), at::full({2, 3}, 0.5)));
  EXPECT_EQ(reader.take("norm.weight", {4}).to(at::kFloat).sum().item<double>(), 4);
  EXPECT_EQ(reader.take("q.bias", {4}).to(at::kFloat).abs().sum().item<double>(), 0);
  reader.finish();
}

TEST(WeightReaderListing, SaysWhatAModelAsksFor) {
  const WeightReader top = WeightReader::listing();
  EXPECT_FALSE(top.scope("a.").take("w", {2, 3}).defined());
  const WeightReport report = top.report();
  ASSERT_EQ(report.missing.size(), 1U);
  EXPECT_EQ(report.missing[0].name, "a.w");
  EXPECT_EQ(report.missing[0].needed, (std::vector<int64_t>{2, 3}));
}

}  // namespace
}  // namespace elastikv
