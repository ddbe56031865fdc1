#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

namespace elastikv::cpu {

/// Outputs of a linear layer that are computed together.
constexpr int64_t kPanel = 32;

/// The matrix of a linear layer, [out, in], in the order in which products read it, and held only
/// so: panels of 32 outputs (the last one filled with zeros), in a panel input after input, of one
/// input the weights of the 32 outputs. In bf16 two inputs go together: 32 words of 32 bits, whose
/// halves are an output's weights of both. Each half is widened by one operation, and matrix units
/// read such pairs as they are. The inputs are then filled with zeros to a multiple of 32.
/// fp32 weights that all are bf16 numbers, as those of a checkpoint published in bf16, are kept as
/// such: half the memory, and products are the same, since they are computed in fp32.
class PanelWeights {
 public:
  /// No matrix.
  PanelWeights() = default;
  /// The rows of several matrices [out_i, in], one below the other; contiguous, on the CPU, all of
  /// fp32 or all of bf16.
  explicit PanelWeights(const std::vector<at::Tensor>& parts);

  bool defined() const { return memory_ != nullptr; }
  int64_t in() const { return in_; }
  int64_t out() const { return out_; }
  /// Inputs of a panel with those that were filled up.
  int64_t depth() const;
  /// fp32 or bf16.
  c10::ScalarType stored() const { return stored_; }
  int64_t panels() const { return (out_ + kPanel - 1) / kPanel; }
  const void* data() const { return memory_.get(); }

  /// Rows [begin, end) of the matrix in another dtype (fp32 or bf16), [end - begin, in]; `begin` is
  /// a multiple of kPanel.
  at::Tensor rows(int64_t begin, int64_t end, c10::ScalarType dtype) const;

 private:
  std::shared_ptr<void> memory_;
  int64_t in_ = 0;
  int64_t out_ = 0;
  c10::ScalarType stored_ = c10::ScalarType::Float;
};

}  // namespace elastikv::cpu
