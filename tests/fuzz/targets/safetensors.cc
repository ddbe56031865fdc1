// The input is a .safetensors file. Every element of every tensor is read.

#include "weights/safetensors.h"

#include <string>

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/scratch_folder.h"
#include "fuzz/support/tensor_bytes.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::ScratchFolder folder;
  const auto path = folder.write("w.safetensors", fuzz::text_of(data, size));
  fuzz::accepted([&] {
    const SafetensorsFile file(path);
    size_t bytes = 0;
    for (const std::string& name : file.names()) {
      const TensorInfo& info = file.info(name);
      bytes += info.bytes();
      fuzz::require(info.end <= size, "a tensor lies inside its file");
      if (!info.scalar_type) continue;
      fuzz::accepted([&] { fuzz::read_all(file.tensor(name), info); });
      file.release(name);
    }
    fuzz::require(bytes <= size, "tensors do not overlap");
  });
  return 0;
}
