"""The language model's forward pass in bf16 over one picture with many independent answers.

A picture's tokens and what stands before them, the prefix, are read once; then come branches, each
of which continues the prefix and sees nothing of the others: a long one (the description) and
several short ones (questions with their answers). So every answer is trained as it is asked later,
alone after the picture, and the picture's cost is shared.

The mathematics is that of transformers' Llama. The low-rank update is merged into the weights once
per step (`merge`), and its gradient is taken from a layer's inputs and output gradients. The compiled
layers (fused_layers.py), which are taken where they can be, multiply by weights and update in turn.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

import fused_layers
from vision_layers import HALF

RANK, SCALE = 14, 2.0
PREFIX_PIECES = 4  # in which the prefix attends, so that less of what the mask hides is computed
GROUPS = {
    "self_attn.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attn.o": ("self_attn.o_proj",),
    "mlp.gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "mlp.down": ("mlp.down_proj",),
}


class _UpdatedProduct(torch.autograd.Function):
    """x (W + SCALE B A)^T with the merged weight, and gradients for x, A and B."""

    @staticmethod
    def forward(context, x, down, up, linear):
        context.save_for_backward(x)
        context.linear = linear
        return functional.linear(x, linear.merged)

    @staticmethod
    def backward(context, gradient):
        (x,), linear = context.saved_tensors, context.linear
        inner = functional.linear(x, linear.down_half)
        of_inner = gradient @ linear.up_half
        of_up = (gradient.T @ inner).float() * linear.mask
        of_down = (of_inner.T @ x).float()
        return gradient @ linear.merged, SCALE * of_down, SCALE * of_up, None


class UpdatedLinears:
    """Linear layers over the same input, as one; `down` and `up` are A and B of all of them.

    down: [layers * RANK, inputs]. up: [outputs, layers * RANK], zero but in each layer's block.
    """

    def __init__(self, weights, downs, ups):
        self.outputs = [len(weight) for weight in weights]
        self.base = torch.cat(weights).to(HALF)
        self.down = torch.cat(downs).float().requires_grad_()
        self.up = torch.block_diag(*ups).float().requires_grad_()
        self.mask = torch.block_diag(*(torch.ones_like(up) for up in ups)).float()

    @torch.no_grad()
    def merge(self):
        self.down_half, self.up_half = self.down.to(HALF), self.up.to(HALF)
        self.merged = torch.addmm(self.base, self.up_half, self.down_half, alpha=SCALE)

    def __call__(self, x):
        return _UpdatedProduct.apply(x, self.down, self.up, self)

    def split(self):
        """[(A, B) of each layer]."""
        downs, rows = self.down.split(RANK), self.up.split(self.outputs)
        return [
            (down, row[:, index * RANK : (index + 1) * RANK])
            for index, (down, row) in enumerate(zip(downs, rows))
        ]


class _RootMeanSquareNorm(torch.autograd.Function):
    @staticmethod
    def forward(context, x, weight, epsilon):
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = (length.square() / x.shape[-1] + epsilon).rsqrt().to(HALF)
        normed = x * scale
        context.save_for_backward(normed, scale, weight)
        return normed * weight

    @staticmethod
    def backward(context, gradient):
        normed, scale, weight = context.saved_tensors
        gradient = gradient * weight
        along = (gradient * normed).mean(-1, keepdim=True)
        return torch.addcmul(gradient, normed, along, value=-1).mul_(scale), None, None


class _Gated(torch.autograd.Function):
    """silu(gate) * up of [rows, 2 * inner]."""

    @staticmethod
    def forward(context, gate_up):
        gate, up = gate_up.chunk(2, -1)
        activated = functional.silu(gate)
        context.save_for_backward(gate_up, activated)
        return activated * up

    @staticmethod
    def backward(context, gradient):
        gate_up, activated = context.saved_tensors
        gate, up = gate_up.chunk(2, -1)
        of_gate = torch.ops.aten.silu_backward(gradient * up, gate)
        return torch.cat([of_gate, gradient * activated], -1)


def _turned(x, cos, sin):
    first, second = x.chunk(2, -1)
    result = torch.empty_like(x)
    result_first, result_second = result.chunk(2, -1)
    torch.mul(first, cos, out=result_first).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=result_second).addcmul_(first, sin)
    return result


class _Rotated(torch.autograd.Function):
    """Rotary positions of [rows, heads, head_dim]; cos and sin: [rows, heads, head_dim / 2]."""

    @staticmethod
    def forward(context, x, cos, sin):
        context.save_for_backward(cos, sin)
        return _turned(x, cos, sin)

    @staticmethod
    def backward(context, gradient):
        cos, sin = context.saved_tensors
        return _turned(gradient.contiguous(), cos, -sin), None, None


@dataclass
class Layout:
    """How a sequence is made up: the prefix, the long branch, the short ones padded to `short`."""

    prefix: int
    long: int
    short: int
    shorts: int

    def positions(self):
        branches = [torch.arange(self.long)] + [torch.arange(self.short)] * self.shorts
        return torch.cat([torch.arange(self.prefix), self.prefix + torch.cat(branches)])


class _BranchedAttention(torch.autograd.Function):
    """Causal attention of a Layout's rows; q comes scaled. Rows [pairs, repeats, rows, width] for q
    and the result, [pairs, rows, width] for k and v; a pair's keys serve `repeats` query heads."""

    @staticmethod
    def forward(context, q, k, v, layout):
        result, saved = torch.empty_like(q), []
        for part in _parts(layout):
            own_q, own_k, own_v = part.queries(q), part.keys(k), part.keys(v)
            scores = torch.bmm(own_q, own_k.transpose(1, 2))
            rows = part.rows
            mask = torch.full((rows, rows), float("-inf")).triu(1).to(q.dtype)
            scores[..., -rows:] += mask.repeat(q.shape[1], 1)
            weights = torch.softmax(scores, -1)
            part.put(result, torch.bmm(weights, own_v))
            saved.append(weights)
        context.layout = layout
        context.save_for_backward(q, k, v, *saved)
        return result

    @staticmethod
    def backward(context, gradient):
        q, k, v, *saved = context.saved_tensors
        of_q, of_k, of_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for part, weights in zip(_parts(context.layout), saved):
            own_q, own_k, own_v = part.queries(q), part.keys(k), part.keys(v)
            of_result = part.queries(gradient)
            part.add(of_v, torch.bmm(weights.transpose(1, 2), of_result))
            of_weights = torch.bmm(of_result, own_v.transpose(1, 2))
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            part.put(of_q, torch.bmm(of_scores, own_k))
            part.add(of_k, torch.bmm(of_scores.transpose(1, 2), own_q))
        return of_q, of_k, of_v, None


class _Piece:
    """Rows begin to stop, which see all rows up to their own."""

    def __init__(self, begin, stop):
        self._begin, self._stop = begin, stop
        self.rows = stop - begin

    def queries(self, q):
        return q[:, :, self._begin : self._stop].flatten(1, 2)

    def keys(self, k):
        return k[:, : self._stop]

    def put(self, result, values):
        pairs, repeats, _, width = result.shape
        result[:, :, self._begin : self._stop] = values.view(pairs, repeats, self.rows, width)

    def add(self, result, values):
        result[:, : self._stop] += values


class _Shorts:
    """The short branches, each of which sees the prefix and itself."""

    def __init__(self, layout):
        self._prefix, self._begin = layout.prefix, layout.prefix + layout.long
        self._count, self.rows = layout.shorts, layout.short

    def queries(self, q):
        own = q[:, :, self._begin :].unflatten(2, (self._count, self.rows))
        return own.transpose(1, 2).flatten(2, 3).flatten(0, 1)

    def keys(self, k):
        prefix = k[:, None, : self._prefix].expand(-1, self._count, -1, -1)
        own = k[:, self._begin :].unflatten(1, (self._count, self.rows))
        return torch.cat([prefix, own], 2).flatten(0, 1)

    def put(self, result, values):
        pairs, repeats, _, width = result.shape
        values = values.view(pairs, self._count, repeats, self.rows, width).transpose(1, 2)
        result[:, :, self._begin :] = values.flatten(2, 3)

    def add(self, result, values):
        values = values.view(len(result), self._count, -1, values.shape[-1])
        result[:, : self._prefix] += values[:, :, : self._prefix].sum(1)
        result[:, self._begin :] += values[:, :, self._prefix :].flatten(1, 2)


def _parts(layout):
    pieces = [layout.prefix * piece // PREFIX_PIECES for piece in range(PREFIX_PIECES + 1)]
    parts = [_Piece(begin, stop) for begin, stop in zip(pieces, pieces[1:])]
    if layout.long:
        parts.append(_Piece(layout.prefix, layout.prefix + layout.long))
    if layout.shorts:
        parts.append(_Shorts(layout))
    return parts


class LanguageModel:
    """SmolLM2 with a low-rank update; the parameters are those of the update alone."""

    def __init__(self, base, config, update, fused=True):
        """base(name): a tensor of the plain model (fp32) under LlamaModel's name. update: A and B,
        {"layers.0.mlp.up_proj": (A, B), ...}. fused: whether the compiled layers are used where
        they can be had (fused_layers.py)."""
        self._config = config
        self._heads = config.num_attention_heads
        self._pairs = config.num_key_value_heads
        self._width = config.head_dim
        self._layers = []
        for index in range(config.num_hidden_layers):
            layer = {}
            for group, members in GROUPS.items():
                names = [f"layers.{index}.{member}" for member in members]
                downs, ups = zip(*(update[name] for name in names))
                weights = [base(f"{name}.weight") for name in names]
                layer[group] = UpdatedLinears(weights, downs, ups)
            for norm in ("input_layernorm", "post_attention_layernorm"):
                layer[norm] = base(f"layers.{index}.{norm}.weight").to(HALF)
            self._layers.append(layer)
        self._norm = base("norm.weight").to(HALF)
        self.embeddings = base("embed_tokens.weight").to(HALF)
        extension = fused_layers.load() if fused else None
        self._fused = extension and fused_layers.FusedLayers(extension, config, self._layers, SCALE)
        self.merge()

    def parameters(self):
        return {
            f"{index}.{group}.{name}": getattr(layer[group], name)
            for index, layer in enumerate(self._layers)
            for group in GROUPS
            for name in ("down", "up")
        }

    def merge(self):
        """To be called whenever the update has changed."""
        if self._fused:
            self._fused.set_updates()
            return
        for layer in self._layers:
            for group in GROUPS:
                layer[group].merge()

    def update(self):
        """{"layers.0.mlp.up_proj": (A, B), ...}"""
        return {
            f"layers.{index}.{member}": pair
            for index, layer in enumerate(self._layers)
            for group, members in GROUPS.items()
            for member, pair in zip(members, layer[group].split())
        }

    def _attention(self, x, layer, layout, cos, sin):
        rows, heads, pairs, width = len(x), self._heads, self._pairs, self._width
        qkv = layer["self_attn.qkv"](x).view(rows, heads + 2 * pairs, width)
        turned = _Rotated.apply(qkv[:, : heads + pairs], cos, sin)
        q = turned[:, :heads].transpose(0, 1).reshape(pairs, heads // pairs, rows, width)
        k = turned[:, heads:].transpose(0, 1).contiguous()
        v = qkv[:, heads + pairs :].transpose(0, 1).contiguous()
        mixed = _BranchedAttention.apply(q, k, v, layout)
        mixed = mixed.permute(2, 0, 1, 3).reshape(rows, heads * width)
        return layer["self_attn.o"](mixed)

    def _rotation(self, positions):
        """cos and sin of the angles by which positions turn, [rows, width / 2]."""
        width, theta = self._width, self._config.rope_parameters["rope_theta"]
        frequencies = theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angles = positions[:, None] * frequencies
        return angles.cos().float(), angles.sin().float()

    def _per_head(self, angles):
        """[rows, heads, width / 2] for _Rotated; queries' hold the scale of the scores too."""
        scale = torch.ones(self._heads + self._pairs, 1)
        scale[: self._heads] = self._width**-0.5
        return (angles[:, None] * scale).to(HALF)

    def __call__(self, x, layout):
        """Embeddings [rows, hidden] in the order of `layout` to normed hidden states."""
        cos, sin = self._rotation(layout.positions())
        epsilon = self._config.rms_norm_eps
        norm = _RootMeanSquareNorm.apply
        if self._fused:
            return norm(self._fused(x, layout, cos, sin), self._norm, epsilon)
        cos, sin = self._per_head(cos), self._per_head(sin)
        for layer in self._layers:
            normed = norm(x, layer["input_layernorm"], epsilon)
            x = x + self._attention(normed, layer, layout, cos, sin)
            normed = norm(x, layer["post_attention_layernorm"], epsilon)
            x = x + layer["mlp.down"](_Gated.apply(layer["mlp.gate_up"](normed)))
        return norm(x, self._norm, epsilon)
