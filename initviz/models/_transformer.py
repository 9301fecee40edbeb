"""Small transformers, with the normalization before or behind each sum and the rules by which their weights are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from initviz._core.arguments import DEEPEST, look_up, real_number, switch, whole_number
from initviz._core.devices import pick_device
from initviz.initializers import Activation, ActivationModule, Scheme, get_activation, get_scheme, init_, unit_noise
from initviz.models._branches import BranchRemedy, Shortcut, get_branch_remedy, scale_weights_
from initviz.models._plain import Linear, precision

NORMS = {"pre": "before each branch", "post": "behind each sum", "none": "nowhere"}
"""Where layer normalization stands: before each branch (GPT-2 and most since), behind each sum (the transformer of 2017, BERT)."""
EMBEDDING_STD = 0.02
"""Of GPT-2's and BERT's embeddings of tokens and of positions."""
TABLES = 3_000_000
"""The numbers from which embeddings are drawn, away from those that `init_` draws from."""


class Attention(nn.Module):
    """Attention of `heads` heads, each token to all tokens or, if `causal`, to itself and those before it.

    With `qk_norm` each head's queries and keys are layer-normalized (QK-norm; Dehghani et al. 2023, arXiv 2302.05442), so that the
    scale of their weights does not set that of the logits.
    """

    def __init__(self, width: int, heads: int, causal: bool, qk_norm: bool = False, **place) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (Linear(width, width, **place) for _ in range(4))
        self.query_norm, self.key_norm = (
            nn.LayerNorm(width // heads, **place) if qk_norm else nn.Identity() for _ in range(2)
        )
        self.heads, self.causal = heads, causal

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(-3, -2) for layer in (self.query, self.key, self.value)
        )
        q, k = self.query_norm(q), self.key_norm(k)
        with sdpa_kernel(
            SDPBackend.MATH
        ):  # the one that torch.func.vmap has a rule for; at this size no other is faster
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(mixed.transpose(-3, -2).flatten(-2))


class Transformer(nn.Module):
    """N blocks of two branches, attention and a perceptron of one hidden layer, on a stream of shape (batch, length, width).

    Attributes:
        embed: tokens, or equal pieces of a vector of numbers, to the width of the stream.
        positions: shape (length, width), added to it.
        branches: the 2 N branches with their shortcuts.
        norm: a key of NORMS.
        remedy: what scales the branches, see `initviz.models`.
    """

    def __init__(
        self,
        embed: nn.Embedding | Linear,
        length: int,
        branches: list[Shortcut],
        final: nn.Module,
        output: Linear,
        norm: str,
        remedy: BranchRemedy,
        causal: bool,
    ) -> None:
        super().__init__()
        self.embed = embed
        self.positions = nn.Parameter(
            torch.zeros(length, output.in_features, dtype=output.weight.dtype, device=output.weight.device)
        )
        self.branches = nn.ModuleList(branches)
        self.final = final
        self.output = output
        self.norm, self.remedy, self.causal = norm, remedy, causal

    def streams(self, x: Tensor) -> Iterator[Tensor]:
        """The stream before the first block and after each: N + 1 tensors of shape (batch, length, width)."""
        length = len(self.positions)
        if isinstance(self.embed, Linear):
            x = x.flatten(1).to(self.output.weight.dtype).unflatten(1, (length, -1))
        stream = self.embed(x) + self.positions[: x.shape[1]]
        yield stream
        for number, branch in enumerate(self.branches):
            stream = branch(stream)
            if number % 2:
                yield stream

    def forward(self, x: Tensor) -> Tensor:
        for stream in self.streams(x):  # noqa: B007 - the last one is wanted
            pass
        return self.output(self.pool(self.final(stream)))

    def pool(self, stream: Tensor) -> Tensor:
        """What the output layer gets of a stream, shape (batch, width): the mean over all places; if `causal`, the last place."""
        return stream[:, -1] if self.causal else stream.mean(dim=1)

    def shortcuts(self) -> list[Shortcut]:
        """The 2 N branches, each with the way past it."""
        return cast(list[Shortcut], list(self.branches))

    def rescale_(self) -> Transformer:
        """Multiply the weights by the remedy's factors: what is left to do after `init_` has drawn them anew. Returns the network."""
        bodies = [branch.body for branch in self.shortcuts()]
        last = [body.out if isinstance(body, Attention) else ends(body)[1] for body in bodies]
        inner = [body.value if isinstance(body, Attention) else ends(body)[0] for body in bodies]
        scale_weights_(self.remedy, len(bodies), last, inner, 2, self.output)
        return self


def transformer(
    blocks: int,
    width: int,
    heads: int,
    activation: str | Activation = "gelu",
    scheme: str | Scheme = "truncated_normal",
    *,
    norm: str = "pre",
    remedy: str | BranchRemedy = "none",
    std: float | None = None,
    vocabulary: int | None = None,
    n_in: int = 64,
    length: int = 8,
    n_out: int = 10,
    causal: bool = False,
    qk_norm: bool = False,
    mlp_ratio: int = 4,
    scale: float = 1.0,
    gain: float | None = None,
    dtype: str | torch.dtype = "float32",
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Transformer:
    """An initialized transformer of `blocks` blocks, each of attention and a perceptron, that gives logits for a sequence.

    Its input is numbers of shape (batch, n_in), cut into `length` equal pieces (the rows of `iv.digits()`, as it is), or with a
    `vocabulary` whole numbers of shape (batch, up to length). The logits come from the mean over all places; from the last place if
    `causal`.

    Args:
        blocks, width, heads, n_out, mlp_ratio: whole numbers of at least 1; width is a multiple of heads, and the perceptron's hidden
            layer is mlp_ratio times as wide.
        activation: a name in ACTIVATIONS or an Activation.
        scheme: a name in SCHEMES or an alias: how all matrices but the embeddings are drawn.
        norm: a key of NORMS: layer normalization "pre", before each branch and before the output; "post", behind each sum; "none".
        remedy: a name in BRANCH_REMEDIES or a BranchRemedy; there are 2 blocks branches. Not Fixup, whose rule for attention is another;
            "deepnorm" takes norm="post". After another `init_`, call the network's `rescale_()`.
        std: if given, the standard deviation of every weight, whatever its fans, before `scale` and the remedy: 0.02 in GPT-2
            (scheme "normal") and in BERT (scheme "truncated_normal").
        vocabulary: how many tokens there are, or None for numbers.
        n_in: how many numbers; a multiple of length.
        length: places.
        causal: whether a place sees only itself and those before it (a decoder).
        qk_norm: whether each head's queries and keys are layer-normalized.
        scale, gain, dtype, seed, device: as for `mlp`. Embeddings of tokens and positions have standard deviation 0.02, always.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    blocks = whole_number("blocks", blocks, most=DEEPEST)
    width, heads = whole_number("width", width), whole_number("heads", heads)
    length, ratio, cure = (
        whole_number("length", length),
        whole_number("mlp_ratio", mlp_ratio),
        get_branch_remedy(remedy),
    )
    if width % heads:
        raise ValueError(f"heads: got {heads}; the width, {width}, must be a multiple of it")
    look_up("norm", norm, NORMS)
    causal, qk_norm = switch("causal", causal), switch("qk_norm", qk_norm)
    if cure.needs_post_norm and norm != "post":
        raise ValueError(f"norm: got {norm!r}; {cure.name!r} takes 'post', a normalization behind each sum")
    if cure.scalar_biases:
        raise ValueError(
            f"remedy: {cure.name!r} is for iv.residual; with norm='none' take 'rezero' or 'zero_last' here"
        )
    phi, rule = get_activation(activation), get_scheme(scheme)
    if std is not None:
        fixed = real_number("std", std)
        rule = replace(rule, std_rule=lambda i, o: fixed, relu_gain=False)
    place: dict = {"dtype": precision(dtype), "device": pick_device(device)}
    embed = _embedding(vocabulary, n_in, length, width, place)
    branches = [
        Shortcut(
            body, cure, 2 * blocks, None if norm == "none" else nn.LayerNorm(width, **place), norm == "post", place
        )
        for _ in range(blocks)
        for body in (
            Attention(width, heads, causal, qk_norm, **place),
            _perceptron(width, ratio * width, phi, place),
        )
    ]
    final = nn.LayerNorm(width, **place) if norm == "pre" else nn.Identity()
    output = Linear(width, whole_number("n_out", n_out), **place)
    net = Transformer(embed, length, branches, final, output, norm, cure, causal)
    init_(net, rule, activation=phi, seed=seed, gain=gain, scale=scale)
    with torch.no_grad():
        tables = [net.positions] + ([embed.weight] if isinstance(embed, nn.Embedding) else [])
        for number, table in enumerate(tables):
            table.copy_(EMBEDDING_STD * unit_noise(tuple(table.shape), "normal", seed, TABLES + number))
    return net.rescale_()


def ends(body: nn.Module) -> tuple[Linear, Linear]:
    """The two layers of a perceptron."""
    first, last = (part for part in body.children() if isinstance(part, Linear))
    return first, last


def _embedding(vocabulary: int | None, n_in: int, length: int, width: int, place: dict) -> nn.Embedding | Linear:
    if vocabulary is not None:
        return nn.Embedding(
            whole_number("vocabulary", vocabulary), width, _weight=torch.zeros(vocabulary, width, **place)
        )
    if (n_in := whole_number("n_in", n_in)) % length:
        raise ValueError(f"length: got {length}; n_in, {n_in}, must be a multiple of it")
    return Linear(n_in // length, width, **place)


def _perceptron(width: int, hidden: int, phi: Activation, place: dict) -> nn.Sequential:
    return nn.Sequential(Linear(width, hidden, **place), ActivationModule(phi), Linear(hidden, width, **place))
