#pragma once

namespace elastikv {

/// What lies between the two products of an MLP, by config.json's hidden_act.
enum class Activation { kGelu, kGeluTanh, kQuickGelu, kSilu };

}  // namespace elastikv
