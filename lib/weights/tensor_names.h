#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <c10/util/ArrayRef.h>

namespace elastikv {

/// The spelling that transformers 5 gives to a tensor's name; older checkpoints spell the parts of
/// a vision-language model without the leading `model.`, keep the language model's own `model.` and
/// `lm_head.` inside `language_model.`, and CLIP's and SigLIP's `vision_model.` inside the tower:
///
///     language_model.model.layers.0.*  ->  model.language_model.layers.0.*
///     language_model.lm_head.weight    ->  lm_head.weight
///     vision_tower.vision_model.*      ->  model.vision_tower.*
///     multi_modal_projector.*          ->  model.multi_modal_projector.*
///     image_newline                    ->  model.image_newline
///     visual.*, mlp_AR.*               ->  model.visual.*, model.projector.*
///
/// Names that are already canonical, and those of plain language models (`model.layers.0.*`), come
/// back unchanged. Source: conversion_mapping.py of transformers 5.
std::string canonical_name(std::string_view name);

/// canonical_name of every name of one checkpoint, in the same order. What a single name cannot
/// tell is read off the whole list: beside a `visual.*` tower or a `mlp_AR.*` projector (Qwen2-VL,
/// PaddleOCR-VL) the old `model.layers.0.*` is the language model of a vision-language model and
/// becomes `model.language_model.layers.0.*`. So it does beside `model.mm_projector.*`, which the
/// original LLaVA has (LlavaLlamaForCausalLM; its convert_llava_weights_to_hf.py in transformers):
///
///     model.layers.0.*, model.norm.*, ...         ->  model.language_model.layers.0.*, ...
///     model.mm_projector.0.*, .2.*                ->  model.multi_modal_projector.linear_1.*, _2.*
///     model.vision_tower.vision_tower.vision_model.*  ->  model.vision_tower.*
///
/// A projector of other layers than two linear ones keeps its names, which no model asks for.
std::vector<std::string> canonical_names(const std::vector<std::string>& names);

/// "[32, 3, 14, 14]", "[]" for a scalar.
std::string shape_text(c10::IntArrayRef shape);

/// A name from an untrusted file as it may stand in a one-line message: control characters become
/// '?', and what is longer than 200 bytes is cut.
std::string printable_name(std::string_view name);

}  // namespace elastikv
