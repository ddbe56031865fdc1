#include "weights/pytorch_file.h"

#include <limits>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>

#include "support/expect_error.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "support/torch_archive.h"
#include "weights/safetensors.h"

namespace elastikv {
namespace {

const std::string& data_folder() {
  static const std::string kFolder = source_path("tests/unit/weights/data/");
  return kFolder;
}

/// Six floats, 0 to 5.
std::string six_floats() {
  const at::Tensor values = at::arange(6, at::kFloat);
  return {static_cast<const char*>(values.const_data_ptr()), values.nbytes()};
}

/// An archive of this pickle and of the storage data/0, six floats.
std::string archive(const std::string& pickle) {
  return zip_archive({{"a/data.pkl", pickle}, {"a/data/0", six_floats()}});
}

std::string one_tensor(int64_t offset, const std::vector<int64_t>& shape,
                       const std::vector<int64_t>& strides) {
  return pickle(
      pickled_dict({{"x", pickled_tensor(pickled_storage("0", 6), offset, shape, strides)}}));
}

/// Opening a file of these bytes must fail with "<path of the file>" + message.
void expect_bytes_error(const std::string& bytes, const std::string& message) {
  const TemporaryFolder folder;
  const auto file = folder.write("pytorch_model.bin", bytes);
  EXPECT_ERROR(PytorchFile{file}, file.string() + message);
}
void expect_pickle_error(const std::string& text, const std::string& message) {
  expect_bytes_error(archive(text), message);
}
/// The same for the pickle of one value.
void expect_value_error(const std::string& value, const std::string& message) {
  expect_pickle_error(pickle(value), message);
}

void expect_same_as_golden(const PytorchFile& file) {
  const SafetensorsFile golden(data_folder() + "pytorch.safetensors");
  EXPECT_EQ(file.names(), golden.names());
  for (const std::string& name : golden.names()) {
    SCOPED_TRACE(name);
    const at::Tensor tensor = file.tensor(name);
    const at::Tensor expected = golden.tensor(name);
    EXPECT_EQ(file.info(name).dtype, golden.info(name).dtype);
    EXPECT_EQ(file.info(name).shape, golden.info(name).shape);
    ASSERT_EQ(tensor.scalar_type(), expected.scalar_type());
    ASSERT_EQ(tensor.sizes(), expected.sizes());
    // Float8 has no equal().
    const auto comparable = [](const at::Tensor& t) {
      return c10::isFloat8Type(t.scalar_type()) ? t.to(at::kFloat) : t;
    };
    EXPECT_TRUE(at::equal(comparable(tensor), comparable(expected)));
  }
}

TEST(PytorchFile, GoldenFilesOfTorch) {
  for (const char* name : {"pytorch_2.bin", "pytorch_5.bin"}) {
    SCOPED_TRACE(name);
    const PytorchFile file(data_folder() + name);
    EXPECT_GE(file.names().size(), 29U);
    expect_same_as_golden(file);
  }
}

TEST(PytorchFile, ViewsShareTheMapWithTheirStrides) {
  const PytorchFile file(data_folder() + "pytorch_2.bin");
  const at::Tensor whole = file.tensor("shared.whole");
  const auto* start = static_cast<const float*>(whole.const_data_ptr());
  const char* map = file.bytes().data();
  EXPECT_GE(static_cast<const char*>(whole.const_data_ptr()), map);
  EXPECT_LT(static_cast<const char*>(whole.const_data_ptr()), map + file.bytes().size());
  struct View {
    const char* name;
    std::vector<int64_t> shape;
    std::vector<int64_t> strides;
    int64_t offset;
    size_t bytes;
  };
  for (const View& view : std::vector<View>{
           {"shared.whole", {4, 6}, {6, 1}, 0, 96},
           {"shared.rows", {2, 6}, {6, 1}, 6, 48},
           {"shared.columns", {4, 3}, {6, 1}, 2, 84},
           {"shared.transposed", {6, 4}, {1, 6}, 0, 96},
           {"shared.steps", {2, 2}, {12, 3}, 1, 64},
           {"shared.element", {}, {}, 23, 4},
       }) {
    SCOPED_TRACE(view.name);
    const at::Tensor tensor = file.tensor(view.name);
    EXPECT_EQ(tensor.sizes(), view.shape);
    EXPECT_EQ(tensor.strides(), view.strides);
    EXPECT_EQ(tensor.const_data_ptr(), start + view.offset);
    EXPECT_EQ(file.info(view.name).bytes(), view.bytes);
  }
  EXPECT_EQ(file.info("shared.nothing").bytes(), 0U);
  EXPECT_EQ(file.tensor("channels_last").strides(), (c10::IntArrayRef{24, 1, 8, 2}));
  EXPECT_TRUE(file.tensor("odd_stride").is_contiguous());
  EXPECT_TRUE(file.info("odd_stride").strides.empty());
}

TEST(PytorchFile, ViewsOutliveTheFileObject) {
  at::Tensor kept;
  { kept = PytorchFile(data_folder() + "pytorch_2.bin").tensor("F32"); }
  EXPECT_TRUE(at::equal(kept, at::arange(6, at::kFloat).mul(0.5).reshape({2, 3})));
}

TEST(PytorchFile, PlainAndNestedDictionaries) {
  // The plain one has no byte order, as from PyTorch 1.6, and its storages lie unaligned.
  for (const char* name : {"pytorch_plain.bin", "pytorch_nested.bin"}) {
    SCOPED_TRACE(name);
    const PytorchFile file(data_folder() + name);
    EXPECT_EQ(file.names(), (std::vector<std::string>{"a", "b"}));
    EXPECT_TRUE(at::equal(file.tensor("a"), at::arange(3, at::kFloat)));
    EXPECT_EQ(file.tensor("b").item<int64_t>(), 5);
  }
  const std::string inner =
      pickled_dict({{"x", pickled_tensor(pickled_storage("0", 6), 0, {6}, {1})}});
  const TemporaryFolder folder;
  const auto path = folder.write("w.bin", archive(pickle(pickled_dict({{"model", inner}}))));
  EXPECT_EQ(PytorchFile(path).names(), std::vector<std::string>{"x"});
  // Empty is still a state dict.
  EXPECT_TRUE(PytorchFile(folder.write("e.bin", archive(pickle("}")))).names().empty());
}

TEST(PytorchFile, LegacyFormSaysHowToConvert) {
  const std::string file = data_folder() + "pytorch_legacy.bin";
  EXPECT_ERROR(PytorchFile{file},
               file +
                   ": written by torch.save before PyTorch 1.6, in a form that is not read; "
                   "convert it in Python: torch.save(torch.load(FILE, weights_only=True), FILE)");
}

TEST(PytorchFile, UnalignedTensorsAreCopied) {
  const TemporaryFolder folder;
  for (size_t padding = 0; padding < 4; ++padding) {
    SCOPED_TRACE(padding);
    const std::string items =
        pickled_dict({{"whole", pickled_tensor(pickled_storage("0", 6), 0, {2, 3}, {3, 1})},
                      {"column", pickled_tensor(pickled_storage("0", 6), 1, {2}, {3})}});
    const auto path = folder.write(
        "w.bin", zip_archive({{"a/data.pkl", pickle(items)}, {"a/data/0", six_floats()}},
                             /*wide=*/false, padding));
    const PytorchFile file(path);
    for (const char* name : {"whole", "column"}) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(file.tensor(name).const_data_ptr()) % 4, 0U);
    }
    EXPECT_TRUE(at::equal(file.tensor("whole"), at::arange(6, at::kFloat).reshape({2, 3})));
    EXPECT_TRUE(at::equal(file.tensor("column"), at::tensor({1.F, 4.F})));
    EXPECT_EQ(file.tensor("column").strides(), (c10::IntArrayRef{3}));
  }
}

TEST(PytorchFile, WideZipFields) {
  const TemporaryFolder folder;
  const std::string text = one_tensor(0, {6}, {1});
  for (const bool wide_member : {false, true}) {
    for (const bool wide_end : {false, true}) {
      const auto path =
          folder.write("w.bin", zip_archive({{"a/data.pkl", text, 0, 0, wide_member},
                                             {"a/data/0", six_floats(), 0, 0, wide_member}},
                                            wide_end, /*padding=*/5, /*comment=*/"made here"));
      EXPECT_TRUE(at::equal(PytorchFile(path).tensor("x"), at::arange(6, at::kFloat)));
    }
  }
}

TEST(PytorchFile, OrderedDictOfPairsAsPythonTwoWroteIt) {
  const std::string tensor = pickled_tensor(pickled_storage("0", 6), 2, {3}, {1});
  const TemporaryFolder folder;
  const auto path = folder.write(
      "w.bin", archive(joined({"\x80\x02", pickled_global("collections", "OrderedDict"),
                               "(](](U\x01x", tensor, "eetR."})));
  EXPECT_TRUE(at::equal(PytorchFile(path).tensor("x"), at::tensor({2.F, 3.F, 4.F})));
}

TEST(PytorchFile, NothingIsRun) {
  const std::string tail =
      ", which is not run; only tensors, parameters and ordered dictionaries of them are read from "
      "a pickle";
  expect_value_error(joined({pickled_global("os", "system"), "(", pickled_text("true"), "tR"}),
                     ": data.pkl asks for os.system" + tail);
  expect_value_error(pickled_text("posix") + pickled_text("system") + "\x93",
                     ": data.pkl asks for posix.system" + tail);
  expect_value_error(pickled_global("builtins", "eval"),
                     ": data.pkl asks for builtins.eval" + tail);
  expect_value_error(pickled_global("torch._utils", "_rebuild_qtensor"),
                     ": data.pkl asks for torch._utils._rebuild_qtensor" + tail);
  expect_value_error(pickled_global("torch.a\x1b[2J", "b"),
                     ": data.pkl asks for torch.a?[2J.b" + tail);
  // Instructions that make objects of other classes.
  for (const char opcode : {'i', 'o', '\x81', '\x92', '\x82', 'P', 'I'}) {
    expect_value_error(std::string(1, opcode),
                       fmt::format(": data.pkl at byte 2: instruction {:#04x} is not one that a "
                                   "dictionary of tensors needs",
                                   static_cast<unsigned char>(opcode)));
  }
  expect_value_error(pickled_global("torch", "FloatStorage") + ")R",
                     ": data.pkl at byte 23: calls torch.FloatStorage");
}

TEST(PytorchFile, SaysWhatElseWasFound) {
  const std::string tensor = pickled_tensor(pickled_storage("0", 6), 0, {6}, {1});
  const std::string head = ": holds a dictionary of other things than tensors (";
  const std::string tail =
      "); tensors by name are needed, or such a dictionary alone under 'model' or 'state_dict'";
  expect_value_error("N", ": holds None; a dictionary of tensors is needed");
  expect_value_error(tensor, ": holds a tensor; a dictionary of tensors is needed");
  expect_value_error(pickled_dict({{"epoch", "K\x03"}, {"state_dict", "}"}}),
                     head + "'epoch': a number, 'state_dict': a dictionary" + tail);
  expect_value_error(pickled_dict({{"weights", pickled_dict({{"x", tensor}})}}),
                     head + "'weights': a dictionary" + tail);
  expect_value_error(pickled_dict({{"model", pickled_dict({{"x", "N"}})}}),
                     head + "'model': a dictionary" + tail);
  expect_value_error(
      pickled_dict({{"a", "\x88"}, {"b", "]"}, {"c", ")"}, {"d", "N"}, {"e", "N"}}),
      head + "'a': a boolean, 'b': a list, 'c': a tuple, 'd': None and 1 more" + tail);
  expect_value_error("}(K\x01" + tensor + "u", head + "a number: a tensor" + tail);
  expect_value_error(pickled_dict({{"x", tensor}, {"x", tensor}}),
                     ": data.pkl holds the name 'x' twice");
}

TEST(PytorchFile, TensorsLieInsideTheirStorages) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const auto expect = [](int64_t offset, const std::vector<int64_t>& shape,
                         const std::vector<int64_t>& strides, const std::string& message) {
    expect_pickle_error(one_tensor(offset, shape, strides), ": tensor 'x': " + message);
  };
  expect(0, {7}, {1}, "offset 0, shape [7] and strides [1] reach beyond its storage of 6 elements");
  expect(1, {6}, {1}, "offset 1, shape [6] and strides [1] reach beyond its storage of 6 elements");
  expect(6, {}, {}, "offset 6, shape [] and strides [] reach beyond its storage of 6 elements");
  expect(0, {2, 2}, {5, 1},
         "offset 0, shape [2, 2] and strides [5, 1] reach beyond its storage of 6 elements");
  expect(-1, {1}, {1}, "offset -1, shape [1] and strides [1] are not possible");
  expect(0, {-1}, {1}, "offset 0, shape [-1] and strides [1] are not possible");
  expect(0, {2}, {-1}, "offset 0, shape [2] and strides [-1] are not possible");
  expect(0, {3}, {kMost}, "offset 0, shape [3] and strides [9223372036854775807] are not possible");
  expect(kMost, {2}, {1}, "offset 9223372036854775807, shape [2] and strides [1] are not possible");
  expect(0, {kMost, 2}, {0, 1},
         "offset 0, shape [9223372036854775807, 2] and strides [0, 1] are not possible");
  // A zero would make the product small, but not the strides of a copy.
  expect(0, {0, kMost}, {1, 1},
         "offset 0, shape [0, 9223372036854775807] and strides [1, 1] are not possible");
  expect(0, {1000000}, {0}, "shape [1000000] has 1000000 elements, its storage only 6");
  expect(0, {2}, {1, 1}, "shape [2] and strides [1, 1] differ in length");
}

TEST(PytorchFile, StoragesAreComplete) {
  const auto of_storage = [](const std::string& storage) {
    return pickled_dict({{"x", pickled_tensor(storage, 0, {1}, {1})}});
  };
  expect_value_error(of_storage(pickled_storage("1", 6)),
                     ": tensor 'x': its storage data/1 is missing");
  expect_value_error(of_storage(pickled_storage("../0", 6)),
                     ": tensor 'x': its storage data/../0 is missing");
  expect_value_error(of_storage(pickled_storage("0", 7)),
                     ": tensor 'x': its storage data/0 has 24 bytes, not 28");
  expect_value_error(of_storage(pickled_storage("0", 6, "HalfStorage")),
                     ": tensor 'x': its storage data/0 has 24 bytes, not 12");
  expect_value_error(of_storage(pickled_storage("0", -1)),
                     ": tensor 'x': a storage of -1 elements is not possible");
  expect_value_error(of_storage(pickled_storage("0", int64_t{1} << 62)),
                     ": tensor 'x': a storage of 4611686018427387904 elements is not possible");
  // The byte is that of the call.
  const auto expect_call_error = [&](const std::string& storage, const std::string& message) {
    const std::string text = pickle(of_storage(storage));
    expect_pickle_error(text, fmt::format(": data.pkl at byte {}: {}", text.rfind('R'), message));
  };
  expect_call_error(pickled_storage("0", 24, "UntypedStorage", "torch.storage"),
                    "a tensor of an untyped storage has no dtype");
  expect_call_error("N", "a tensor's storage is None");
}

TEST(PytorchFile, BooleansAreZeroOrOne) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "w.bin",
      zip_archive(
          {{"a/data.pkl",
            pickle(pickled_dict(
                {{"x", pickled_tensor(pickled_storage("0", 3, "BoolStorage"), 0, {2}, {2})}}))},
           {"a/data/0", std::string("\0\1\7", 3)}}));
  const PytorchFile file(path);
  EXPECT_ERROR(
      file.tensor("x"),
      path.string() + ": tensor 'x': element 2 of a BOOL tensor is the byte 7, 0 or 1 is needed");
}

TEST(PytorchFile, BrokenPickles) {
  const std::string cut = "ends in the middle (is it cut off?)";
  const auto expect = [](const std::string& text, const std::string& message) {
    expect_pickle_error(text, ": data.pkl at byte " + message);
  };
  expect("", "0: " + cut);
  expect("\x80", "0: " + cut);
  expect("\x80\x06.", "0: protocol 6 is not read; 2 to 5 are");
  expect("}", "1: " + cut);
  expect("}.x", "1: 1 bytes follow the end");
  expect(".", "0: ends with 0 values");
  expect("}}.", "2: ends with 2 values");
  expect("(}.", "2: ends with 1 values");
  expect("0", "0: takes a value that is not there");
  expect("}(0", "2: takes a value that is not there");
  expect("NR", "1: takes a value that is not there");
  expect("\x86", "0: takes a value that is not there");
  expect("t", "0: takes a mark that is not there");
  expect("h\x01", "0: asks for value 1, which was not kept");
  expect("}Na", "2: appends to a dictionary");
  expect("]NNs", "3: sets items of a list");
  expect("}(Nu", "3: sets an item without a value");
  expect("ctorch\nSize\nNR", "13: a call's arguments is None, a tuple is needed");
  expect("ctorch\nSize\n]R", "13: a call's arguments are a list");
  expect("ctorch\nSize\n]\x85R", "14: a Size is a list, a tuple is needed");
  expect("N)R", "2: what is called is None, a type or function is needed");
  expect("NQ", "1: a persistent id is None, a tuple is needed");
  expect(")Q", "1: a persistent id is not that of a storage");
  expect("]}b", "2: gives a list attributes");
  expect("}Nb", "2: attributes are None");
  expect("NN\x93", "2: a name is None, a text is needed");
  expect("X\xFF\xFF\xFF\xFFx", "0: " + cut);
  expect("\x8d\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFx", "0: " + cut);
  expect("\x95\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF}.", "0: " + cut);
  expect("cos", "0: " + cut);
  expect("\x8a\x09" + std::string(9, '\1'), "0: a number of 9 bytes");
}

// What costs Python memory or time out of all proportion to the file.
TEST(PytorchFile, BombsAreRefusedSoon) {
  expect_pickle_error(std::string(101, '('),
                      ": data.pkl at byte 100: is nested deeper than 100 levels");
  expect_pickle_error(std::string(1'000'001, 'N'),
                      ": data.pkl at byte 1000000: holds more than 1000000 values at once");
  std::string pairs;
  for (int i = 0; i < 2'100'000; ++i) pairs += ")0";
  pairs += pairs;
  expect_pickle_error(pairs, ": data.pkl at byte 8000000: makes more than 4000000 objects");
  // The memo as Python keeps it would have 4 billion places.
  const TemporaryFolder folder;
  const auto path = folder.write("w.bin", archive(pickle(std::string("}r\xFF\xFF\xFF\xFF"
                                                                     "0j\xFF\xFF\xFF\xFF"))));
  EXPECT_TRUE(PytorchFile(path).names().empty());
  // Lists in lists, and a list in itself: neither is followed.
  const std::string deep = std::string(200'000, ']') + std::string(199'999, 'a');
  expect_value_error(deep, ": holds a list; a dictionary of tensors is needed");
  expect_value_error("]q\1h\1a", ": holds a list; a dictionary of tensors is needed");
  // One long list made into a dictionary again and again.
  std::string again = "](";
  for (int i = 0; i < 10'000; ++i) again += "NN\x86";
  again += "eq\1";
  again = pickled_global("collections", "OrderedDict") + "q\2" + again + "0" + "0";
  std::string calls;
  for (int i = 0; i < 1000; ++i) calls += "h\2h\1\x85R0";
  const auto bomb = folder.write("bomb.bin", archive(pickle(again + calls + "}")));
  EXPECT_ERROR_CONTAINS(PytorchFile{bomb}, "makes more than 4000000 objects");
  // Many dimensions, known by one name.
  std::vector<int64_t> ones(65, 1);
  const std::string text = one_tensor(0, ones, ones);
  expect_pickle_error(text,
                      fmt::format(": data.pkl at byte {}: a tensor's shape has 65 dimensions, "
                                  "at most 64 are possible",
                                  text.rfind('R')));
}

TEST(PytorchFile, DamagedArchives) {
  const std::string text = one_tensor(0, {6}, {1});
  const std::string whole = archive(text);
  expect_bytes_error("", ": not a zip archive, which torch.save writes");
  expect_bytes_error("pickle", ": not a zip archive, which torch.save writes");
  expect_bytes_error("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
                     ": this is a Git LFS pointer, not the weights; fetch them with: git lfs pull");
  expect_bytes_error(whole.substr(0, whole.size() - 1),
                     ": a zip archive without its directory at the end (is it cut off?)");
  expect_bytes_error(zip_archive({{"a/data.pkl", text, /*method=*/8}}),
                     fmt::format(": member 'a/data.pkl' is compressed (method 8, {0} bytes as "
                                 "{0}); torch.save stores all as is",
                                 text.size()));
  expect_bytes_error(zip_archive({{"a/data.pkl", text, 0, /*flags=*/1}}),
                     ": member 'a/data.pkl' is encrypted");
  expect_bytes_error(zip_archive({{"a/x", "1"}, {"a/x", "2"}}), ": member 'a/x' is there twice");
  expect_bytes_error(zip_archive({{"a/x", "1"}}),
                     ": a zip archive without data.pkl; torch.save writes one");
  expect_bytes_error(zip_archive({{"a/data.pkl", text}, {"a/byteorder", "big"}}),
                     ": byte order is 'big', only little is read");

  const std::string damaged = ": the zip archive's directory is damaged: ";
  expect_bytes_error(zip_archive({{"a/x", "1", 0, 0, false, "a/y"}}),
                     damaged + "member 'a/x' has another name at byte 0");
  // Fields of the only entry, and of the end records; sizes and places are known: the member's
  // header takes 30 bytes, its name 3, its data 1, the entry 46 + 3.
  const auto with = [](std::string bytes, size_t at, const std::string& piece) {
    return bytes.replace(at, piece.size(), piece);
  };
  const std::string one = zip_archive({{"a/x", "1"}});
  ASSERT_EQ(one.size(), 34U + 49U + 22U);
  expect_bytes_error(with(one, 34, "X"), damaged + "no entry at byte 34");
  expect_bytes_error(with(one, 0, "X"), damaged + "member 'a/x' is not at byte 0");
  expect_bytes_error(with(one, 34 + 42, "\x05"), damaged + "member 'a/x' is not at byte 5");
  expect_bytes_error(with(one, 34 + 20, "\x02"),
                     ": member 'a/x' is compressed (method 0, 1 bytes as 2); torch.save stores all "
                     "as is");
  expect_bytes_error(
      with(with(one, 34 + 20, "\x02"), 34 + 24, "\x02"),
      damaged +
          "member 'a/x' of 2 bytes from byte 33 reaches beyond byte 34, where the members end");
  expect_bytes_error(with(one, 34 + 28, "\xFF"), damaged + "the entry at byte 34 is too long");
  expect_bytes_error(with(one, 34 + 42, "\xFF\xFF\xFF\xFF"),
                     damaged + "member 'a/x' lacks its zip64 field");
  expect_bytes_error(with(one, 83 + 10, std::string("\0", 1)),
                     damaged + "49 bytes follow its last entry");
  expect_bytes_error(with(one, 83 + 10, "\x02"), damaged + "no entry at byte 83");
  expect_bytes_error(with(one, 83 + 16, "\x23"),
                     damaged + "49 bytes from byte 35 reach beyond byte 83, where it ends");

  const std::string wide = zip_archive({{"a/x", "1"}}, /*wide=*/true);
  expect_bytes_error(with(wide, 83, "X"), damaged + "no zip64 record at byte 83");
  expect_bytes_error(with(wide, 83 + 56 + 8, std::string(8, '\xFF')),
                     damaged + "no zip64 record at byte 18446744073709551615");
  expect_bytes_error(
      with(wide, 83 + 48, std::string(8, '\xFF')),
      damaged + "49 bytes from byte 18446744073709551615 reach beyond byte 83, where it ends");
  expect_bytes_error(with(wide, 83 + 56 + 20 + 10, std::string("\x05\0", 2)),
                     damaged + "its two end records say 5 and 1");

  // Two entries for one piece of the file.
  const size_t directory = 30 + 3 + 8 + 30 + 3 + 1;
  const std::string inner =
      joined({"PK\x03\x04", std::string(22, '\0'), std::string("\x03\0\0\0", 4)});
  std::string twins = zip_archive({{"a/x", inner + "a/yZ"}, {"a/y", "1"}});
  const size_t second = directory + inner.size() + 4 - 8 + 49;
  expect_bytes_error(with(twins, second + 42, little_endian<uint32_t>(33)),
                     damaged + "members 'a/x' and 'a/y' overlap");
}

}  // namespace
}  // namespace elastikv
