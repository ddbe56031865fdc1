// The input is a pytorch_model.bin: a zip archive with a pickle and storages. Every element of
// every tensor is read.

#include <string>

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/scratch_folder.h"
#include "fuzz/support/tensor_bytes.h"
#include "weights/pytorch_file.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::ScratchFolder folder;
  const auto path = folder.write("w.bin", fuzz::text_of(data, size));
  fuzz::accepted([&] {
    const PytorchFile file(path);
    for (const std::string& name : file.names()) {
      const TensorInfo& info = file.info(name);
      fuzz::require(info.end <= size, "a tensor lies inside its file");
      // A tensor of more elements than its file has bytes would cost more than the file.
      fuzz::require(info.elements() <= static_cast<int64_t>(size),
                    "a tensor has no more elements than its file has bytes");
      fuzz::accepted([&] { fuzz::read_all(file.tensor(name), info); });
      file.release(name);
    }
  });
  return 0;
}
