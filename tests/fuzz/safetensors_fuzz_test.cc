#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"

// Damaged files end in success or in elastikv::Error: no crash, hang, or exception of another kind.
// Everything follows from the seeds, so that a failure repeats; under the sanitizers this also
// proves that no read leaves the map.

namespace elastikv {
namespace {

constexpr int kMutations = 2000;
constexpr size_t kLengthBytes = 8;

class Mutator final {
 public:
  explicit Mutator(uint32_t seed) : engine_(seed) {}

  /// One to four random edits of `bytes` within [begin, end of bytes).
  void mutate(std::string& bytes, size_t begin) {
    for (size_t edits = 1 + below(4); edits > 0; --edits) edit(bytes, begin);
  }
  /// A number below `limit`, the same on every platform (unlike uniform_int_distribution).
  size_t below(size_t limit) { return engine_() % limit; }

 private:
  void edit(std::string& bytes, size_t begin) {
    static const std::vector<std::string> kTexts{
        "-1",
        "0",
        "1e999",
        "18446744073709551616",
        "9223372036854775807",
        "4294967296",
        "null",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"\\ud800\"",
        "\"F4\"",
        "\"BOOL\"",
        "\"x\"",
        "1.5",
        "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
        "\xFF",
        "\\u0000"};
    if (bytes.size() <= begin) {
      bytes += kTexts[below(kTexts.size())];
      return;
    }
    const size_t at = begin + below(bytes.size() - begin);
    switch (below(7)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(below(256));
        break;
      case 2:
        bytes.insert(at, kTexts[below(kTexts.size())]);
        break;
      case 3:
        bytes.erase(at, 1 + below(8));
        break;
      case 4:
        bytes.resize(at);
        break;
      case 5:  // another digit keeps the JSON valid and makes the numbers wrong
        for (size_t i = at; i < bytes.size(); ++i) {
          if (bytes[i] < '0' || bytes[i] > '9') continue;
          bytes[i] = static_cast<char>('0' + below(10));
          break;
        }
        break;
      default:  // a piece of the file once more, somewhere else
        bytes.insert(at, bytes.substr(begin + below(bytes.size() - begin), 1 + below(80)));
    }
  }

  std::mt19937 engine_;
};

/// Writes a new file in place of the last one: overwriting would make some file systems wait for
/// the disk, thousands of times.
std::filesystem::path replace(const TemporaryFolder& folder, const std::string& name,
                              const std::string& bytes) {
  std::filesystem::remove(folder.path() / name);
  return folder.write(name, bytes);
}

std::string golden_bytes() {
  return read_file(source_path("tests/unit/weights/data/golden.safetensors"));
}

void set_header_length(std::string& bytes, uint64_t length) {
  std::memcpy(bytes.data(), &length, kLengthBytes);
}
uint64_t header_length(const std::string& bytes) {
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  return length;
}

/// Opens the file and reads every byte of every tensor. Returns whether it was accepted.
bool read_everything(const std::filesystem::path& path) {
  std::string message;
  try {
    const SafetensorsFile file(path);
    size_t bytes = 0;
    for (const std::string& name : file.names()) {
      const TensorInfo& info = file.info(name);
      bytes += info.bytes();
      if (!info.scalar_type) continue;
      const at::Tensor tensor = file.tensor(name);
      EXPECT_EQ(tensor.nbytes(), info.bytes());
      EXPECT_EQ(tensor.sizes(), info.shape);
      unsigned sum = 0;
      const auto* data = static_cast<const unsigned char*>(tensor.const_data_ptr());
      for (size_t i = 0; i < tensor.nbytes(); ++i) sum += data[i];
      volatile unsigned kept = sum;
      (void)kept;
    }
    EXPECT_EQ(bytes + kLengthBytes + header_length(std::string(file.bytes())), file.bytes().size());
    return true;
  } catch (const Error& error) {
    message = error.what();
  }
  EXPECT_NE(message.find(path.string()), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return false;
}

TEST(SafetensorsFuzz, AnywhereInTheFile) {
  const TemporaryFolder folder;
  const std::string original = golden_bytes();
  ASSERT_TRUE(read_everything(replace(folder, "w.safetensors", original)));
  Mutator mutator(/*seed=*/1);
  int accepted = 0;
  for (int i = 0; i < kMutations; ++i) {
    SCOPED_TRACE(i);
    std::string bytes = original;
    mutator.mutate(bytes, /*begin=*/0);
    accepted += read_everything(replace(folder, "w.safetensors", bytes)) ? 1 : 0;
    if (HasFailure()) return;
  }
  // Damage to the data alone goes unnoticed; were all or nothing accepted, the test tested nothing.
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, kMutations / 2);
}

// Edits of the header with its length put right again, so that they reach the checks behind the
// parser.
TEST(SafetensorsFuzz, HeaderWithFittingLength) {
  const TemporaryFolder folder;
  const std::string original = golden_bytes();
  const size_t data_begin = kLengthBytes + header_length(original);
  Mutator mutator(/*seed=*/2);
  for (int i = 0; i < kMutations; ++i) {
    SCOPED_TRACE(i);
    std::string head = original.substr(0, data_begin);
    mutator.mutate(head, /*begin=*/kLengthBytes);
    set_header_length(head, head.size() - kLengthBytes);
    read_everything(replace(folder, "w.safetensors", head + original.substr(data_begin)));
    if (HasFailure()) return;
  }
}

TEST(SafetensorsFuzz, EveryTruncation) {
  const TemporaryFolder folder;
  const std::string original = golden_bytes();
  for (size_t size = 0; size < original.size(); ++size) {
    SCOPED_TRACE(size);
    EXPECT_FALSE(read_everything(replace(folder, "w.safetensors", original.substr(0, size))));
  }
}

TEST(SafetensorsFuzz, CheckpointIndex) {
  const TemporaryFolder folder;
  folder.write("part-1.safetensors", golden_bytes());
  folder.write("part-2.safetensors", golden_bytes());
  const std::string original =
      R"({"metadata":{"total_size":12},"weight_map":{"F32":"part-1.safetensors",)"
      R"("F16":"part-2.safetensors","I64":"part-1.safetensors"}})";
  Mutator mutator(/*seed=*/3);
  int accepted = 0;
  for (int i = 0; i < kMutations; ++i) {
    SCOPED_TRACE(i);
    std::string text = original;
    mutator.mutate(text, /*begin=*/0);
    replace(folder, "model.safetensors.index.json", text);
    try {
      const Checkpoint checkpoint = Checkpoint::open(folder.path());
      for (const std::string& name : checkpoint.names()) (void)checkpoint.info(name);
      ++accepted;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, kMutations);
}

}  // namespace
}  // namespace elastikv
