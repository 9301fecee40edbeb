"""Attention alone, layer upon layer at its start: how sharp its weights are, how alike its tokens become, and what gradient is left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from initviz._core.arguments import DEEPEST, look_up, real_number, seed_numbers, switch, whole_number
from initviz.initializers import init_, unit_noise
from initviz.inspection import probe
from initviz.models import Attention
from initviz.theory import STACK_NORMS, predict_attention


class AttentionStack(nn.Module):
    """Attention layers with a stream beside them, on tokens of shape (batch, places, width). Every matrix has variance 1/width but
    those of queries and keys.

    With `norm` "post" a layer is x' = LN(residual x + attention(x)), with "pre" it is x' = residual x + attention(LN(x)).

    Args:
        logit_std: standard deviation of a query's logits over tokens at right angles; `qk_norm` takes it back to 1.
        residual: factor on the stream.
        layers, width, heads: whole numbers; width is a multiple of heads.
        norm: a key of STACK_NORMS.
        qk_norm: whether queries and keys are layer-normalized.
        seed: of the weights.
    """

    def __init__(
        self,
        logit_std: float,
        residual: float,
        layers: int,
        width: int,
        heads: int,
        norm: str,
        qk_norm: bool,
        seed: int,
    ) -> None:
        super().__init__()
        place = {"dtype": torch.float32, "device": torch.device("cpu")}
        self.layers = nn.ModuleList(Attention(width, heads, False, qk_norm, **place) for _ in range(layers))
        self.residual, self.post = residual, norm == "post"
        init_(self, "lecun_normal", seed=seed)
        with torch.no_grad():
            for attention in self.attentions():
                for layer in (attention.query, attention.key):
                    layer.weight.mul_(math.sqrt(logit_std))

    def attentions(self) -> list[Attention]:
        """The layers."""
        return cast(list[Attention], list(self.layers))

    def forward(self, x: Tensor) -> Tensor:
        normalize = partial(F.layer_norm, normalized_shape=x.shape[-1:])
        for attention in self.attentions():
            x = self.residual * x + attention(x if self.post else normalize(x))
            x = normalize(x) if self.post else x
        return x


@dataclass(frozen=True)
class AttentionRun:
    """A stack of L attention layers in each of several draws, measured and predicted.

    Attributes:
        entropy: shape (seeds, L), entropy of the weights over ln T.
        similarity: shape (seeds, L), mean cosine of two of the tokens that a layer gets.
        query_gradient: shape (seeds, L), |W_query| |dL/dW_query| over |W_value| |dL/dW_value|, by root mean squares: the gradient of
            the query's matrix in proportion to that of the value's, whatever the scale of either. The loss pulls at each output at random.
        entropy_theory, similarity_theory: shape (L,), see `initviz.theory.predict_attention`.
        logit_std: beta of that prediction: what was asked for, or 1 with QK-norm.
    """

    entropy: np.ndarray
    similarity: np.ndarray
    query_gradient: np.ndarray
    entropy_theory: np.ndarray
    similarity_theory: np.ndarray
    logit_std: float


def attention_run(
    logit_std: float = 1.0,
    residual: float = 1.0,
    *,
    layers: int = 12,
    places: int = 32,
    norm: str = "post",
    qk_norm: bool = False,
    width: int = 128,
    heads: int = 2,
    batch: int = 4,
    seeds: int | Sequence[int] = 5,
) -> AttentionRun:
    """Measure the stack of each seed on independent normal tokens.

    Args:
        logit_std, residual, layers, norm, qk_norm, width, heads: see `AttentionStack`.
        places: tokens in a sample; batch: samples.
        seeds: how many draws of weights and tokens, from seed 0 on, or which seeds.
    Returns:
        An `AttentionRun`: entropy, likeness of tokens and the queries' gradient by layer, a row a seed.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    beta, residual = real_number("logit_std", logit_std), real_number("residual", residual)
    layers, places = whole_number("layers", layers, most=DEEPEST), whole_number("places", places, least=2)
    batch = whole_number("batch", batch)
    width, heads = whole_number("width", width), whole_number("heads", heads)
    if width % heads:
        raise ValueError(f"heads: got {heads}; the width, {width}, must be a multiple of it")
    look_up("norm", norm, STACK_NORMS)
    qk_norm = switch("qk_norm", qk_norm)
    rows = []
    for seed in seed_numbers(seeds):
        stack = AttentionStack(beta, residual, layers, width, heads, norm, qk_norm, seed)
        x = unit_noise((batch, places, width), "normal", seed, 4 * layers)
        found = probe(stack, x, quantities=()).attention
        rows.append([[one.entropy for one in found], [one.similarity for one in found], _gradients(stack, x, seed)])
    entropy, similarity, gradient = np.moveaxis(np.array(rows), 1, 0)
    beta = 1.0 if qk_norm else beta
    sharp, alike = predict_attention(beta, residual, layers=layers, places=places, norm=norm)
    return AttentionRun(entropy, similarity, gradient, sharp, alike[:-1], beta)


def _gradients(stack: AttentionStack, x: Tensor, seed: int) -> list[float]:
    """`AttentionRun.query_gradient` of one stack."""
    pairs = [[layer.query.weight, layer.value.weight] for layer in stack.attentions()]
    with torch.inference_mode(False), torch.enable_grad():
        output = stack(x)
        pull = unit_noise(tuple(output.shape), "normal", seed, 4 * len(pairs) + 1)
        gradients = iter(torch.autograd.grad((output * pull).sum(), [weight for pair in pairs for weight in pair]))
    with torch.no_grad():
        sizes = [[(w.norm() * next(gradients).double().norm()).item() for w in pair] for pair in pairs]
    return [query / value for query, value in sizes]
