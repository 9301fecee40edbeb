"""Language models before their first step: the rules by which public code draws their weights, their streams and their first loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from initviz._core.arguments import at_least_one, look_up, real_number, seed_numbers, switch, whole_number
from initviz._core.statistics import mean_square
from initviz.initializers import combined_seed
from initviz.models import EMBEDDING_STD, Attention, Linear, Transformer, ends, transformer
from initviz.theory import predict_first_loss

HEAD, TOKENS, TARGETS = 5_000_000, 5_000_001, 5_000_002
"""The numbers from which they are drawn, away from those of the network's other weights."""


@dataclass(frozen=True)
class StartRule:
    """How one code base draws the weights of a language model of width d and L blocks. Biases are zero.

    Attributes:
        label: for a picture.
        source: where it was read.
        embedding: d -> standard deviation of the embedding.
        head: d -> that of the output layer, or None where it shares the embedding's weight.
        inner: a matrix that reads the stream -> its std.
        last: (a branch's last matrix, L, its block from 0) -> its std, before `remedy`.
        positions: std of learned positions, 0 where there are none.
        distribution: "normal" or "uniform"; cut: where a normal draw ends, in standard deviations (what is left is not rescaled).
        norm, remedy: see `initviz.models.transformer`.
    """

    label: str
    source: str
    embedding: Callable[[int], float]
    head: Callable[[int], float] | None
    inner: Callable[[nn.Linear], float]
    last: Callable[[nn.Linear, int, int], float]
    positions: float = 0.0
    distribution: str = "normal"
    cut: float = math.inf
    norm: str = "pre"
    remedy: str = "none"


def _xavier(layer: nn.Linear, *_: int) -> float:
    return math.sqrt(2 / (layer.in_features + layer.out_features))


START_RULES = {
    "gpt2": StartRule(
        "GPT-2", "openai/gpt-2 src/model.py; Radford et al. 2019, section 2.3 (last layers over sqrt(2L))",
        lambda d: 0.02, None, lambda m: 0.02, lambda m, blocks, block: 0.02, positions=0.01, remedy="gpt2",
    ),
    "neox": StartRule(
        "small init and Wang", "EleutherAI/gpt-neox megatron/model/init_functions.py, as in configs/20B.yml (head untied)",
        lambda d: math.sqrt(2 / (5 * d)), lambda d: math.sqrt(2 / (5 * d)), lambda m: math.sqrt(2 / (5 * m.in_features)),
        lambda m, blocks, block: 2 / (blocks * math.sqrt(m.out_features)),
    ),
    "mitchell": StartRule(
        "Mitchell", "allenai/OLMo olmo/model.py, init_fn mitchell, as in configs/custom_dataset_example.yaml (head untied)",
        lambda d: d**-0.5, lambda d: d**-0.5, lambda m: m.in_features**-0.5,
        lambda m, blocks, block: (2 * m.in_features * (block + 1)) ** -0.5, cut=3.0,
    ),
    "deepnorm": StartRule(
        "DeepNorm", "Wang et al. 2022, section 2; microsoft/torchscale architecture/decoder.py (embedding times sqrt(d), head d^-1/2)",
        lambda d: 1.0, lambda d: d**-0.5, _xavier, _xavier, norm="post", remedy="deepnorm",
    ),
    "torch": StartRule(
        "PyTorch's defaults, tied", "torch.nn.Linear and torch.nn.Embedding (biases left out)",
        lambda d: 1.0, None, lambda m: (3 * m.in_features) ** -0.5, lambda m, blocks, block: (3 * m.in_features) ** -0.5,
        distribution="uniform",
    ),
}  # fmt: skip
"""Rules of language-model code by name, and what a model has to which no rule was applied."""


@dataclass(frozen=True)
class LanguageModelStart:
    """A language model of L blocks and V tokens at its first step, in each of several draws; targets are drawn at random.

    Attributes:
        stream: shape (seeds, L + 1), rms of the stream before the first block and behind each.
        gradient: shape (seeds, L + 1), rms of the loss's gradient there over that behind the last block.
        loss: shape (seeds,), cross-entropy in nats. chance: ln V.
        theory: what is predicted for it, mean over the draws; see `first_losses`.
    """

    stream: np.ndarray
    gradient: np.ndarray
    loss: np.ndarray
    theory: float
    chance: float


@dataclass(frozen=True)
class FirstLosses:
    """The first loss of a language model by the standard deviation of its head's weights.

    Attributes:
        stds: shape (n,). loss: shape (seeds, n), cross-entropy in nats against targets drawn at random.
        theory: shape (n,), the exact mean for a head that is not tied; with a tied one as `first_losses` says.
        wide: shape (n,), ln V + v/2 while v < 2 ln V, then sqrt(2 v ln V), with v = d std^2.
        chance: ln V. tied: whether the head shares the embedding's weight.
    """

    stds: np.ndarray
    loss: np.ndarray
    theory: np.ndarray
    wide: np.ndarray
    chance: float
    tied: bool


def language_model(
    rule: str | StartRule,
    *,
    blocks: int = 12,
    width: int = 128,
    heads: int = 4,
    vocabulary: int = 8192,
    length: int = 16,
    seed: int = 0,
) -> Transformer:
    """A causal `initviz.models.Transformer` drawn by a rule, whose output layer gives logits over its vocabulary.

    Args:
        rule: a key of START_RULES or a StartRule.
        blocks, width, heads, vocabulary, length, seed: see `initviz.models.transformer`.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    how = rule if isinstance(rule, StartRule) else look_up("rule", rule, START_RULES)
    net = transformer(
        blocks, width, heads, norm=how.norm, remedy=how.remedy, vocabulary=vocabulary, length=length, n_out=1, causal=True,
        seed=seed, device="cpu",
    )  # fmt: skip
    with torch.no_grad():
        for number, body in enumerate(branch.body for branch in net.shortcuts()):
            *inner, last = [body.query, body.key, body.value, body.out] if isinstance(body, Attention) else ends(body)
            for at, layer in enumerate(inner):
                _draw_(layer.weight, how.inner(layer), how, seed, 4 * number + at)
            _draw_(last.weight, how.last(last, blocks, number // 2), how, seed, 4 * number + 3)
        net.rescale_()
        net.embed.weight.mul_(how.embedding(width) / EMBEDDING_STD)
        net.positions.mul_(how.positions / EMBEDDING_STD)
        net.output = Linear(width, vocabulary, dtype=torch.float32, device="cpu")
        net.output.bias.zero_()
        if how.head is None:
            net.output.weight = net.embed.weight
        else:
            _draw_(net.output.weight, how.head(width), how, seed, HEAD)
    return net


def language_model_start(
    rule: str | StartRule, *, seeds: int | Sequence[int] = 5, batch: int = 16, **sizes: int
) -> LanguageModelStart:
    """Measure the language model of each seed on tokens and targets drawn at random.

    Args:
        rule: a key of START_RULES or a StartRule.
        seeds: how many draws, from seed 0 on, or which seeds. batch: sequences.
        **sizes: blocks, width, heads, vocabulary, length, as of `language_model`.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    batch = whole_number("batch", batch)
    rows = [_one(language_model(rule, seed=seed, **sizes), batch, seed) for seed in seed_numbers(seeds)]
    stream, gradient, loss, theory, chance = (np.array(column) for column in zip(*rows))
    return LanguageModelStart(stream, gradient, loss, float(theory.mean()), float(chance[0]))


def _one(net: Transformer, batch: int, seed: int) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    """Stream, gradient, loss, its theory and chance of one draw."""
    tokens, targets = _tokens(net, batch, seed)
    with torch.inference_mode(False), torch.enable_grad():
        streams = list(net.streams(tokens))
        loss = F.cross_entropy(net.output(net.final(streams[-1])).flatten(0, 1), targets)
        gradients = torch.autograd.grad(loss, streams)
    size, pull = (np.sqrt([mean_square(one) for one in many]) for many in (streams, gradients))
    std, (vocabulary, width) = math.sqrt(mean_square(net.output.weight)), net.output.weight.shape
    own = _own_logit(std, net, size[-1]) if net.output.weight is net.embed.weight else -math.inf
    theory = float(np.logaddexp(predict_first_loss(width * std**2, vocabulary), own))
    return size, pull / pull[-1], loss.item(), theory, math.log(vocabulary)


def first_losses(
    stds: Sequence[float],
    *,
    tied: bool = False,
    seeds: int | Sequence[int] = 5,
    batch: int = 8,
    blocks: int = 2,
    **sizes: int,
) -> FirstLosses:
    """The first loss at each standard deviation of the head's weights. The other weights are GPT-2's.

    The head reads d numbers of mean square 1, so its logits have variance v = d std^2, and an untied one knows nothing of the target:
    the mean loss is `predict_first_loss`. A tied one is at the same time the embedding of the token t that is there. Of the stream, of
    rms r, e_t is a part, and so t's own logit is about d std^2 / r instead of 0. It enters the sum over the vocabulary, and the
    loss is ln(exp(loss of the untied head) + exp(d std^2 / r)). r is measured.

    Args:
        stds: of the head's weights, and of the embedding's where it is `tied`.
        seeds: how many draws, from seed 0 on, or which seeds. batch: sequences.
        blocks, **sizes: width, heads, vocabulary, length, as of `language_model`.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    values = np.array([real_number("stds", std) for std in at_least_one("stds", stds)])
    tied = switch("tied", tied)
    batch, rows, owns = whole_number("batch", batch), [], []
    for seed in seed_numbers(seeds):
        net = language_model("gpt2", seed=seed, blocks=blocks, **sizes)
        width, vocabulary = net.output.in_features, net.output.out_features
        tokens, targets = _tokens(net, batch, seed)
        head = net.output.weight.detach() / 0.02
        if not tied:
            head = torch.empty_like(head).normal_(generator=_generator(seed, HEAD))
        losses, own = [], []
        for std in values:
            with torch.no_grad():
                if tied:
                    net.embed.weight.copy_(head * std)
                *_, stream = net.streams(tokens)
                logits = net.final(stream).flatten(0, 1) @ head.T * std
                losses.append(F.cross_entropy(logits, targets).item())
            own.append(_own_logit(std, net, math.sqrt(mean_square(stream))) if tied else -math.inf)
        rows.append(losses)
        owns.append(own)
    wide, exact = (
        np.array([predict_first_loss(width * std**2, vocabulary, wide=limit) for std in values])
        for limit in (True, False)
    )
    theory = np.logaddexp(exact, owns).mean(axis=0)
    return FirstLosses(values, np.array(rows), theory, wide, math.log(vocabulary), tied)


def _own_logit(std: float, net: Transformer, rms: float) -> float:
    """What a tied head gives the token that is there: e_t . stream / rms, of which the branches' part is 0 on average."""
    return net.output.in_features * std**2 / rms


def _tokens(net: Transformer, batch: int, seed: int) -> tuple[Tensor, Tensor]:
    """Tokens of shape (batch, length), and as many targets in a row."""
    shape = (batch, len(net.positions))
    tokens, targets = (
        torch.randint(net.output.out_features, shape, generator=_generator(seed, index), device="cpu")
        for index in (TOKENS, TARGETS)
    )
    return tokens, targets.flatten()


def _draw_(weight: Tensor, std: float, rule: StartRule, seed: int, index: int) -> None:
    draw = {
        "normal": partial(nn.init.trunc_normal_, std=std, a=-rule.cut * std, b=rule.cut * std)
        if math.isfinite(rule.cut)
        else partial(nn.init.normal_, std=std),
        "uniform": partial(nn.init.uniform_, a=-math.sqrt(3) * std, b=math.sqrt(3) * std),
    }[rule.distribution]
    draw(weight, generator=_generator(seed, index))


def _generator(seed: int, index: int) -> torch.Generator:
    return torch.Generator().manual_seed(combined_seed(seed, index))
