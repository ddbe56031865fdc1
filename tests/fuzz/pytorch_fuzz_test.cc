#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "support/torch_archive.h"
#include "weights/checkpoint.h"
#include "weights/pytorch_file.h"
#include "weights/zip_archive.h"

// Damaged and hostile files end in success or in elastikv::Error: no crash, hang, or exception of
// another kind. Everything follows from the seeds, so that a failure repeats; under the sanitizers
// this also proves that no read leaves the map.

namespace elastikv {
namespace {

constexpr int kMutations = 2000;

class Mutator final {
 public:
  Mutator(uint32_t seed, std::vector<std::string> pieces)
      : engine_(seed), pieces_(std::move(pieces)) {}

  /// One to four random edits.
  void mutate(std::string& bytes) {
    for (size_t edits = 1 + below(4); edits > 0; --edits) edit(bytes);
  }
  /// A number below `limit`, the same on every platform (unlike uniform_int_distribution).
  size_t below(size_t limit) { return engine_() % limit; }
  const std::string& piece() { return pieces_[below(pieces_.size())]; }

 private:
  void edit(std::string& bytes) {
    if (bytes.empty()) {
      bytes = piece();
      return;
    }
    const size_t at = below(bytes.size());
    switch (below(7)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(below(256));
        break;
      case 2:
        bytes.insert(at, piece());
        break;
      case 3:
        bytes.erase(at, 1 + below(8));
        break;
      case 4:
        bytes.resize(at);
        break;
      case 5: {  // another piece in place of what was there
        const std::string& fresh = piece();
        bytes.replace(at, fresh.size(), fresh);
        break;
      }
      default:  // a part of the file once more, somewhere else
        bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(80)));
    }
  }

  std::mt19937 engine_;
  std::vector<std::string> pieces_;
};

std::vector<std::string> zip_pieces() {
  return {"PK\x01\x02",
          "PK\x03\x04",
          "PK\x05\x06",
          "PK\x06\x06",
          "PK\x06\x07",
          "\xFF\xFF",
          "\xFF\xFF\xFF\xFF",
          std::string(4, '\0'),
          std::string(8, '\xFF'),
          little_endian<uint16_t>(8),
          little_endian<uint32_t>(30),
          little_endian<uint64_t>(64)};
}

/// Every instruction, the known names, and numbers at the limits.
std::vector<std::string> pickle_pieces() {
  std::vector<std::string> pieces;
  for (const char opcode :
       std::string("(.012GJKMNQRTUXabcehj]qrstu})BC\x80\x85\x86\x87\x88\x89\x8a\x8c\x8d\x8e\x93\x94"
                   "\x95ioPI\x81\x82\x92")) {
    pieces.emplace_back(1, opcode);
  }
  for (const int64_t number : {int64_t{-1}, int64_t{0}, int64_t{1}, int64_t{1} << 31,
                               int64_t{1} << 62, INT64_MAX, INT64_MIN}) {
    pieces.push_back(pickled_number(number));
  }
  for (const char* name : {"_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter"})
    pieces.push_back(pickled_global("torch._utils", name));
  for (const char* name : {"Size", "FloatStorage", "BoolStorage", "float16", "uint16"})
    pieces.push_back(pickled_global("torch", name));
  pieces.push_back(pickled_global("collections", "OrderedDict"));
  pieces.push_back(pickled_global("torch.storage", "UntypedStorage"));
  pieces.push_back(pickled_global("os", "system"));
  pieces.push_back(pickled_tuple({0, 3, 1}));
  pieces.push_back(pickled_text("storage"));
  pieces.push_back(pickled_storage("0", 6));
  pieces.push_back(pickled_tensor(pickled_storage("0", 6), 0, {6}, {1}));
  return pieces;
}

/// Writes a new file in place of the last one: overwriting would make some file systems wait for
/// the disk, thousands of times.
std::filesystem::path replace(const TemporaryFolder& folder, const std::string& name,
                              const std::string& bytes) {
  std::filesystem::remove(folder.path() / name);
  return folder.write(name, bytes);
}

const std::vector<std::string>& goldens() {
  static const std::vector<std::string> kGoldens = [] {
    std::vector<std::string> all;
    for (const char* name : {"pytorch_2.bin", "pytorch_5.bin", "pytorch_plain.bin"}) {
      all.push_back(read_file(source_path("tests/unit/weights/data/") + name));
    }
    return all;
  }();
  return kGoldens;
}

/// Opens the file and reads every element of every tensor. Returns whether it was accepted.
bool read_everything(const std::filesystem::path& path) {
  std::string message;
  try {
    const PytorchFile file(path);
    for (const std::string& name : file.names()) {
      const TensorInfo& info = file.info(name);
      EXPECT_LE(info.end, file.bytes().size());
      // A tensor of more elements than its file has bytes would cost more than the file.
      EXPECT_LE(static_cast<size_t>(info.elements()), file.bytes().size());
      const at::Tensor tensor = file.tensor(name);
      EXPECT_EQ(tensor.sizes(), info.shape);
      const at::Tensor copy = tensor.clone(at::MemoryFormat::Contiguous);
      unsigned sum = 0;
      const auto* data = static_cast<const unsigned char*>(copy.const_data_ptr());
      for (size_t i = 0; i < copy.nbytes(); ++i) sum += data[i];
      volatile unsigned kept = sum;
      (void)kept;
      file.release(name);
    }
    return true;
  } catch (const Error& error) {
    message = error.what();
  }
  EXPECT_NE(message.find(path.string()), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return false;
}

TEST(PytorchFuzz, AnywhereInTheFile) {
  const TemporaryFolder folder;
  Mutator mutator(/*seed=*/1, zip_pieces());
  int accepted = 0;
  for (int i = 0; i < kMutations; ++i) {
    SCOPED_TRACE(i);
    std::string bytes = goldens()[i % goldens().size()];
    mutator.mutate(bytes);
    accepted += read_everything(replace(folder, "w.bin", bytes)) ? 1 : 0;
    if (HasFailure()) return;
  }
  // Damage to the data alone goes unnoticed; were all or nothing accepted, the test tested nothing.
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, kMutations);
}

// Edits of the directory at the end, which is a small part of the file.
TEST(PytorchFuzz, Directory) {
  const TemporaryFolder folder;
  Mutator mutator(/*seed=*/2, zip_pieces());
  for (int i = 0; i < kMutations; ++i) {
    SCOPED_TRACE(i);
    const std::string& original = goldens()[i % goldens().size()];
    const size_t begin = original.find("PK\x01\x02");
    ASSERT_NE(begin, std::string::npos);
    std::string tail = original.substr(begin);
    // The length is kept mostly, since every number in the end records depends on it.
    const size_t length = tail.size();
    mutator.mutate(tail);
    if (mutator.below(4) != 0) tail.resize(length);
    read_everything(replace(folder, "w.bin", original.substr(0, begin) + tail));
    if (HasFailure()) return;
  }
}

// Edits of the pickle in an archive that is sound.
TEST(PytorchFuzz, Pickle) {
  const TemporaryFolder folder;
  Mutator mutator(/*seed=*/3, pickle_pieces());
  int accepted = 0;
  for (int i = 0; i < 2 * kMutations; ++i) {
    SCOPED_TRACE(i);
    std::vector<ZipMember> members;
    for (const auto& [name, bytes] : read_zip(goldens()[i % goldens().size()], "golden")) {
      members.push_back({name, std::string(bytes)});
      if (name.ends_with("/data.pkl")) mutator.mutate(members.back().bytes);
    }
    accepted += read_everything(replace(folder, "w.bin", zip_archive(members))) ? 1 : 0;
    if (HasFailure()) return;
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, kMutations);
}

// Pickles made of pieces alone, which get further into the machine than damage does.
TEST(PytorchFuzz, PiecesOfPickles) {
  const TemporaryFolder folder;
  Mutator mutator(/*seed=*/4, pickle_pieces());
  const std::vector<ZipMember> storage{{"a/data/0", std::string(24, '\1')}};
  for (int i = 0; i < 2 * kMutations; ++i) {
    SCOPED_TRACE(i);
    std::string text = "\x80\x04}(";
    for (size_t pieces = mutator.below(40); pieces > 0; --pieces) text += mutator.piece();
    text += "u.";
    const std::string bytes = zip_archive({{"a/data.pkl", text}, storage[0]});
    read_everything(replace(folder, "w.bin", bytes));
    if (HasFailure()) return;
  }
}

TEST(PytorchFuzz, EveryTruncation) {
  const TemporaryFolder folder;
  for (const std::string& original : goldens()) {
    ASSERT_TRUE(read_everything(replace(folder, "w.bin", original)));
    for (size_t size = 0; size < original.size(); ++size) {
      SCOPED_TRACE(size);
      EXPECT_FALSE(read_everything(replace(folder, "w.bin", original.substr(0, size))));
    }
  }
}

// A single wrong bit: in the data it is another number, and everywhere else no harm is done.
TEST(PytorchFuzz, EveryByteFlipped) {
  const TemporaryFolder folder;
  const std::string& original = goldens()[2];
  for (size_t at = 0; at < original.size(); ++at) {
    for (const int bit : {0, 5, 7}) {
      SCOPED_TRACE(at);
      std::string bytes = original;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      read_everything(replace(folder, "w.bin", bytes));
    }
  }
}

TEST(PytorchFuzz, TruncatedPickles) {
  const TemporaryFolder folder;
  for (const std::string& original : goldens()) {
    std::vector<ZipMember> members;
    size_t pickle_at = 0;
    for (const auto& [name, bytes] : read_zip(original, "golden")) {
      if (name.ends_with("/data.pkl")) pickle_at = members.size();
      members.push_back({name, std::string(bytes)});
    }
    const std::string whole = members[pickle_at].bytes;
    for (size_t size = 0; size < whole.size(); ++size) {
      SCOPED_TRACE(size);
      members[pickle_at].bytes = whole.substr(0, size);
      EXPECT_FALSE(read_everything(replace(folder, "w.bin", zip_archive(members))));
    }
  }
}

}  // namespace
}  // namespace elastikv
