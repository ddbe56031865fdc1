#!/usr/bin/env python3
"""Compares the compiled layers of the language model with those in PyTorch, on random weights.

For several layouts: the error of outputs and of all gradients against the same mathematics in fp64,
relative to their norm, for both. The PyTorch layers' error is that of rounding every step to bf16:
about 3 % of the output after three layers, and 7 % of an update's gradient. The compiled layers
round less often and are off by half of that; they fail where they are further off than PyTorch's.
Exits with 1 where they are, and with 2 where the processor or a missing compiler rules them out.
"""

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fused_layers import load  # noqa: E402
from language_layers import GROUPS, RANK, SCALE, LanguageModel, Layout  # noqa: E402

LAYOUTS = {
    "as in training": Layout(597, 190, 36, 14),
    "no long branch": Layout(597, 0, 36, 5),
    "no short branches": Layout(100, 190, 0, 0),
    "a prefix alone": Layout(64, 0, 0, 0),
    "long short branches": Layout(33, 1, 131, 2),
    "a few rows": Layout(3, 2, 1, 3),
}
CONFIG = SimpleNamespace(
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=3,
    num_attention_heads=9,
    num_key_value_heads=3,
    head_dim=64,
    rms_norm_eps=1e-5,
    rope_parameters={"rope_theta": 100000.0},
)


def random_weights(generator):
    """(tensors of the plain model by name, the update by name)."""

    def normal(*sizes, scale):
        return torch.randn(sizes, generator=generator) * scale

    hidden, inner, width = CONFIG.hidden_size, CONFIG.intermediate_size, CONFIG.head_dim
    of_queries, of_pairs = CONFIG.num_attention_heads * width, CONFIG.num_key_value_heads * width
    sizes = {
        "self_attn.q_proj": (of_queries, hidden),
        "self_attn.k_proj": (of_pairs, hidden),
        "self_attn.v_proj": (of_pairs, hidden),
        "self_attn.o_proj": (hidden, of_queries),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    base, update = {"embed_tokens.weight": torch.zeros(1, hidden)}, {}
    for index in range(CONFIG.num_hidden_layers):
        for name, (outputs, inputs) in sizes.items():
            # Rounded, so that all ways start from the same weights.
            weight = normal(outputs, inputs, scale=1.5 * inputs**-0.5).bfloat16().float()
            base[f"layers.{index}.{name}.weight"] = weight
            update[f"layers.{index}.{name}"] = (
                normal(RANK, inputs, scale=inputs**-0.5),
                normal(outputs, RANK, scale=0.1 * RANK**-0.5),
            )
        for norm in ("input_layernorm", "post_attention_layernorm"):
            base[f"layers.{index}.{norm}.weight"] = (1 + normal(hidden, scale=0.2)).bfloat16()
    base["norm.weight"] = (1 + normal(hidden, scale=0.2)).bfloat16()
    return base, update


def branch_mask(layout):
    """What each row sees, [rows, rows]."""
    branches = [0] * layout.prefix + [1] * layout.long
    branches += [2 + index // layout.short for index in range(layout.short * layout.shorts)]
    branch = torch.tensor(branches)
    same = branch[:, None] == branch
    return (same | (branch == 0)).tril()


class Exact:
    """The layers in fp64, written plainly, with gradients by autograd."""

    def __init__(self, base, model):
        self._base = {name: value.double() for name, value in base.items()}
        self._parameters = {
            name: value.detach().double().requires_grad_()
            for name, value in model.parameters().items()
        }

    def parameters(self):
        return self._parameters

    def _linear(self, x, index, group):
        weights = [self._base[f"layers.{index}.{member}.weight"] for member in GROUPS[group]]
        down, up = (self._parameters[f"{index}.{group}.{name}"] for name in ("down", "up"))
        up = up * (up != 0)  # no gradient for what belongs to no layer, see UpdatedLinears
        return x @ torch.cat(weights).T + SCALE * (x @ down.T) @ up.T

    def _norm(self, x, name):
        scale = (x.square().mean(-1, keepdim=True) + CONFIG.rms_norm_eps).rsqrt()
        return x * scale * self._base[name]

    def _attention(self, x, index, layout):
        heads, pairs, width = (
            CONFIG.num_attention_heads,
            CONFIG.num_key_value_heads,
            CONFIG.head_dim,
        )
        joint = self._linear(x, index, "self_attn.qkv").view(len(x), -1, width).transpose(0, 1)
        q, k, v = joint.split([heads, pairs, pairs])
        theta = CONFIG.rope_parameters["rope_theta"]
        frequencies = theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angles = layout.positions()[:, None] * frequencies
        cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)

        def turned(values):
            first, second = values.chunk(2, -1)
            return values * cos + torch.cat([-second, first], -1) * sin

        q, k = turned(q), turned(k).repeat_interleave(heads // pairs, 0)
        scores = (q @ k.transpose(1, 2)) * width**-0.5
        weights = scores.masked_fill(~branch_mask(layout), float("-inf")).softmax(-1)
        mixed = weights @ v.repeat_interleave(heads // pairs, 0)
        return self._linear(mixed.transpose(0, 1).reshape(len(x), -1), index, "self_attn.o")

    def __call__(self, x, layout):
        for index in range(CONFIG.num_hidden_layers):
            normed = self._norm(x, f"layers.{index}.input_layernorm.weight")
            x = x + self._attention(normed, index, layout)
            normed = self._norm(x, f"layers.{index}.post_attention_layernorm.weight")
            gate, up = self._linear(normed, index, "mlp.gate_up").chunk(2, -1)
            gated = torch.nn.functional.silu(gate) * up
            x = x + self._linear(gated, index, "mlp.down")
        return self._norm(x, "norm.weight")


def results(model, x, layout, of_y):
    """{name: values} of the output and all gradients, and the seconds it took."""
    x = x.detach().requires_grad_()
    parameters = model.parameters()
    for value in parameters.values():
        value.grad = None
    started = time.perf_counter()
    y = model(x, layout)
    y.backward(of_y.to(y.dtype))
    seconds = time.perf_counter() - started
    found = {"output": y.detach(), "gradient of the input": x.grad}
    for name, value in parameters.items():
        found[f"gradient of {name}"] = value.grad
    return {name: value.double() for name, value in found.items()}, seconds


def relative_error(found, exact):
    return ((found - exact).norm() / exact.norm()).item()


def main():
    if not load():
        print("check_fused.py: the layers cannot be compiled here", file=sys.stderr)
        sys.exit(2)
    torch.manual_seed(5)
    base, update = random_weights(torch.Generator().manual_seed(4))
    ways = [LanguageModel(base.__getitem__, CONFIG, update, fused) for fused in (False, True)]
    exact_model = Exact(base, ways[0])
    failed = False
    for name, layout in LAYOUTS.items():
        rows = len(layout.positions())
        x = torch.randn(rows, CONFIG.hidden_size).bfloat16()
        of_y = torch.randn(rows, CONFIG.hidden_size).bfloat16()
        exact, _ = results(exact_model, x.double(), layout, of_y)
        errors, seconds = [], []
        for model in ways:
            found, took = results(model, x, layout, of_y)
            seconds.append(took)
            errors.append({key: relative_error(found[key], exact[key]) for key in exact})
        print(f"{name}: {rows} rows, {seconds[0]:.2f} s in PyTorch, {seconds[1]:.2f} s compiled")
        worst = {}
        for key in exact:
            kind = key if "." not in key else f"gradients of {key.rsplit('.', 1)[1]}"
            both = [error[key] for error in errors]
            if not both[1] <= both[0]:
                failed = True
                print(f"  {key} is off: {both[0]:.5f} in PyTorch, {both[1]:.5f} compiled")
            worst[kind] = max(worst.get(kind, [0, 0]), both, key=lambda pair: pair[1])
        for kind, (plain, compiled) in worst.items():
            print(f"  {kind}: error {plain:.5f} in PyTorch, {compiled:.5f} compiled")
    sys.exit(failed)


if __name__ == "__main__":
    main()
