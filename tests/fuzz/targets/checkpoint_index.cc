// The input is a model.safetensors.index.json; its folder has the shards part-1.safetensors (with
// tensors a and b) and part-2.safetensors (with c).

#include <string>

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/scratch_folder.h"
#include "weights/checkpoint.h"

using namespace elastikv;

namespace {

/// A safetensors file of U8 tensors of one element each.
std::string shard(std::string_view names) {
  std::string header = "{";
  for (size_t i = 0; i < names.size(); ++i) {
    header += fmt::format(R"({}"{}":{{"dtype":"U8","shape":[1],"data_offsets":[{},{}]}})",
                          i == 0 ? "" : ",", names[i], i, i + 1);
  }
  header += "}";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size() & 0xFF);
  bytes[1] = static_cast<char>(header.size() >> 8);
  return bytes + header + std::string(names.size(), '\1');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::ScratchFolder folder;
  static const bool shards_written = [] {
    folder.write("part-1.safetensors", shard("ab"));
    folder.write("part-2.safetensors", shard("c"));
    return true;
  }();
  (void)shards_written;
  folder.write("model.safetensors.index.json", fuzz::text_of(data, size));
  fuzz::accepted([&] {
    const Checkpoint checkpoint = Checkpoint::open(folder.path());
    for (const std::string& name : checkpoint.names()) {
      fuzz::require(checkpoint.tensor(name).numel() == checkpoint.info(name).elements(),
                    "a tensor is as large as its description");
    }
  });
  return 0;
}
