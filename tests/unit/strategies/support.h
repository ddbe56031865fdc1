#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/xlogy.h>

#include "strategies/made_up.h"

namespace elastikv {

/// Statistics of a layer of which only the column sums are known.
inline LayerStatistics layer_with_sums(at::Tensor sums) {
  LayerStatistics layer;
  layer.column_sums = std::move(sums);
  return layer;
}

}  // namespace elastikv
