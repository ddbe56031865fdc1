#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/json_fields.h"
#include "models/activation.h"

namespace elastikv {

// What the readers of the families' config.json share. Every failure is an Error that names the
// file and the key.

// Beyond any model's: products of two such numbers and of a number of layers stay in range.
inline constexpr int64_t kMostSize = int64_t{1} << 22;
inline constexpr int64_t kMostLayers = 4096;
/// Of a context. A rotary table holds every position, so that more would take gigabytes.
inline constexpr int64_t kMostTokens = int64_t{1} << 24;
inline constexpr int64_t kMostPatchSide = 1024;  ///< also of other squares, and of channels

/// An integer from 1 to `most`.
int64_t positive_integer(const JsonFields& config, std::string_view key, int64_t otherwise,
                         int64_t most = kMostSize);

/// A finite number above 0; required unless there is a value for a key that is missing.
double positive_number(const JsonFields& config, std::string_view key,
                       std::optional<double> otherwise = std::nullopt);

/// The numbers of a list, cut to whole ones.
std::vector<int64_t> whole_numbers(const JsonFields& config, std::string_view key);

/// One integer, or a list of two equal ones ([336, 336]).
int64_t square_side(const JsonFields& config, std::string_view key, int64_t otherwise,
                    int64_t most = kMostPatchSide);

/// By the names that transformers has for it.
Activation read_activation(const JsonFields& config, std::string_view key,
                           std::string_view otherwise);

/// image_token_id, or image_token_index in older files: a token of the vocabulary.
int64_t read_image_token(const JsonFields& config, int64_t otherwise, int64_t vocabulary);

}  // namespace elastikv
