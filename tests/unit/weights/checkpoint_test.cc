#include "weights/checkpoint.h"

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

at::Tensor filled(double value) { return at::full({2}, value, at::kFloat); }

/// Two shards with an index, in the old spelling.
void write_sharded(const TemporaryFolder& folder) {
  write_safetensors(folder.path() / "model-00001-of-00002.safetensors",
                    {{"language_model.lm_head.weight", filled(1)}, {"unlisted", filled(9)}});
  write_safetensors(folder.path() / "model-00002-of-00002.safetensors",
                    {{"vision_tower.vision_model.x", at::arange(3, at::kHalf)}});
  folder.write("model.safetensors.index.json", R"({
    "metadata": {"total_size": 14, "more": {"levels": [1]}},
    "weight_map": {"language_model.lm_head.weight": "model-00001-of-00002.safetensors",
                   "vision_tower.vision_model.x": "model-00002-of-00002.safetensors"}})");
}

TEST(Checkpoint, SingleFileOfAPlainLanguageModel) {
  const TemporaryFolder folder;
  write_safetensors(folder.path() / "model.safetensors",
                    {{"model.layers.0.w", filled(1)}, {"lm_head.weight", at::zeros({3, 4})}});
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"lm_head.weight", "model.layers.0.w"}));
  EXPECT_EQ(checkpoint.parameters(), 14);
  EXPECT_EQ(checkpoint.bytes(), 56);
  EXPECT_EQ(checkpoint.folder(), folder.path());
  EXPECT_EQ(checkpoint.info("lm_head.weight").shape, (std::vector<int64_t>{3, 4}));
  EXPECT_TRUE(at::equal(checkpoint.tensor("model.layers.0.w"), filled(1)));
  EXPECT_ERROR(
      checkpoint.tensor("lm_head.wieght"),
      folder.path().string() + ": no tensor 'lm_head.wieght'; did you mean 'lm_head.weight'?");
}

TEST(Checkpoint, ShardsInTheOldSpelling) {
  const TemporaryFolder folder;
  write_sharded(folder);
  at::Tensor kept;
  {
    const Checkpoint checkpoint = Checkpoint::open(folder.path());
    EXPECT_EQ(checkpoint.names(),
              (std::vector<std::string>{"lm_head.weight", "model.vision_tower.x"}));
    EXPECT_TRUE(checkpoint.has("model.vision_tower.x"));
    EXPECT_FALSE(checkpoint.has("vision_tower.vision_model.x"));
    EXPECT_EQ(checkpoint.stored_name("model.vision_tower.x"), "vision_tower.vision_model.x");
    EXPECT_EQ(checkpoint.file_of("model.vision_tower.x"),
              folder.path() / "model-00002-of-00002.safetensors");
    EXPECT_EQ(checkpoint.parameters(), 5);
    EXPECT_EQ(checkpoint.bytes(), 14);
    kept = checkpoint.tensor("model.vision_tower.x");
  }
  EXPECT_TRUE(at::equal(kept, at::arange(3, at::kHalf)));
}

TEST(Checkpoint, TheSingleFileWinsOverAnIndex) {
  const TemporaryFolder folder;
  write_sharded(folder);
  write_safetensors(folder.path() / "model.safetensors", {{"a", filled(1)}});
  EXPECT_EQ(Checkpoint::open(folder.path()).names(), std::vector<std::string>{"a"});
}

TEST(Checkpoint, LinksIntoACacheAreFollowed) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() / "blobs");
  std::filesystem::create_directories(folder.path() / "snapshot");
  write_safetensors(folder.path() / "blobs/0123", {{"a", filled(1)}});
  std::filesystem::create_symlink("../blobs/0123", folder.path() / "snapshot/part.safetensors");
  folder.write("snapshot/model.safetensors.index.json",
               R"({"weight_map": {"a": "part.safetensors"}})");
  EXPECT_TRUE(at::equal(Checkpoint::open(folder.path() / "snapshot").tensor("a"), filled(1)));
}

TEST(Checkpoint, FolderWithoutWeights) {
  const TemporaryFolder folder;
  const std::string path = folder.path().string();
  EXPECT_ERROR(Checkpoint::open(folder.path()),
               path +
                   ": no weights here: none of model.safetensors, model.safetensors.index.json, "
                   "pytorch_model.bin and pytorch_model.bin.index.json is there");
  EXPECT_ERROR(Checkpoint::open(folder.path() / "x"),
               path +
                   "/x: no such folder; a folder with model.safetensors or "
                   "model.safetensors.index.json is needed");
  const auto file = folder.write("pytorch_model.bin", "pickle");
  EXPECT_ERROR(Checkpoint::open(file), file.string() +
                                           ": not a folder; a folder with model.safetensors or "
                                           "model.safetensors.index.json is needed");
}

TEST(Checkpoint, MissingShard) {
  const TemporaryFolder folder;
  write_sharded(folder);
  const auto index = folder.path() / "model.safetensors.index.json";
  std::filesystem::remove(folder.path() / "model-00002-of-00002.safetensors");
  EXPECT_ERROR(Checkpoint::open(folder.path()),
               index.string() +
                   ": shard 'model-00002-of-00002.safetensors' is missing from the "
                   "folder; it holds tensor 'vision_tower.vision_model.x'");
  folder.write(index.filename(), R"({"weight_map": {"a": "x", "b": "x", "c": "x"}})");
  EXPECT_ERROR(
      Checkpoint::open(folder.path()),
      index.string() + ": shard 'x' is missing from the folder; it holds tensor 'a' and 2 more");
}

// Such a name is looked for, and the system refuses to look.
TEST(Checkpoint, ShardOfAnImpossibleName) {
  const TemporaryFolder folder;
  const std::string name(300, 'x');
  folder.write("model.safetensors.index.json",
               fmt::format(R"({{"weight_map": {{"a": "{}"}}}})", name));
  EXPECT_ERROR(Checkpoint::open(folder.path()),
               (folder.path() / name).string() + ": cannot be looked at: File name too long");
}

TEST(Checkpoint, ShardThatLacksATensor) {
  const TemporaryFolder folder;
  write_sharded(folder);
  const auto shard = folder.path() / "model-00002-of-00002.safetensors";
  write_safetensors(shard, {{"y", filled(1)}});
  EXPECT_ERROR(Checkpoint::open(folder.path()),
               shard.string() +
                   ": tensor 'vision_tower.vision_model.x' is missing; "
                   "model.safetensors.index.json says that it is in this file");
}

TEST(Checkpoint, DamagedShardIsNamed) {
  const TemporaryFolder folder;
  write_sharded(folder);
  const auto shard = folder.write("model-00002-of-00002.safetensors", "abc");
  EXPECT_ERROR(Checkpoint::open(folder.path()),
               shard.string() +
                   ": not a safetensors file: 3 bytes long, the header length alone "
                   "takes 8");
}

TEST(Checkpoint, IndexIsChecked) {
  const TemporaryFolder folder;
  const auto expect = [&](const std::string& text, const std::string& message) {
    const auto file = folder.write("model.safetensors.index.json", text);
    EXPECT_ERROR(Checkpoint::open(folder.path()), file.string() + message);
  };
  expect("", ": index is not valid JSON (at byte 1)");
  expect("[]", ": index is array, a JSON object is needed");
  expect("{}", ": key 'weight_map' is missing (an object is needed)");
  expect(R"({"weight_map": []})", ": key 'weight_map' is array, an object is needed");
  expect(R"({"weight_map": {}})", ": weight_map is empty");
  expect(R"({"weight_map": {"a": 1}})", ": weight_map: tensor 'a' needs the name of a file");
  expect(R"({"weight_map": {"a": ""}})", ": weight_map: tensor 'a' needs the name of a file");
  expect(R"({"weight_map": {"a": "x", "a": "y"}})", ": index holds the name 'a' twice");
  expect(R"({"weight_map": {"a": "../x"}})",
         ": weight_map: tensor 'a' is put into '../x', outside the checkpoint's folder");
  expect(R"({"weight_map": {"a": "b/../../x"}})",
         ": weight_map: tensor 'a' is put into 'b/../../x', outside the checkpoint's folder");
  expect(R"({"weight_map": {"a": "/etc/passwd"}})",
         ": weight_map: tensor 'a' is put into '/etc/passwd', outside the checkpoint's folder");
}

/// An archive of one tensor of floats.
std::string pytorch_bytes(const std::string& name, const std::vector<float>& values) {
  const auto count = static_cast<int64_t>(values.size());
  const std::string tensor = pickled_tensor(pickled_storage("0", count), 0, {count}, {1});
  return zip_archive(
      {{"w/data.pkl", pickle(pickled_dict({{name, tensor}}))},
       {"w/data/0", std::string(reinterpret_cast<const char*>(values.data()), values.size() * 4)}});
}

TEST(Checkpoint, PytorchFilesAreReadLikeTheOthers) {
  const TemporaryFolder folder;
  folder.write("pytorch_model.bin", pytorch_bytes("language_model.lm_head.weight", {1, 2, 3}));
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(checkpoint.names(), std::vector<std::string>{"lm_head.weight"});
  EXPECT_EQ(checkpoint.parameters(), 3);
  EXPECT_EQ(checkpoint.bytes(), 12);
  EXPECT_EQ(checkpoint.file_of("lm_head.weight"), folder.path() / "pytorch_model.bin");
  const at::Tensor tensor = checkpoint.tensor("lm_head.weight");
  EXPECT_TRUE(at::equal(tensor, at::arange(1, 4, at::kFloat)));
  checkpoint.release("lm_head.weight");
  checkpoint.forget("lm_head.weight");
  EXPECT_TRUE(at::equal(tensor, at::arange(1, 4, at::kFloat))) << "comes back";

  const std::string hash = checkpoint.content_hash();
  EXPECT_EQ(hash.size(), 32U);
  folder.write("pytorch_model.bin", "");
  std::filesystem::remove(folder.path() / "pytorch_model.bin");
  folder.write("pytorch_model.bin", pytorch_bytes("language_model.lm_head.weight", {1, 2, 4}));
  EXPECT_NE(Checkpoint::open(folder.path()).content_hash(), hash);
}

TEST(Checkpoint, PytorchShards) {
  const TemporaryFolder folder;
  folder.write("pytorch_model-00001-of-00002.bin", pytorch_bytes("a", {1}));
  folder.write("pytorch_model-00002-of-00002.bin", pytorch_bytes("b", {2}));
  const auto index = folder.write("pytorch_model.bin.index.json", R"({"weight_map": {
      "a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}})");
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(checkpoint.tensor("b").item<float>(), 2);

  folder.write("pytorch_model.bin.index.json",
               R"({"weight_map": {"b": "pytorch_model-00001-of-00002.bin"}})");
  EXPECT_ERROR(Checkpoint::open(folder.path()),
               (folder.path() / "pytorch_model-00001-of-00002.bin").string() +
                   ": tensor 'b' is missing; pytorch_model.bin.index.json says that it is in this "
                   "file");
  std::filesystem::remove(folder.path() / "pytorch_model-00001-of-00002.bin");
  EXPECT_ERROR(
      Checkpoint::open(folder.path()),
      index.string() +
          ": shard 'pytorch_model-00001-of-00002.bin' is missing from the folder; it holds "
          "tensor 'b'");
}

TEST(Checkpoint, FormsInTheOrderOfTransformers) {
  const TemporaryFolder folder;
  const auto names = [&] { return Checkpoint::open(folder.path()).names(); };
  folder.write("shard.bin", pytorch_bytes("pytorch.index", {1}));
  folder.write("pytorch_model.bin.index.json", R"({"weight_map": {"pytorch.index": "shard.bin"}})");
  EXPECT_EQ(names(), std::vector<std::string>{"pytorch.index"});
  folder.write("pytorch_model.bin", pytorch_bytes("pytorch.file", {1}));
  EXPECT_EQ(names(), std::vector<std::string>{"pytorch.file"});
  write_safetensors(folder.path() / "shard.safetensors", {{"safetensors.index", filled(1)}});
  folder.write("model.safetensors.index.json",
               R"({"weight_map": {"safetensors.index": "shard.safetensors"}})");
  EXPECT_EQ(names(), std::vector<std::string>{"safetensors.index"});
  write_safetensors(folder.path() / "model.safetensors", {{"safetensors.file", filled(1)}});
  EXPECT_EQ(names(), std::vector<std::string>{"safetensors.file"});
}

TEST(Checkpoint, VisionTowerFromAFolderOfItsOwn) {
  const TemporaryFolder llava;
  const TemporaryFolder clip;
  write_safetensors(llava.path() / "model.safetensors",
                    {{"model.norm.weight", filled(1)}, {"model.mm_projector.0.bias", filled(2)}});
  clip.write("pytorch_model.bin", pytorch_bytes("vision_model.embeddings.class_embedding", {5}));
  const Checkpoint language = Checkpoint::open(llava.path());
  const Checkpoint tower = Checkpoint::open(clip.path());
  at::Tensor kept;
  {
    const Checkpoint both = language.with_vision_tower(tower);
    EXPECT_EQ(both.names(),
              (std::vector<std::string>{"model.language_model.norm.weight",
                                        "model.multi_modal_projector.linear_1.bias",
                                        "model.vision_tower.embeddings.class_embedding"}));
    EXPECT_EQ(both.folder(), llava.path());
    EXPECT_EQ(both.parameters(), 5);
    EXPECT_EQ(both.bytes(), 20);
    EXPECT_EQ(both.file_of("model.vision_tower.embeddings.class_embedding"),
              clip.path() / "pytorch_model.bin");
    EXPECT_EQ(both.stored_name("model.vision_tower.embeddings.class_embedding"),
              "vision_model.embeddings.class_embedding");
    EXPECT_EQ(both.content_hash(), language.with_vision_tower(tower).content_hash());
    EXPECT_NE(both.content_hash(), language.content_hash());
    kept = both.tensor("model.vision_tower.embeddings.class_embedding");
    EXPECT_TRUE(at::equal(both.tensor("model.language_model.norm.weight"), filled(1)));
    EXPECT_ERROR(both.with_vision_tower(tower),
                 llava.path().string() +
                     ": has a vision tower already ('vision_model.embeddings.class_embedding'); "
                     "none can be added");
  }
  EXPECT_EQ(kept.item<float>(), 5);
  EXPECT_ERROR(language.with_vision_tower(language),
               llava.path().string() +
                   ": no vision tower here: no tensor's name begins with 'vision_model.'");

  // Only the vision part is taken, and the hash follows both folders.
  const std::string hash = language.with_vision_tower(tower).content_hash();
  write_safetensors(clip.path() / "model.safetensors",
                    {{"vision_model.embeddings.class_embedding", at::full({1}, 5, at::kFloat)},
                     {"text_model.final_layer_norm.bias", filled(3)},
                     {"visual_projection.weight", filled(3)},
                     {"text_projection.weight", filled(3)},
                     {"logit_scale", filled(3)}});
  const Checkpoint other = language.with_vision_tower(Checkpoint::open(clip.path()));
  EXPECT_EQ(other.names().size(), 3U);
  EXPECT_EQ(other.parameters(), 5);
  EXPECT_NE(other.content_hash(), hash);
}

TEST(Checkpoint, TwoSpellingsOfOneTensor) {
  const TemporaryFolder folder;
  write_safetensors(folder.path() / "model.safetensors",
                    {{"lm_head.weight", filled(1)}, {"language_model.lm_head.weight", filled(2)}});
  EXPECT_ERROR(Checkpoint::open(folder.path()),
               folder.path().string() +
                   ": tensors 'language_model.lm_head.weight' and 'lm_head.weight' are two "
                   "spellings of 'lm_head.weight'; only one may be there");
}

TEST(Checkpoint, HashFollowsEveryByteButNotThePlace) {
  const TemporaryFolder folder;
  const TemporaryFolder elsewhere;
  write_sharded(folder);
  write_sharded(elsewhere);
  const std::string hash = Checkpoint::open(folder.path()).content_hash();
  EXPECT_EQ(hash.size(), 32U);
  const Checkpoint other = Checkpoint::open(elsewhere.path());
  EXPECT_EQ(other.content_hash(), hash);
  EXPECT_EQ(other.content_hash(), hash) << "kept";
  // The last shard's data.
  write_safetensors(folder.path() / "model-00002-of-00002.safetensors",
                    {{"vision_tower.vision_model.x", at::arange(1, 4, at::kHalf)}});
  EXPECT_NE(Checkpoint::open(folder.path()).content_hash(), hash);
  // The index.
  folder.write("model-00002-of-00002.safetensors", "");
  write_sharded(folder);
  EXPECT_EQ(Checkpoint::open(folder.path()).content_hash(), hash);
  folder.write("model.safetensors.index.json",
               R"({"weight_map": {"unlisted": "model-00001-of-00002.safetensors"}})");
  EXPECT_NE(Checkpoint::open(folder.path()).content_hash(), hash);
}

}  // namespace
}  // namespace elastikv
