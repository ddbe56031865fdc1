#!/usr/bin/env python3
"""Makes the golden data of the parity tests and of the image formats anew and compares it with what is committed.

Exits with 1 and says what differs. The new files lie in a temporary folder, or in --output, which is
kept. Needs what make_parity_golden.py needs.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import make_chat_prompt_golden
import make_compress_at_golden
import make_family_golden
import make_interleaved_golden
import make_jinja_golden
import make_option_golden
import make_original_llava_golden
import make_picture_golden
import make_qwen_vl_golden
import make_template_golden
import make_window_golden
import numpy as np
from golden_common import DATA, differences, load_tensors, read_json
from make_parity_golden import add_input_options, check_inputs, make

EQUAL = ("greedy_tokens", "input_ids", "pixel_levels", "pixel_value_of_level", "pixel_values")
# Processors and BLAS libraries sum in different orders. Two runs in fp32 on one machine are equal.
FLOAT_TOLERANCE = 1e-4
# A column sum adds up a whole column of the attention matrix.
COLUMN_SUM_TOLERANCE = 1e-3
# Greedy texts may part at a token that led by no more than this, and are not compared after it.
UNDECIDED_MARGIN = 1e-3
# bf16 arithmetic depends on the processor: of one scene, the divergence is a draw (twentyfold between
# instruction sets of one machine), so that the sum over the scenes is held to be of the same order.
# That varied 2.4-fold.
BF16_FACTOR = 5.0


def tolerance_of(name):
    if name.endswith(EQUAL):
        return 0
    if name.endswith("attention_column_sums"):
        return COLUMN_SUM_TOLERANCE
    return FLOAT_TOLERANCE


def decided_only(committed, made):
    """Cuts greedy tokens and margins, in both, after the first token that was all but a tie."""
    for name in [name for name in committed if name.endswith("greedy_margins")]:
        undecided = np.flatnonzero(committed[name] <= UNDECIDED_MARGIN)
        if undecided.size == 0:
            continue
        for key in (name, name.replace("greedy_margins", "greedy_tokens")):
            for tensors in (committed, made):
                if key in tensors:
                    tensors[key] = tensors[key][: undecided[0]]


def compare_directory(committed, made):
    """Lines for a Hugging Face directory: the very same files, weights bit for bit."""
    lines = []
    names = {path.name for path in committed.iterdir()} | {path.name for path in made.iterdir()}
    for name in sorted(names):
        one, other = committed / name, made / name
        where = f"{committed.name}/{name}"
        if not one.exists() or not other.exists():
            lines.append(f"{where}: {'no longer made' if one.exists() else 'not committed'}")
        elif name.endswith(".json"):
            if read_json(one) != read_json(other):
                lines.append(f"{where}: content differs")
        else:
            lines += [
                f"{where}: {line}"
                for line in differences(load_tensors(one), load_tensors(other), lambda _: 0)
            ]
    return lines


def compare_manifests(committed, made):
    lines = []
    for package, version in committed["versions"].items():
        # Python's patch version changes nothing here; those of the packages may.
        if package != "python" and made["versions"][package] != version:
            lines.append(f"{package} is {made['versions'][package]}, the data's {version}")
    if committed["files"] != made["files"]:
        lines.append("parity_manifest.json: 'files' differs")
    one, other = committed["stampvlm"], made["stampvlm"]
    if one["model_sha256"] != other["model_sha256"]:
        lines.append(f"model.safetensors has SHA-256 {other['model_sha256']}")
    for old, new in zip(one["scenes"], other["scenes"], strict=True):
        for key in ("id", "image", "question", "prompt", "prompt_tokens"):
            if old[key] != new[key]:
                lines.append(f"scene {old['id']}: {key} became {new[key]!r}")
    for key in ("kl_bf16_fp32", "kl_fp32_bf16"):
        old, new = (sum(scene[key] for scene in side["bf16_on_cpu"]) for side in (one, other))
        if not old / BF16_FACTOR <= new <= old * BF16_FACTOR:
            lines.append(f"bf16, sum over scenes: {key} {old:.3g} -> {new:.3g}")
    return lines


def compare(committed, made):
    """All differences between two folders, as lines."""
    manifest = read_json(committed / "parity_manifest.json")
    lines = compare_manifests(manifest, read_json(made / "parity_manifest.json"))
    for file in manifest["files"]:
        one, other = load_tensors(committed / file), load_tensors(made / file)
        decided_only(one, other)
        lines += [f"{file}: {line}" for line in differences(one, other, tolerance_of)]
        directory = file.removesuffix(".golden.safetensors")
        if directory != file:
            lines += compare_directory(committed / directory, made / directory)
    return lines


def compare_families(committed, made):
    """Lines for the tiny checkpoints of real families and what is computed with them."""
    lines = []
    for file in sorted(made.rglob("*")):
        name = file.relative_to(made)
        if file.is_dir() or file.suffix in (".bin", ".model"):
            continue  # what torch.save's files hold shows in the golden tensors
        if not (committed / name).exists():
            lines.append(f"{name}: not committed")
        elif file.suffix == ".json":
            one, other = read_json(committed / name), read_json(file)
            for content in (one, other):
                content.pop("versions", None)
            if one != other:
                lines.append(f"{name}: content differs")
        elif file.name.endswith(".golden.safetensors"):
            one, other = load_tensors(committed / name), load_tensors(file)
            decided_only(one, other)
            lines += [f"{name}: {line}" for line in differences(one, other, family_tolerance)]
        elif file.read_bytes() != (committed / name).read_bytes():
            lines.append(f"{name}: content differs")
    return lines


def compare_windows(committed, made):
    """Lines for windows of a text: the same ids, and likelihoods within the tolerance."""
    lines = []
    for one, other in zip(committed["windows"], made["windows"], strict=True):
        if one["ids"] != other["ids"]:
            lines.append(f"windows.json: {one['model']}: ids differ")
        elif not np.allclose(one.get("nll", []), other.get("nll", []), rtol=0, atol=FLOAT_TOLERANCE):
            lines.append(f"windows.json: {one['model']}: nll differs")
    return lines


def compare_compress_at(committed, made):
    """Lines for questions behind a cache that was cut. A margin's last digits depend on the machine; what is kept and
    said may not."""
    return [
        f"compress_at.json: {one['name']} differs"
        for one, other in zip(committed["cases"], made["cases"], strict=True)
        if one | {"least_margin": None} != other | {"least_margin": None}
    ]


def compare_interleaved(committed, made):
    """A line where questions with images between their words get other prompts."""
    same = all(committed[key] == made[key] for key in ("prompts", "rows", "cases"))
    return [] if same else ["interleaved.json: content differs"]


def compare_options(committed, made):
    """Lines for options of questions: the same ids and choices, and likelihoods within the tolerance."""
    lines = []
    for one, other in zip(committed["cases"], made["cases"], strict=True):
        for key in ("model", "options", "likeliest", "likeliest_per_token"):
            if one[key] != other[key]:
                lines.append(f"options.json: {one['model']}: {key} differs")
        # A sum over up to 70 tokens.
        if not np.allclose(one["log_likelihoods"], other["log_likelihoods"], rtol=0, atol=10 * FLOAT_TOLERANCE):
            lines.append(f"options.json: {one['model']}: log_likelihoods differ")
    return lines


def compare_lines(file, made):
    """A line for a text file that is no longer what is made."""
    # No splitlines(): the texts hold line ends of other kinds.
    same = file.read_text(encoding="utf-8") == "\n".join(made) + "\n"
    return [] if same else [f"{file.name}: content differs"]


def family_tolerance(name):
    # A sum over a feature's 48 values may be off by that much more.
    return tolerance_of(name) * (10 if name.endswith("feature_sums") else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    add_input_options(parser)
    parser.add_argument("--committed", type=Path, default=DATA, help="default: tests/parity/data")
    parser.add_argument("--output", type=Path, metavar="DIR", help="keep the new files in DIR")
    arguments = parser.parse_args()
    check_inputs(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        made = arguments.output or Path(temporary)
        make(made, arguments.model, arguments.scenes)
        lines = compare(arguments.committed, made)
        families = made / "families"
        make_family_golden.make(families)
        make_original_llava_golden.make(families)
        make_qwen_vl_golden.make(families)
        lines += compare_families(arguments.committed / "families", families)
        lines += make_picture_golden.compare()
        lines += compare_lines(make_jinja_golden.OUTPUT, make_jinja_golden.make())
        templates = make_template_golden.FOLDER
        lines += compare_lines(templates / "golden.jsonl", make_template_golden.make(templates))
        lines += compare_lines(make_chat_prompt_golden.OUTPUT, make_chat_prompt_golden.make())
        lines += compare_options(read_json(arguments.committed / "options.json"), make_option_golden.make())
        lines += compare_compress_at(read_json(arguments.committed / "compress_at.json"), make_compress_at_golden.make())
        lines += compare_windows(read_json(arguments.committed / "windows.json"), make_window_golden.make())
        lines += compare_interleaved(read_json(arguments.committed / "interleaved.json"), make_interleaved_golden.make())
    for line in lines:
        print(line)
    if lines:
        sys.exit(f"{len(lines)} differences from {arguments.committed}")
    print(f"no differences from {arguments.committed}")


if __name__ == "__main__":
    main()
