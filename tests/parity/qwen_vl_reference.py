"""Qwen-VL-Chat in plain PyTorch, written from its published description: what tests/parity holds the C++ model to.

transformers has no class for it; its own code comes with the checkpoint on the hub. Everything is computed eagerly in
fp32, without a cache of keys and values: a step runs all tokens again. Module names are those of the checkpoint.
"""

import math
import unicodedata

import numpy as np
import torch
from torch import nn
from torch.nn import functional

IMAGE_TOKENS = 256
SYSTEM = "You are a helpful assistant."
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


# ---- text ----


class Tokenizer:
    """qwen.tiktoken with the special tokens that Qwen-VL counts on behind its ranks."""

    PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
               r"|\s+(?!\S)|\s+")
    SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{i}|>" for i in range(205)),
               "<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>", "<imgpad>"]

    def __init__(self, ranks):
        import tiktoken
        self.special = {text: len(ranks) + i for i, text in enumerate(self.SPECIAL)}
        self.encoding = tiktoken.Encoding("qwen", pat_str=self.PATTERN, mergeable_ranks=ranks, special_tokens=self.special)

    def __len__(self):
        return self.encoding.n_vocab

    def text(self, text):
        return self.encoding.encode(unicodedata.normalize("NFC", text), allowed_special="all")

    def picture(self, number):
        """What stands in a question for its image `number`. The ids inside are never looked at: the original puts
        the bytes of the file's path there and pads."""
        inside = [self.special["<imgpad>"]] * IMAGE_TOKENS
        return self.text(f"Picture {number}: ") + [self.special["<img>"]] + inside + [self.special["</img>"]]

    def prompt(self, question, pictures):
        """ChatML with one user turn. Roles, texts and the line ends between them are encoded each by itself."""
        newline = self.text("\n")
        start, end = [self.special["<|im_start|>"]], [self.special["<|im_end|>"]]
        user = []
        for number in range(1, pictures + 1):
            user += self.picture(number) + newline
        user += self.text(question)
        return (start + self.text("system") + newline + self.text(SYSTEM) + end + newline
                + start + self.text("user") + newline + user + end + newline
                + start + self.text("assistant") + newline)


# ---- images ----


def pixels(picture, side):
    """An image of Pillow's -> [3, side, side]."""
    from PIL import Image
    levels = np.asarray(picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))
    scaled = torch.from_numpy(levels.copy()).permute(2, 0, 1).to(torch.float32) / 255
    return (scaled - torch.tensor(CLIP_MEAN).view(3, 1, 1)) / torch.tensor(CLIP_STD).view(3, 1, 1)


def resized(table, cells):
    """Positions of a square grid, [n, size] -> [cells, size]."""
    old, new = math.isqrt(len(table)), math.isqrt(cells)
    if old == new:
        return table
    grid = table.T.reshape(1, -1, old, old)
    return functional.interpolate(grid, size=(new, new), mode="bicubic", align_corners=False)[0].flatten(1).T


def sincos_positions(size, side):
    """[side * side, size]: half of the dimensions tell the column, half the row; sines before cosines in both."""
    frequencies = 1 / 10000 ** (np.arange(size // 4, dtype=np.float64) / (size / 4))
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float64)
    parts = []
    for axis in (columns, rows):
        angles = axis.reshape(-1, 1) * frequencies
        parts += [np.sin(angles), np.cos(angles)]
    return torch.from_numpy(np.concatenate(parts, 1)).float()


def attend(queries, keys, values, mask=None):
    """[heads, n, size] each."""
    scores = queries @ keys.transpose(1, 2) / math.sqrt(queries.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(mask, float("-inf"))
    return torch.softmax(scores, -1) @ values


class VisionAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x):
        heads = []
        for block in self.in_proj(x).chunk(self.heads, -1):  # of each head: query, key, value
            query, key, value = block[None].chunk(3, -1)
            heads.append(attend(query, key, value)[0])
        return self.out_proj(torch.cat(heads, -1))


class VisionMlp(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.c_fc = nn.Linear(width, inner)
        self.c_proj = nn.Linear(inner, width)

    def forward(self, x):
        return self.c_proj(functional.gelu(self.c_fc(x)))


class VisionBlock(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.attn = VisionAttention(width, heads)
        self.mlp = VisionMlp(width, inner)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Resampler(nn.Module):
    def __init__(self, queries, size, width):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(queries, size))
        self.pos_embed = nn.Parameter(sincos_positions(size, math.isqrt(queries)))
        self.kv_proj = nn.Linear(width, size, bias=False) if width != size else nn.Identity()
        self.attn = nn.MultiheadAttention(size, size // 128)
        self.ln_q = nn.LayerNorm(size, eps=1e-6)
        self.ln_kv = nn.LayerNorm(size, eps=1e-6)

    def forward(self, x):
        x = self.ln_kv(self.kv_proj(x))
        keys = x + resized(self.pos_embed, len(x))
        return self.attn(self.ln_q(self.query) + self.pos_embed, keys, x, need_weights=True)[0]


class Visual(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, out = c["width"], c["output_dim"]
        self.conv1 = nn.Conv2d(3, width, c["patch_size"], c["patch_size"], bias=False)
        self.positional_embedding = nn.Parameter(torch.zeros(256, width))
        self.ln_pre = nn.LayerNorm(width, eps=1e-6)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(
            VisionBlock(width, c["heads"], int(width * c["mlp_ratio"])) for _ in range(c["layers"]))
        self.attn_pool = Resampler(c.get("n_queries", 256), out, width)
        self.ln_post = nn.LayerNorm(out, eps=1e-6)
        self.proj = nn.Parameter(torch.zeros(out, out))

    def forward(self, picture):
        x = self.conv1(picture[None])[0].flatten(1).T
        x = self.ln_pre(x + resized(self.positional_embedding, len(x)))
        for block in self.transformer.resblocks:
            x = block(x)
        return self.ln_post(self.attn_pool(x)) @ self.proj


# ---- the decoder ----


class RmsNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + self.eps) * self.weight


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        inner = c["kv_channels"] * c["num_attention_heads"]
        self.heads = c["num_attention_heads"]
        self.c_attn = nn.Linear(c["hidden_size"], 3 * inner)
        self.c_proj = nn.Linear(inner, c["hidden_size"], bias=not c["no_bias"])

    def forward(self, x, rotate, scales):
        queries, keys, values = (part.unflatten(-1, (self.heads, -1)).transpose(0, 1)
                                 for part in self.c_attn(x).chunk(3, -1))
        queries = rotate(queries) * scales[:, None]
        mask = torch.ones(len(x), len(x), dtype=torch.bool).triu(1)
        return self.c_proj(attend(queries, rotate(keys), values, mask).transpose(0, 1).flatten(1))


class Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        inner, bias = c["intermediate_size"] // 2, not c["no_bias"]
        self.w1 = nn.Linear(c["hidden_size"], inner, bias=bias)
        self.w2 = nn.Linear(c["hidden_size"], inner, bias=bias)
        self.c_proj = nn.Linear(inner, c["hidden_size"], bias=bias)

    def forward(self, x):
        return self.c_proj(self.w1(x) * functional.silu(self.w2(x)))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.ln_1 = RmsNorm(c["hidden_size"], c["layer_norm_epsilon"])
        self.ln_2 = RmsNorm(c["hidden_size"], c["layer_norm_epsilon"])
        self.attn = Attention(c)
        self.mlp = Mlp(c)

    def forward(self, x, rotate, scales):
        x = x + self.attn(self.ln_1(x), rotate, scales)
        return x + self.mlp(self.ln_2(x))


class QwenVl(nn.Module):
    """`config`: the fields of config.json."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.transformer = nn.Module()
        self.transformer.wte = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.transformer.h = nn.ModuleList(Block(config) for _ in range(config["num_hidden_layers"]))
        self.transformer.ln_f = RmsNorm(config["hidden_size"], config["layer_norm_epsilon"])
        self.transformer.visual = Visual(config["visual"])
        self.lm_head = nn.Linear(config["hidden_size"], config["vocab_size"], bias=False)

    def ntk_alpha(self, prompt_tokens):
        if not self.config["use_dynamic_ntk"]:
            return 1
        exponent = math.log(prompt_tokens / self.config["seq_length"], 2) + 1
        return max(2 ** math.ceil(exponent) - 1, 1)

    def query_scales(self, tokens):
        trained = self.config["seq_length"]
        if not self.config["use_logn_attn"]:
            return torch.ones(tokens)
        return torch.tensor([math.log(n, trained) if n > trained else 1.0 for n in range(1, tokens + 1)])

    def forward(self, ids, features, prompt_tokens):
        """ids: a list; features: of its images, in order; prompt_tokens: of the ids, those that were there before
        anything was written, whose number fixes the rotation of all. -> [ids, vocabulary]"""
        x = self.transformer.wte(torch.tensor(ids))
        start = self.config["visual"]["image_start_id"]
        places = [i for i, token in enumerate(ids) if token == start]
        for place, picture in zip(places, features, strict=True):
            assert ids[place + len(picture) + 1] == start + 1
            x[place + 1 : place + 1 + len(picture)] = picture
        size = self.config["kv_channels"]
        base = self.config["rotary_emb_base"] * self.ntk_alpha(prompt_tokens) ** (size / (size - 2))
        frequencies = 1.0 / (base ** (torch.arange(0, size, 2).float() / size))
        angles = torch.outer(torch.arange(len(ids)).float(), frequencies)

        def rotate(y):
            first, second = y.chunk(2, -1)
            return torch.cat([first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], -1)

        scales = self.query_scales(len(ids))
        for block in self.transformer.h:
            x = block(x, rotate, scales)
        return self.lm_head(self.transformer.ln_f(x))
