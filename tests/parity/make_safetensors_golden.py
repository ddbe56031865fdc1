"""Writes the golden files of tests/unit/weights/data with the Python packages `safetensors` and `transformers`.

golden.safetensors   one tensor of every dtype that torch and the format share, with metadata
renames.tsv          for one tiny model of each family: a tensor's name in checkpoints on disk (the old spelling, which
                     save_pretrained still writes), a tab, the parameter that from_pretrained loads it into

Run: python tests/parity/make_safetensors_golden.py   (safetensors 0.8.0, torch 2.11.0, transformers 5.17.0)
"""

import pathlib
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

DATA = pathlib.Path(__file__).resolve().parent.parent / "unit" / "weights" / "data"

TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16, "U8": torch.uint8,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "C64": torch.complex64,
}


def write_golden():
    # 0, 0.5, 1, ... 2.5 for floating point, 0 ... 5 for integers: exact in every type.
    tensors = {}
    for name, dtype in TYPES.items():
        step = 0.5 if dtype.is_floating_point or dtype.is_complex else 1
        tensors[name] = (torch.arange(6, dtype=torch.float64) * step).reshape(2, 3).to(dtype)
    tensors["BOOL"] = torch.tensor([True, False, True])
    tensors["scalar"] = torch.tensor(-7.25)
    tensors["empty"] = torch.empty(0, 4)
    save_file(tensors, DATA / "golden.safetensors", metadata={"format": "pt", "note": "h\u00e9"})


def tiny_models():
    text = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
                vocab_size=16)
    vision = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=8,
                  patch_size=4)
    llama = dict(model_type="llama", **text)
    yield transformers.LlamaForCausalLM(transformers.LlamaConfig(**text))
    yield transformers.LlavaForConditionalGeneration(transformers.LlavaConfig(
        text_config=llama, vision_config=dict(model_type="clip_vision_model", **vision), image_token_id=1))
    yield transformers.LlavaNextForConditionalGeneration(transformers.LlavaNextConfig(
        text_config=llama, vision_config=dict(model_type="clip_vision_model", **vision), image_token_id=1))
    yield transformers.LlavaOnevisionForConditionalGeneration(transformers.LlavaOnevisionConfig(
        text_config=dict(model_type="qwen2", **text), vision_config=dict(model_type="siglip_vision_model", **vision),
        image_token_id=1, video_token_id=2))
    yield transformers.Idefics3ForConditionalGeneration(transformers.Idefics3Config(
        text_config=dict(pad_token_id=0, **llama), vision_config=vision, image_token_id=1))
    yield transformers.SmolVLMForConditionalGeneration(transformers.SmolVLMConfig(
        text_config=dict(pad_token_id=0, **llama), vision_config=vision, image_token_id=1))
    rope = dict(rope_type="default", mrope_section=[1, 1, 0], rope_theta=10000.0)
    yield transformers.Qwen2VLForConditionalGeneration(transformers.Qwen2VLConfig(
        text_config=dict(rope_parameters=rope, **text), vision_config=dict(depth=1, embed_dim=8, hidden_size=8,
                                                                           num_heads=2, mlp_ratio=1)))
    yield transformers.Qwen2_5_VLForConditionalGeneration(transformers.Qwen2_5_VLConfig(
        text_config=dict(rope_parameters=rope, **text), vision_config=dict(depth=1, hidden_size=8, num_heads=2,
                                                                           intermediate_size=8, out_hidden_size=8)))
    yield transformers.PaddleOCRVLForConditionalGeneration(transformers.PaddleOCRVLConfig(
        text_config=dict(rope_parameters=rope, head_dim=4, tie_word_embeddings=False, **text), vision_config=vision, tie_word_embeddings=False))


def write_renames():
    lines = []
    for model in tiny_models():
        # A number of its own in every parameter tells which one a tensor of the file was loaded into.
        for number, tensor in enumerate(model.state_dict().values()):
            tensor.fill_(number)
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            file = pathlib.Path(folder) / "model.safetensors"
            # Checkpoints from before transformers 5 have one more level inside the tower.
            saved = {name.replace("vision_tower.", "vision_tower.vision_model."): tensor
                     for name, tensor in load_file(file).items()}
            save_file(saved, file, metadata={"format": "pt"})
            loaded, info = type(model).from_pretrained(folder, output_loading_info=True)
            assert not info["missing_keys"] and not info["unexpected_keys"], info
            # The spelling of transformers 5 on disk is that of its parameters.
            model.save_pretrained(folder, save_original_format=False)
            assert set(load_file(file)) <= set(model.state_dict()), type(model)
            _, info = type(model).from_pretrained(folder, output_loading_info=True)
            assert not info["missing_keys"] and not info["unexpected_keys"], info
        names = {int(tensor.flatten()[0]): name for name, tensor in loaded.state_dict().items()}
        assert len(names) == len(saved), type(model)
        lines.append(f"# {type(model).__name__}")
        lines += [f"{name}\t{names[int(tensor.flatten()[0])]}" for name, tensor in sorted(saved.items())]
    (DATA / "renames.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write_golden()
    write_renames()
