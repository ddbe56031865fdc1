#include "weights/safetensors.h"

#include <cstring>
#include <limits>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "support/expect_error.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "support/write_safetensors.h"

namespace elastikv {
namespace {

std::string with_length(const std::string& header, const std::string& data = "") {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

/// Opening a file with this header and this many bytes of data must fail with
/// "<path of the file>" + message.
void expect_header_error(const std::string& header, size_t data_bytes, const std::string& message) {
  const TemporaryFolder folder;
  const auto file =
      folder.write("w.safetensors", with_length(header, std::string(data_bytes, '\0')));
  SCOPED_TRACE(header.substr(0, 300));
  EXPECT_ERROR(SafetensorsFile{file}, file.string() + message);
}

void expect_bytes_error(const std::string& bytes, const std::string& message) {
  const TemporaryFolder folder;
  const auto file = folder.write("w.safetensors", bytes);
  EXPECT_ERROR(SafetensorsFile{file}, file.string() + message);
}

TEST(Safetensors, GoldenFileOfThePythonPackage) {
  const SafetensorsFile file(source_path("tests/unit/weights/data/golden.safetensors"));
  const std::map<std::string, c10::ScalarType> types{
      {"F64", at::kDouble},
      {"F32", at::kFloat},
      {"F16", at::kHalf},
      {"BF16", at::kBFloat16},
      {"I64", at::kLong},
      {"I32", at::kInt},
      {"I16", at::kShort},
      {"I8", at::kChar},
      {"U64", at::kUInt64},
      {"U32", at::kUInt32},
      {"U16", at::kUInt16},
      {"U8", at::kByte},
      {"F8_E4M3", at::kFloat8_e4m3fn},
      {"F8_E5M2", at::kFloat8_e5m2},
      {"C64", at::kComplexFloat},
  };
  EXPECT_EQ(file.names().size(), types.size() + 3);
  for (const auto& [name, type] : types) {
    SCOPED_TRACE(name);
    const at::Tensor tensor = file.tensor(name);
    EXPECT_EQ(tensor.scalar_type(), type);
    const bool whole = c10::isIntegralType(type, /*includeBool=*/false);
    const at::Tensor expected = at::arange(6, at::kDouble).mul(whole ? 1.0 : 0.5).reshape({2, 3});
    EXPECT_TRUE(
        at::equal(tensor.to(type == at::kComplexFloat ? at::kComplexDouble : at::kDouble),
                  expected.to(type == at::kComplexFloat ? at::kComplexDouble : at::kDouble)));
  }
  EXPECT_TRUE(at::equal(file.tensor("BOOL"), at::tensor({1, 0, 1}).to(at::kBool)));
  EXPECT_EQ(file.tensor("scalar").dim(), 0);
  EXPECT_EQ(file.tensor("scalar").item<float>(), -7.25F);
  EXPECT_EQ(file.tensor("empty").sizes(), (c10::IntArrayRef{0, 4}));
  EXPECT_EQ(file.info("F16").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file.info("F16").bytes(), 12U);
}

TEST(Safetensors, NamesAreListedInAlphabeticalOrder) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "w.safetensors";
  const at::Tensor bytes = at::arange(3, at::kByte);
  const at::Tensor wide = at::arange(6, at::kDouble).reshape({2, 3}).t();
  write_safetensors(path, {{"bytes", bytes}, {"wide \"q\"", wide}, {"none", at::empty({0})}});
  const SafetensorsFile file(path);
  EXPECT_EQ(file.names(), (std::vector<std::string>{"bytes", "none", "wide \"q\""}));
  EXPECT_TRUE(at::equal(file.tensor("bytes"), bytes));
  EXPECT_TRUE(at::equal(file.tensor("wide \"q\""), wide));
  EXPECT_TRUE(file.has("none"));
  EXPECT_FALSE(file.has("nona"));

  write_safetensors(path, {});
  EXPECT_TRUE(SafetensorsFile(path).names().empty());
}

TEST(Safetensors, ViewsOutliveTheFileObjectAndShareItsMap) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "w.safetensors";
  write_safetensors(path, {{"x", at::arange(4, at::kFloat)}});
  at::Tensor first;
  at::Tensor second;
  {
    const SafetensorsFile file(path);
    first = file.tensor("x");
    second = file.tensor("x");
    const char* start = file.bytes().data();
    EXPECT_GE(static_cast<const char*>(first.const_data_ptr()), start);
    EXPECT_LT(static_cast<const char*>(first.const_data_ptr()), start + file.bytes().size());
  }
  std::filesystem::remove(path);
  EXPECT_EQ(first.const_data_ptr(), second.const_data_ptr());
  EXPECT_TRUE(at::equal(first, at::arange(4, at::kFloat)));
}

TEST(Safetensors, UnalignedTensorsAreCopied) {
  const TemporaryFolder folder;
  // Every start of the data relative to the alignment of 8, by padding the header.
  for (size_t padding = 0; padding < 8; ++padding) {
    const std::string header =
        R"({"x":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}})" + std::string(padding, ' ');
    const double values[] = {1.5, -2.25};
    std::string data(16, '\0');
    std::memcpy(data.data(), values, 16);
    const SafetensorsFile file(folder.write("w.safetensors", with_length(header, data)));
    const at::Tensor tensor = file.tensor("x");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 8, 0U);
    EXPECT_TRUE(at::equal(tensor, at::tensor({1.5, -2.25}, at::kDouble)));
  }
}

TEST(Safetensors, FileTooShortOrNoneAtAll) {
  const TemporaryFolder folder;
  EXPECT_ERROR(SafetensorsFile(folder.path() / "x"),
               (folder.path() / "x").string() + ": cannot open: No such file or directory");
  for (const size_t size : {0, 1, 7}) {
    expect_bytes_error(std::string(size, '\0'),
                       ": not a safetensors file: " + std::to_string(size) +
                           " bytes long, the header length alone takes 8");
  }
  expect_bytes_error("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
                     ": this is a Git LFS pointer, not the weights; fetch them with: git lfs pull");
}

TEST(Safetensors, HeaderLengthIsChecked) {
  expect_bytes_error(std::string(16, '\xFF'),
                     ": not a safetensors file: its header would be 18446744073709551615 bytes "
                     "long, at most 100000000 are allowed");
  std::string bytes(16, '\0');
  bytes[0] = 9;
  expect_bytes_error(bytes,
                     ": the header of 9 bytes reaches beyond the file's 16 bytes (is it cut off?)");
}

TEST(Safetensors, HeaderIsAJsonObject) {
  expect_header_error("", 0, ": header is not valid JSON (at byte 1)");
  expect_header_error("{]", 0, ": header is not valid JSON (at byte 2)");
  expect_header_error("{\"\xFF\": 1}", 0, ": header is not valid JSON (at byte 3)");
  expect_header_error("{} x", 0, ": header is not valid JSON (at byte 4)");
  expect_header_error("[1e999]", 0, ": header is not valid JSON (a number is out of range)");
  expect_header_error("[]", 0, ": header is array, a JSON object is needed");
  expect_header_error("null", 0, ": header is null, a JSON object is needed");
  expect_header_error(R"({"x":{"shape":[[1]]}})", 0, ": header is nested deeper than 3 levels");
  expect_header_error(std::string(100000, '['), 0, ": header is nested deeper than 3 levels");
}

TEST(Safetensors, NamesAreGivenOnce) {
  const std::string entry = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  expect_header_error("{\"x\":" + entry + ",\"x\":" + entry + "}", 1,
                      ": header holds the name 'x' twice");
  expect_header_error(R"({"x":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1,
                      ": header holds the name 'dtype' twice");
}

TEST(Safetensors, MetadataIsAMapOfTexts) {
  expect_header_error(R"({"__metadata__":[]})", 0, ": __metadata__ is array, an object is needed");
  expect_header_error(R"({"__metadata__":{"a\nb":7}})", 0,
                      ": __metadata__: key 'a?b' is 7, a string is needed");
}

TEST(Safetensors, EntriesAreComplete) {
  expect_header_error(R"({"x":3})", 0, ": tensor 'x': entry is number, an object is needed");
  expect_header_error(R"({"x":{"shape":[1],"data_offsets":[0,1]}})", 1,
                      ": tensor 'x': dtype is missing");
  expect_header_error(R"({"x":{"dtype":"U8","data_offsets":[0,1]}})", 1,
                      ": tensor 'x': shape is missing");
  expect_header_error(R"({"x":{"dtype":"U8","shape":[1]}})", 1,
                      ": tensor 'x': data_offsets is missing");
  expect_header_error(R"({"x":{"dtype":8,"shape":[1],"data_offsets":[0,1]}})", 1,
                      ": tensor 'x': dtype is 8, a string is needed");
  expect_header_error(R"({"x":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", 1,
                      ": tensor 'x': shape is 1, a list is needed");
  for (const char* offsets : {"[0]", "[0,1,2]", "7", "{}"}) {
    expect_header_error(
        fmt::format(R"({{"x":{{"dtype":"U8","shape":[1],"data_offsets":{}}}}})", offsets), 1,
        fmt::format(": tensor 'x': data_offsets is {}, two numbers are needed", offsets));
  }
}

TEST(Safetensors, NumbersArePossible) {
  for (const char* size : {"-1", "1.0", "\"1\"", "null", "9223372036854775808"}) {
    expect_header_error(
        fmt::format(R"({{"x":{{"dtype":"U8","shape":[{}],"data_offsets":[0,1]}}}})", size), 1,
        fmt::format(": tensor 'x': shape holds {}, a non-negative 64-bit integer is needed", size));
  }
  expect_header_error(
      R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[-1,1]}})", 1,
      ": tensor 'x': data_offsets holds -1, a non-negative 64-bit integer is needed");
  expect_header_error(
      R"({"x":{"dtype":"F32","shape":[4294967296,2147483648],"data_offsets":[0,1]}})", 1,
      ": tensor 'x': shape [4294967296, 2147483648] is too large");
  // A zero would make the product small, but not the strides.
  expect_header_error(
      R"({"x":{"dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})", 0,
      ": tensor 'x': shape [0, 4294967296, 4294967296] is too large");
  std::string ones = "1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  expect_header_error(R"({"x":{"dtype":"U8","shape":[)" + ones + R"(],"data_offsets":[0,1]}})", 1,
                      ": tensor 'x': shape has 65 dimensions, at most 64 are possible");
}

TEST(Safetensors, OffsetsFitTheFileAndTheShape) {
  expect_header_error(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1,
                      ": tensor 'x': data_offsets [1, 0] end before they begin");
  expect_header_error(R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 3,
                      ": tensor 'x': data_offsets [0, 4] reach beyond the file's 3 bytes of data "
                      "(is it cut off?)");
  expect_header_error(R"({"x":{"dtype":"F32","shape":[2,3],"data_offsets":[0,12]}})", 12,
                      ": tensor 'x': data_offsets [0, 12] hold 12 bytes, F32 of shape [2, 3] needs "
                      "24");
  expect_header_error(R"({"x":{"dtype":"F32","shape":[],"data_offsets":[0,0]}})", 0,
                      ": tensor 'x': data_offsets [0, 0] hold 0 bytes, F32 of shape [] needs 4");
}

TEST(Safetensors, TensorsCoverTheDataOnce) {
  const auto header = [](int a_begin, int a_end, int b_begin, int b_end) {
    return fmt::format(R"({{"a":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}},)"
                       R"("b":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}}}})",
                       a_end - a_begin, a_begin, a_end, b_end - b_begin, b_begin, b_end);
  };
  expect_header_error(header(0, 4, 2, 6), 6,
                      ": tensor 'b': data_offsets [2, 6] overlap those of tensor 'a'");
  expect_header_error(header(0, 4, 0, 4), 4,
                      ": tensor 'b': data_offsets [0, 4] overlap those of tensor 'a'");
  expect_header_error(header(0, 4, 2, 2), 4,
                      ": tensor 'b': data_offsets [2, 2] overlap those of tensor 'a'");
  expect_header_error(header(5, 6, 0, 4), 6,
                      ": bytes 4 to 5 of the data, before tensor 'a', belong to no tensor");
  expect_header_error(header(0, 4, 4, 6), 9,
                      ": bytes 6 to 9 of the data, after the last tensor, belong to no tensor");
  expect_header_error("{}", 2,
                      ": bytes 0 to 2 of the data, after the last tensor, belong to no tensor");

  const TemporaryFolder folder;
  // Empty tensors fit between others, in any order of names.
  for (const std::string& text : {header(4, 6, 0, 4), header(0, 0, 0, 6), header(0, 6, 6, 6)}) {
    const SafetensorsFile file(
        folder.write("w.safetensors", with_length(text, std::string(6, '\1'))));
    EXPECT_EQ(file.tensor("a").numel() + file.tensor("b").numel(), 6);
  }
}

TEST(Safetensors, ForeignTypesFailOnlyWhenRead) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "w.safetensors", with_length(R"({"x":{"dtype":"F4","shape":[4],"data_offsets":[0,2]},)"
                                   R"("y":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                                   "abc"));
  const SafetensorsFile file(path);
  EXPECT_FALSE(file.info("x").scalar_type.has_value());
  EXPECT_EQ(file.tensor("y").item<uint8_t>(), 'c');
  EXPECT_ERROR(file.tensor("x"),
               path.string() +
                   ": tensor 'x': dtype F4 is not supported; known: F64, F32, F16, BF16, I64, I32, "
                   "I16, I8, U64, U32, U16, U8, BOOL, F8_E4M3, F8_E5M2, F8_E8M0, C64");
}

TEST(Safetensors, BooleansAreZeroOrOne) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "w.safetensors",
      with_length(R"({"x":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})", {"\0\1\2", 3}));
  const SafetensorsFile file(path);
  EXPECT_ERROR(file.tensor("x"), path.string() +
                                     ": tensor 'x': element 2 of a BOOL tensor is the "
                                     "byte 2, 0 or 1 is needed");
}

TEST(Safetensors, UnknownNameOffersTheNearest) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "w.safetensors";
  write_safetensors(path, {{"model.norm.weight", at::zeros({1})}});
  const SafetensorsFile file(path);
  EXPECT_ERROR(file.tensor("model.nrm.weight"),
               path.string() + ": no tensor 'model.nrm.weight'; did you mean 'model.norm.weight'?");
  EXPECT_ERROR(file.info("zzz"), path.string() + ": no tensor 'zzz'");
}

}  // namespace
}  // namespace elastikv
