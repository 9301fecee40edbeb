"""Softmax attention as it runs: how the weights of a query are spread over the places, and how alike the places are.

What is looked at is a sample of batch entries, heads and queries. F.scaled_dot_product_attention and nn.MultiheadAttention keep their
weights to themselves; those of the sample are worked out from queries and keys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from initviz._core.readings import Reading, Readings
from initviz.inspection._findings import Attention

PRODUCTS = {"matmul": 0, "__matmul__": 0, "bmm": 0, "baddbmm": 1, "einsum": 1}
"""Names of torch functions that q k^T is worked out by -> the position of their first factor."""
ATTENTION = frozenset({"softmax", "scaled_dot_product_attention", "multi_head_attention_forward", *PRODUCTS})

_QUERIES, _PLACES, _EACH, _ALL = 8, 32, 4, 16
"""At most so many queries of a head, places whose likeness is measured, entries of each leading axis, or of the only one."""
_MASKED = -9e3
"""Logits below it are masked: besides -inf, people add -1e4, -1e9 or the smallest number of the type."""


@dataclass(frozen=True)
class Product:
    """The latest product of two tensors of which neither is a parameter: q k^T, if a softmax of it follows."""

    name: str
    node: Any  # of the graph
    factors: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Measured:
    """One attention, while the pass goes on."""

    layers: tuple[int, ...]
    places: int
    width: int | None
    numbers: Reading[np.ndarray]

    def result(self) -> Attention:
        entropy, logit_std, similarity = map(float, self.numbers.value)
        return Attention(self.layers, self.places, self.width, entropy, logit_std, similarity)


def product(name: str, args: Sequence[Any], kwargs: dict[str, Any], output: Any) -> Product | None:
    """What a function in PRODUCTS worked out; None where a factor is a weight or a vector, or no gradient is asked for."""
    factors: Sequence[Any] = [
        *args[PRODUCTS[name] :],
        *(kwargs[n] for n in ("other", "mat2", "batch1", "batch2") if n in kwargs),
    ]
    factors = factors[0] if len(factors) == 1 and isinstance(factors[0], tuple | list) else factors
    if len(factors) < 2 or getattr(output, "grad_fn", None) is None:
        return None
    first, second = factors[:2]
    if not all(isinstance(f, Tensor) and not isinstance(f, nn.Parameter) and f.dim() > 1 for f in (first, second)):
        return None
    return Product(name, output.grad_fn, (first, second))


def softmax_input(args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor | None:
    """The logits of a softmax over the last of several axes; None for another one."""
    logits, axis = (args[0] if args else kwargs.get("input")), kwargs.get("dim", args[1] if len(args) > 1 else None)
    if isinstance(logits, Tensor) and logits.dim() > 1 and axis in (-1, logits.dim() - 1):
        return logits
    return None


@torch.no_grad()
def of_softmax(layers: tuple[int, ...], logits: Tensor, made: Product, readings: Readings) -> Measured | None:
    """Of a softmax that is written out."""
    *lead, queries, places = logits.shape
    width, tokens = made.factors[0].shape[-1], None
    if made.name != "einsum" and made.factors[1].shape[-1] == places:
        tokens = made.factors[1].mT
        if tokens.numel() == math.prod(lead) * places * width:  # heads may have been one axis with the batch
            tokens = tokens.reshape(*lead, places, width)
        tokens = tokens[_parts(tokens.shape[:-2])]
    return _measured(layers, logits[(*_parts(lead), _rows(queries))], queries, places, width, tokens, readings)


@torch.no_grad()
def of_scaled_dot_product(
    layers: tuple[int, ...], readings: Readings, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Measured | None:  # fmt: skip
    """Of F.scaled_dot_product_attention, with its arguments."""
    if any(t.is_nested for t in (query, key, value)):
        return None
    (queries, width), places = query.shape[-2:], key.shape[-2]
    group = query.shape[-3] // key.shape[-3] if enable_gqa and query.dim() > 2 else 1
    if attn_mask is not None and attn_mask.dim() > 2 and attn_mask.shape[-3] == query.shape[-3]:
        attn_mask = attn_mask[..., ::group, :, :]
    query = query[..., ::group, :, :] if group > 1 else query
    lead = torch.broadcast_shapes(query.shape[:-2], key.shape[:-2])
    parts, rows = _parts(lead), _rows(queries)
    q = _wide(query.expand(*lead, -1, -1)[(*parts, rows)])
    logits = q @ _wide(key.expand(*lead, -1, -1)[parts]).mT * (width**-0.5 if scale is None else scale)
    if attn_mask is not None:
        logits = logits + _added(attn_mask.expand(*lead, queries, places)[(*parts, rows)], True)
    if is_causal:
        numbers = torch.arange(queries, device=logits.device)[rows]
        later = torch.arange(places, device=logits.device) > numbers[:, None]
        logits = logits.masked_fill(later, -math.inf)
    return _measured(layers, logits, queries, places, width, value.expand(*lead, -1, -1)[parts], readings)


@torch.no_grad()
def of_multi_head(
    layers: tuple[int, ...], readings: Readings, args: Sequence[Any], kwargs: dict[str, Any]
) -> Measured | None:
    """Of F.multi_head_attention_forward, which nn.MultiheadAttention calls."""
    names = [
        "query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight", "in_proj_bias", "bias_k", "bias_v",
        "add_zero_attn",
    ]  # fmt: skip
    given = dict(zip(names, args)) | kwargs
    if given["bias_k"] is not None or given["add_zero_attn"] or given.get("static_k") is not None:
        return None  # places that are no tokens
    query, key, value = (t if t.dim() == 3 else t[:, None] for t in (given[name] for name in names[:3]))
    (queries, batch, width), places, heads = query.shape, len(key), given["num_heads"]
    if given.get("use_separate_proj_weight"):
        by_query, by_key = given["q_proj_weight"], given["k_proj_weight"]
    else:
        by_query, by_key, _ = given["in_proj_weight"].chunk(3)
    bias = given["in_proj_bias"]
    bias = torch.zeros_like(by_query[:, 0]) if bias is None else bias[:width]
    some, of_heads = _parts((batch, heads))
    rows, size = _rows(queries), width // heads
    by_query, by_key = (_wide(w.unflatten(0, (heads, size))[of_heads]) for w in (by_query, by_key))
    q = torch.einsum("lne,hde->nhld", _wide(query[rows, some]), by_query)
    q = q + _wide(bias.unflatten(0, (heads, 1, size))[of_heads])
    # A key's bias adds the same to all logits of a query. The keys themselves would cost more than this order.
    logits = torch.einsum("nhlf,snf->nhls", torch.einsum("nhld,hdf->nhlf", q, by_key), _wide(key[:, some]))
    logits = logits * size**-0.5
    for mask, shape in ((given.get("attn_mask"), (queries, places)), (given.get("key_padding_mask"), (1, places))):
        if mask is not None:
            mask = mask.reshape(-1, 1, *shape) if shape[0] == 1 else mask.reshape(-1, *shape)
            mask = mask.unflatten(0, (batch, heads)) if len(mask) == batch * heads and shape[0] > 1 else mask
            logits = logits + _added(mask.expand(batch, heads, queries, places)[some, of_heads, rows], False)
    return _measured(layers, logits, queries, places, size, value[:, some].transpose(0, 1), readings)


def _measured(
    layers: tuple[int, ...],
    logits: Tensor,
    queries: int,
    places: int,
    width: int | None,
    tokens: Tensor | None,
    readings: Readings,
) -> Measured | None:
    """Of the logits of a sample, shape (..., sampled queries, places), and of their tokens, shape (..., places, features)."""
    if places < 2 or not logits.numel():
        return None
    logits = _wide(logits)
    allowed = logits > _MASKED
    seen = allowed.any(-2)  # by one query at least: what none may look at is padding
    number = allowed.sum(-1)
    counted = number > 1
    if queries == places:
        counted = counted & seen[..., _rows(queries)]
    weights = F.softmax(logits.masked_fill(~allowed, -math.inf), -1)
    entropy = torch.special.entr(weights).sum(-1) / number.clamp(2).log()
    centred = logits - (logits.where(allowed, 0).sum(-1) / number.clamp(1))[..., None]
    logit_std = (centred.where(allowed, 0).square().sum(-1) / number.clamp(1)).sqrt()
    similarity = logit_std.new_tensor(math.nan) if tokens is None else _similarity(tokens, seen)
    numbers = torch.stack([_mean(entropy, counted), _mean(logit_std, counted), similarity])
    return Measured(layers, places, width, readings.of(numbers, np.array))


def _similarity(tokens: Tensor, seen: Tensor) -> Tensor:
    """Mean cosine between two places, NaN where no two can be compared."""
    places = _rows(tokens.shape[-2], _PLACES)
    values = F.normalize(_wide(tokens[..., places, :]), dim=-1, eps=1e-30)
    there = values.square().sum(-1) > 0.5  # a vector of zeros has no direction
    seen = seen[..., places]
    if seen.shape[:-1] == there.shape[:-1]:
        there = there & seen
    elif seen.dim() == there.dim() + 1:  # tokens before they are split into heads
        there = there & seen.any(-2)
    values = values * there[..., None]
    number = there.sum(-1)
    pairs = number * (number - 1)
    return _mean((values.sum(-2).square().sum(-1) - number) / pairs.clamp(1), pairs > 0)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Of those that are counted, NaN where there are none."""
    return values.where(counted, 0).sum() / counted.sum()


def _parts(lead: Sequence[int]) -> tuple[slice, ...]:
    """A few entries of each leading axis. Odd steps, so that it is not the same head of each sample where the two are one axis."""
    most = _EACH if len(lead) > 1 else _ALL
    return tuple(slice(None, None, 1 if n <= most else -(-n // most) | 1) for n in lead)


def _rows(number: int, most: int = _QUERIES) -> slice:
    """At most so many, evenly spaced, the last among them: under a causal mask it sees all places."""
    step = max(-(-number // most), 1)
    return slice((number - 1) % step, None, step)


def _added(mask: Tensor, kept: bool) -> Tensor:
    """A mask as it is added to logits; of booleans `kept` marks the places that may be looked at."""
    if mask.dtype != torch.bool:
        return _wide(mask)
    return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask if kept else mask, -math.inf)


def _wide(values: Tensor) -> Tensor:
    return values.detach().float()
