"""The vision tower's forward pass in bf16, for training on CPUs, and the attention it shares.

The same mathematics as transformers' CLIP tower, with one product for queries, keys and values and
an attention that multiplies whole matrices: on CPUs with bf16 tiles several times as fast as
scaled_dot_product_attention and its gradient.
"""

import torch
from torch.nn import functional

HALF = torch.bfloat16


class Attend(torch.autograd.Function):
    """softmax(q k^T + mask) v of [batch, rows, head_dim]; q comes scaled; mask is added or None."""

    @staticmethod
    def forward(context, q, k, v, mask):
        scores = torch.bmm(q, k.transpose(1, 2))
        if mask is not None:
            scores += mask
        weights = torch.softmax(scores, -1)
        context.save_for_backward(q, k, v, weights)
        return torch.bmm(weights, v)

    @staticmethod
    def backward(context, gradient):
        q, k, v, weights = context.saved_tensors
        gradient_v = torch.bmm(weights.transpose(1, 2), gradient)
        of_weights = torch.bmm(gradient, v.transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        gradient_q = torch.bmm(of_scores, k)
        gradient_k = torch.bmm(of_scores.transpose(1, 2), q)
        return gradient_q, gradient_k, gradient_v, None


def _normed(x, norm):
    return functional.layer_norm(x, x.shape[-1:], norm.weight.to(HALF), norm.bias.to(HALF), norm.eps)


def _linear(x, layer):
    return functional.linear(x, layer.weight.to(HALF), layer.bias.to(HALF))


def _attention(x, attention):
    batch, rows, hidden = x.shape
    heads, width = attention.num_heads, attention.head_dim
    q, k, v = attention.q_proj, attention.k_proj, attention.v_proj
    weight = torch.cat([q.weight * attention.scale, k.weight, v.weight]).to(HALF)
    bias = torch.cat([q.bias * attention.scale, k.bias, v.bias]).to(HALF)
    projected = functional.linear(x, weight, bias).view(batch, rows, 3, heads, width)
    projected = projected.permute(2, 0, 3, 1, 4).reshape(3, batch * heads, rows, width)
    mixed = Attend.apply(projected[0], projected[1], projected[2], None)
    mixed = mixed.view(batch, heads, rows, width).transpose(1, 2).reshape(batch, rows, hidden)
    return _linear(mixed, attention.out_proj)


def patch_features(tower, pixels):
    """[images, patches, hidden] in bf16: the last layer without the class token and before
    post_layernorm, as `vision_feature_layer` -1 and strategy "default" say."""
    embeddings = tower.embeddings
    kernel, side = embeddings.patch_embedding.weight, embeddings.patch_size
    images, channels, height, width = pixels.shape
    patches = pixels.view(images, channels, height // side, side, width // side, side)
    patches = patches.permute(0, 2, 4, 1, 3, 5).reshape(images, -1, channels * side * side)
    x = functional.linear(patches.to(HALF), kernel.flatten(1).to(HALF))
    class_token = embeddings.class_embedding.to(HALF).expand(images, 1, -1)
    x = torch.cat([class_token, x], 1) + embeddings.position_embedding.weight.to(HALF)
    x = _normed(x, tower.pre_layrnorm)
    for layer in tower.encoder.layers:
        x = x + _attention(_normed(x, layer.layer_norm1), layer.self_attn)
        inner = _linear(_normed(x, layer.layer_norm2), layer.mlp.fc1)
        x = x + _linear(inner * torch.sigmoid(1.702 * inner), layer.mlp.fc2)
    return x[:, 1:]


def projected(projector, features):
    """A patch's features, [..., hidden], as the language model takes them."""
    inner = functional.gelu(_linear(features, projector.linear_1))
    return _linear(inner, projector.linear_2)
