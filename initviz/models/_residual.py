"""Residual multilayer perceptrons of any number of blocks, with the remedies that keep their stream in scale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from initviz._core.arguments import DEEPEST, whole_number
from initviz._core.devices import pick_device
from initviz.initializers import Activation, ActivationModule, Scheme, get_activation, init_
from initviz.models._branches import BranchRemedy, Shortcut, get_branch_remedy, scale_weights_
from initviz.models._plain import Linear, precision


class ScalarBias(nn.Module):
    """Adds one trained number, 0 at the start (Zhang, Dauphin & Ma 2019, rule 3)."""

    def __init__(self, **place) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, **place))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class Residual(nn.Module):
    """A residual network. With phi the activation, x_0 = W_in x + b_in, and for blocks l = 0 ... N - 1

        x_{l+1} = x_l + F_l(x_l),    F(x) = W_m phi( ... W_2 phi(W_1 phi(x)))

    (the activation stands before each layer, as in He et al. 2016, Identity mappings), and the logits W_out phi(x_N) + b_out.

    Attributes:
        remedy: what scales the branches, see `initviz.models`.
        layers_per_branch: m.
    """

    def __init__(
        self,
        first: Linear,
        blocks: list[Shortcut],
        activation: Activation,
        output: Linear,
        remedy: BranchRemedy,
        m: int,
    ) -> None:
        super().__init__()
        self.first = first
        self.blocks = nn.ModuleList(blocks)
        self.activation: ActivationModule = ActivationModule(activation)
        self.output = output
        self.remedy, self.layers_per_branch = remedy, m

    def streams(self, x: Tensor) -> Iterator[Tensor]:
        """The stream x_0, x_1, ... x_N, each of shape (batch, width)."""
        stream = self.first(x.flatten(1).to(self.output.weight.dtype))
        yield stream
        for block in self.blocks:
            stream = block(stream)
            yield stream

    def forward(self, x: Tensor) -> Tensor:
        for stream in self.streams(x):  # noqa: B007 - the last one is wanted
            pass
        return self.output(self.activation(stream))

    def pool(self, stream: Tensor) -> Tensor:
        """What the loss sees of a stream: all of it."""
        return stream

    def shortcuts(self) -> list[Shortcut]:
        """The blocks, each a branch and the way past it."""
        return cast(list[Shortcut], list(self.blocks))

    def branches(self) -> list[list[Linear]]:
        """The m layers of each block's branch."""
        return [[part for part in block.modules() if isinstance(part, Linear)] for block in self.blocks]

    def rescale_(self) -> Residual:
        """Multiply the weights by the remedy's factors: what is left to do after `init_` has drawn them anew. Returns the network."""
        inner = [layer for branch in self.branches() for layer in branch[:-1]]
        last = [branch[-1] for branch in self.branches()]
        scale_weights_(self.remedy, len(self.blocks), last, inner, self.layers_per_branch, self.output)
        return self


def residual(
    blocks: int,
    width: int,
    activation: str | Activation = "relu",
    scheme: str | Scheme = "he_normal",
    *,
    layers_per_branch: int = 2,
    remedy: str | BranchRemedy = "none",
    n_in: int = 64,
    n_out: int = 10,
    scale: float = 1.0,
    bias_std: float = 0.0,
    dtype: str | torch.dtype = "float32",
    gain: float | None = None,
    mode: str = "fan_in",
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Residual:
    """An initialized residual multilayer perceptron: `blocks` branches of `layers_per_branch` layers on a stream of `width` units.

    `initviz.probe` sees the stream itself: the pre-activation of a branch's last layer is what the next activation gets, x_{l+1}.

    Args:
        blocks, width: whole numbers of at least 1.
        activation, scheme, n_in, n_out, scale, bias_std, dtype, gain, mode, seed, device: as for `mlp`.
        layers_per_branch: a whole number of at least 1; Fixup takes 2.
        remedy: a name in BRANCH_REMEDIES or a BranchRemedy: what keeps the stream in scale. It is applied to the weights once drawn; after
            another `init_`, call the network's `rescale_()`.
    Raises:
        TypeError, ValueError: an argument that is not as above; a remedy made for a transformer's normalization.
    """
    blocks, width = whole_number("blocks", blocks, most=DEEPEST), whole_number("width", width)
    m, cure = whole_number("layers_per_branch", layers_per_branch), get_branch_remedy(remedy)
    if cure.needs_post_norm:
        raise ValueError(
            f"remedy: {cure.name!r} is for a normalization behind each sum: iv.transformer(norm='post') has one"
        )
    if m < 2 and cure.inner(4, 2) != 1:
        raise ValueError(
            f"layers_per_branch: got {m}; {cure.name!r} takes at least 2, as it treats the last one by itself"
        )
    phi = get_activation(activation)
    place: dict = {"dtype": precision(dtype), "device": pick_device(device)}
    first = Linear(whole_number("n_in", n_in), width, **place)
    output = Linear(width, whole_number("n_out", n_out), **place)
    bodies = [_branch(width, phi, m, cure.scalar_biases, place) for _ in range(blocks)]
    net = Residual(first, [Shortcut(body, cure, blocks, place=place) for body in bodies], phi, output, cure, m)
    draw: dict = {"seed": seed, "gain": gain, "scale": scale, "bias_std": bias_std, "mode": mode}
    init_(net, scheme, activation=phi, **draw)
    return net.rescale_()


def _branch(width: int, phi: Activation, m: int, scalar_biases: bool, place: dict) -> nn.Sequential:
    """phi, W_1, phi, W_2, ...: with Fixup's scalars a bias before each of them."""
    parts: list[nn.Module] = []
    for _ in range(m):
        for part in (ActivationModule(phi), Linear(width, width, **place)):
            parts += [ScalarBias(**place), part] if scalar_biases else [part]
    return nn.Sequential(*parts)
