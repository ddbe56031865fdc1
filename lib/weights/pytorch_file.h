#pragma once

#include <filesystem>
#include <string_view>

#include "weights/weight_file.h"

namespace elastikv {

struct PickledTensor;

/// A file that torch.save wrote for a dictionary of tensors (`pytorch_model.bin`), since PyTorch
/// 1.6 a zip archive: `data.pkl`, a pickle that says which tensor views which storage, and the
/// storages' bytes as `data/0`, `data/1`, ... Storages may be shared and tensors strided.
///
/// The pickle is read, never run (see read_state_dict), and the storages are mapped. Opening checks
/// everything but the storages' bytes. Error, naming the file and the tensor, for: a file from
/// before PyTorch 1.6, a damaged archive (see read_zip), another byte order, a pickle that needs
/// anything but tensors, a storage that is missing or has another size, a tensor that does not lie
/// inside its storage or has more elements than it.
class PytorchFile final : public WeightFile {
 public:
  explicit PytorchFile(std::filesystem::path file);

 private:
  TensorInfo located(std::string_view name, const PickledTensor& tensor,
                     std::string_view storage) const;
};

}  // namespace elastikv
