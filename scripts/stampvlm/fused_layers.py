"""The language model's layers as one compiled function each way, for processors with AMX.

The same mathematics as language_layers.py, with sums and elementwise steps in fp32 and the low-rank
update multiplied beside the weights, not merged into them; see fused/ for how. They run on one
core, where they are about three times as fast. check_fused.py compares the two.
"""

import os
import subprocess
import sys
from pathlib import Path

import torch

SOURCES = ("tiles.cpp", "attention.cpp", "storage.cpp", "layers.cpp", "bindings.cpp")
FLAGS = (
    "-O3",
    "-march=sapphirerapids",
    # GCC's own headers of AVX-512 intrinsics set them off.
    "-Wno-uninitialized",
    "-Wno-maybe-uninitialized",
)
NEEDED = {"amx_tile", "amx_bf16", "avx512_bf16", "avx512_fp16"}  # what that flag stands for
SWITCH = "STAMPVLM_FUSED"  # 0 in the environment: the layers are not compiled
TILE = 16
GATE_UP = 2  # which of a layer's groups, in the order of language_layers.GROUPS


def _processor_has_tiles():
    try:
        return NEEDED <= set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return False


def load():
    """The compiled extension; None where the processor or SWITCH rules it out, and, with a line on
    stderr, where it cannot be compiled. The first call compiles it, which takes half a minute."""
    if os.environ.get(SWITCH) == "0" or not _processor_has_tiles():
        return None
    folder = Path(__file__).resolve().parent / "fused"
    try:
        from torch.utils import cpp_extension

        extension = cpp_extension.load(
            "stampvlm_fused",
            [str(folder / name) for name in SOURCES],
            extra_cflags=list(FLAGS),
        )
    except (OSError, RuntimeError, ImportError, subprocess.SubprocessError) as error:
        reason = str(error).strip().split("\n")[0]
        print(f"training is slower, as its layers cannot be compiled: {reason}", file=sys.stderr)
        return None
    return extension if extension.tiles_allowed() else None


class _Run(torch.autograd.Function):
    """All layers, with gradients for x and for the update's parameters, down and up in turn."""

    @staticmethod
    def forward(context, x, cos, sin, layout, layers, *parameters):
        context.layers = layers
        sizes = (layout.prefix, layout.long, layout.short, layout.shorts)
        y, context.run = layers.extension.forward(x.contiguous(), cos, sin, sizes)
        return y

    @staticmethod
    def backward(context, gradient):
        layers = context.layers
        of_x, updates = layers.extension.backward(context.run, gradient.contiguous())
        return (of_x, None, None, None, None, *layers.gradients(updates))


class FusedLayers:
    """The layers of a LanguageModel, whose update's parameters it reads and gives gradients to."""

    def __init__(self, extension, config, layers, scale):
        """extension: of load(). layers: {name: norm weight or UpdatedLinears} of each layer, norms
        and groups in the order in which a layer uses them. scale: of the update."""
        self._layers = [
            [values for values in layer.values() if not isinstance(values, torch.Tensor)]
            for layer in layers
        ]
        self._scale = scale
        # Gates and their factors in turn, 16 of each: so both are in one row of a product.
        inner = torch.arange(2 * config.intermediate_size)
        self._order = inner.view(2, -1, TILE).transpose(0, 1).flatten()
        self._back = self._order.argsort()
        self.extension = extension.Layers(
            config.num_attention_heads,
            config.num_key_value_heads,
            config.hidden_size,
            config.intermediate_size,
            config.rms_norm_eps,
        )
        for layer, groups in zip(layers, self._layers):
            norms = [
                values.float() for values in layer.values() if isinstance(values, torch.Tensor)
            ]
            weights = [
                self._ordered(index, group.base).float() for index, group in enumerate(groups)
            ]
            self.extension.add_layer(norms, weights, [len(group.down) for group in groups])

    def _ordered(self, index, rows):
        return rows[self._order] if index == GATE_UP else rows

    @torch.no_grad()
    def set_updates(self):
        """To be called whenever the update has changed."""
        for number, groups in enumerate(self._layers):
            for index, group in enumerate(groups):
                up = self._ordered(index, group.up) * self._scale
                self.extension.set_update(number, index, group.down.detach(), up)

    def gradients(self, updates):
        """Those of all layers' down and up in turn, from what the extension's backward returns."""
        groups = [(index, group) for layer in self._layers for index, group in enumerate(layer)]
        for (index, group), (down, across) in zip(groups, updates):
            across = across[:, self._back] if index == GATE_UP else across
            yield down
            yield across.T * (group.mask * self._scale)

    def __call__(self, x, layout, cos, sin):
        """Embeddings [rows, hidden] to hidden states. cos, sin: [rows, head_dim / 2], fp32."""
        parameters = (
            value for layer in self._layers for group in layer for value in (group.down, group.up)
        )
        return _Run.apply(x, cos, sin, layout, self, *parameters)
