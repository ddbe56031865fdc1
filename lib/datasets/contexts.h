#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "datasets/sample.h"

namespace elastikv {

/// By sample, the number of what it asks about: the same for samples with the same images and the
/// same text before their questions, counted from 0 in the order of the first of each. A sample
/// with neither asks about nothing that others do. Whether a model reads both as one context is
/// known once its prompts are (SampleCheck::contexts).
std::vector<size_t> context_numbers(std::span<const Sample> samples);

}  // namespace elastikv
