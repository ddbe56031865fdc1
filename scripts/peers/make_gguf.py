#!/usr/bin/env python3
"""Writes a Hugging Face LLaMA folder as GGUF files for llama.cpp, in fp32 and bf16.

    ~/.cache/elastikv/tools/bin/python scripts/peers/make_gguf.py models/smollm2/assembled OUTPUT_FOLDER

The weights are the very numbers of the folder's safetensors (bf16, so the fp32 file holds them
exactly). No tokenizer is written: the peers are fed token ids.
"""

import argparse
import json
import sys
from pathlib import Path

import gguf
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stampvlm"))
from tensor_files import read_tensors, round_to_bf16  # noqa: E402

LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOP_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name):
    """llama.cpp's name of a tensor of LlamaForCausalLM."""
    stem = name.removesuffix(".weight")
    if stem in TOP_NAMES:
        return f"{TOP_NAMES[stem]}.weight"
    prefix, layers, number, part = stem.split(".", 3)
    if (prefix, layers) != ("model", "layers") or part not in LAYER_NAMES:
        raise SystemExit(f"make_gguf.py: tensor '{name}' is none of LLaMA's")
    return f"blk.{number}.{LAYER_NAMES[part]}.weight"


def interleaved(matrix, heads):
    """Rows of a query or key projection in the order of llama.cpp, which rotates neighbouring
    dimensions where Hugging Face rotates d with d + head_dim / 2."""
    rows, columns = matrix.shape
    return matrix.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write(path, config, tensors, bf16):
    writer = gguf.GGUFWriter(path, "llama")
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads", heads)
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(head_dim)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16 if bf16 else gguf.LlamaFileType.ALL_F32)
    for name, values in sorted(tensors.items()):
        if name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue
        values = np.ascontiguousarray(values, dtype=np.float32)
        if name.endswith("q_proj.weight"):
            values = interleaved(values, heads)
        elif name.endswith("k_proj.weight"):
            values = interleaved(values, kv_heads)
        if bf16 and values.ndim == 2:
            halves = round_to_bf16(values).view(np.uint8)
            writer.add_tensor(gguf_name(name), halves, raw_shape=halves.shape,
                              raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            writer.add_tensor(gguf_name(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder with config.json and model.safetensors")
    parser.add_argument("output", type=Path, help="folder for fp32.gguf and bf16.gguf")
    arguments = parser.parse_args()
    config = json.loads((arguments.model / "config.json").read_text())
    arguments.output.mkdir(parents=True, exist_ok=True)
    tensors, _ = read_tensors(arguments.model / "model.safetensors")
    for precision in ("fp32", "bf16"):
        path = arguments.output / f"{precision}.gguf"
        partial = path.with_suffix(".partial")
        write(partial, config, tensors, precision == "bf16")
        partial.replace(path)
        print(path)


if __name__ == "__main__":
    main()
