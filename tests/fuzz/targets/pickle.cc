// The input is the pickle inside a pytorch_model.bin.

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "weights/state_dict_pickle.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view pickle = fuzz::text_of(data, size);
  fuzz::accepted([&] {
    for (const auto& [name, tensor] : read_state_dict(pickle, "w.bin")) {
      fuzz::require(
          tensor.storage.data() >= pickle.data() &&
              tensor.storage.data() + tensor.storage.size() <= pickle.data() + pickle.size(),
          "a storage's name lies inside the pickle");
    }
  });
  return 0;
}
