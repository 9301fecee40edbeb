"""Residual branches: the one table of remedies that residual networks, transformers, the study and its picture read.

A residual network adds, block by block, what a branch F computes to a stream x that passes it by:

    x_{l+1} = skip x_l + alpha branch F_l(x_l)

Each remedy sets the constants `skip` and `branch`, the start of a multiplier `alpha` that trains, and factors on the weights within F. All
depend on the number of branches B alone (one a block in `residual`, two a block in a transformer).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from initviz._core.arguments import look_up


def _one(branches: int) -> float:
    return 1.0


@dataclass(frozen=True)
class BranchRemedy:
    """One way to keep a sum of many branches in scale.

    Attributes:
        name: the key in BRANCH_REMEDIES.
        label: the name for a menu.
        latex: the rule, as LaTeX mathematics without dollar signs.
        source: the paper, with its section or equation.
        skip, branch: B -> constant factors on the stream and on the branch.
        last: B -> factor on the weights of a branch's last layer.
        inner: (B, m) -> factor on the weights of the other layers of a branch of m layers. In an attention branch these are the values'
            weights alone: queries and keys set where a head looks, not how much comes out.
        output: factor on the network's output layer.
        alpha: start of the branch's trained multiplier, or None where it has none.
        scalar_biases: whether a trained number, 0 at the start, is added before each layer and each activation of a branch.
        needs_post_norm: whether it is made for a normalization behind each sum.
        notes: what to watch for.
    """

    name: str
    label: str
    latex: str
    source: str
    skip: Callable[[int], float] = _one
    branch: Callable[[int], float] = _one
    last: Callable[[int], float] = _one
    inner: Callable[[int, int], float] = lambda branches, layers: 1.0
    output: float = 1.0
    alpha: float | None = None
    scalar_biases: bool = False
    needs_post_norm: bool = False
    notes: str = ""


BRANCH_REMEDIES: dict[str, BranchRemedy] = {
    r.name: r
    for r in [
        BranchRemedy(
            "none", "Unscaled", r"x + F(x)", "He et al. 2016, Identity mappings, eq. 1",
            notes="Without normalization the stream doubles a block.",
        ),
        BranchRemedy(
            "branch_scale", "Branch over √B", r"x + \tfrac{1}{\sqrt{B}} F(x)", "Hanin & Rolnick 2018, residual networks; De & Smith 2020",
            branch=lambda b: b**-0.5, notes="The stream grows by (1 + 1/B)^B, at most e, whatever the depth.",
        ),
        BranchRemedy(
            "gpt2", "GPT-2: last layer over √B",
            r"W_{\mathrm{last}} \leftarrow \tfrac{1}{\sqrt{B}} W_{\mathrm{last}},\quad B = 2 n_\mathrm{layer}",
            "Radford et al. 2019, section 2.3", last=lambda b: b**-0.5,
            notes="At the start the same function as a scaled branch; its last layers train with a larger step relative to their size.",
        ),
        BranchRemedy(
            "zero_last", "Last layer zero", r"W_{\mathrm{last}} = 0",
            "Goyal et al. 2017, section 5.1 (gamma = 0 in a block's last batch normalization)",
            last=lambda b: 0.0, notes="In the first step only the last layers of the branches get a gradient.",
        ),
        BranchRemedy(
            "rezero", "ReZero", r"x + \alpha F(x),\quad \alpha = 0", "Bachlechner et al. 2020, eq. 1", alpha=0.0,
            notes="In the first step only the multipliers get a gradient.",
        ),
        BranchRemedy(
            "fixup", "Fixup",
            r"W_{\mathrm{inner}} \leftarrow B^{-\frac{1}{2m-2}} W_{\mathrm{inner}},\quad W_{\mathrm{last}} = W_{\mathrm{out}} = 0",
            "Zhang, Dauphin & Ma 2019, section 3", last=lambda b: 0.0, inner=lambda b, m: float(b) ** (-1 / (2 * m - 2)),
            output=0.0, alpha=1.0, scalar_biases=True, notes="Takes branches of m >= 2 layers. Made for networks without normalization.",
        ),
        BranchRemedy(
            "deepnorm", "DeepNorm", r"\mathrm{LN}(\alpha x + F(x)),\ \alpha = (2N)^{1/4},\quad W \leftarrow \beta W,\ \beta = (8N)^{-1/4}",
            "Wang et al. 2022, section 2 (N blocks of two branches)", skip=lambda b: b**0.25, last=lambda b: (4 * b) ** -0.25,
            inner=lambda b, m: (4 * b) ** -0.25, needs_post_norm=True, notes="A transformer's, behind every sum a layer normalization.",
        ),
    ]
}  # fmt: skip
"""Every remedy by name."""


def get_branch_remedy(name: str | BranchRemedy) -> BranchRemedy:
    """The remedy called `name`.

    Raises:
        TypeError: `name` is neither a string nor a BranchRemedy.
        ValueError: unknown name; the message lists the near ones.
    """
    return name if isinstance(name, BranchRemedy) else look_up("remedy", name, BRANCH_REMEDIES, {"unscaled": "none"})


class Shortcut(nn.Module):
    """One branch and the way past it: skip x + alpha branch body(x), with a normalization before the body, behind the sum, or none.

    Args:
        body: the branch F.
        remedy, branches: what sets the factors, and how many branches the network has.
        norm: a normalization, or None.
        post: whether `norm` stands behind the sum instead of before the body.
        place: dtype and device of alpha.
    """

    def __init__(
        self,
        body: nn.Module,
        remedy: BranchRemedy,
        branches: int,
        norm: nn.Module | None = None,
        post: bool = False,
        place: dict | None = None,
    ) -> None:
        super().__init__()
        self.body, self.norm, self.post = body, norm, post
        self.skip, self.branch = remedy.skip(branches), remedy.branch(branches)
        self.alpha = None if remedy.alpha is None else nn.Parameter(torch.full((1,), remedy.alpha, **(place or {})))

    @property
    def strength(self) -> float:
        """(alpha branch)^2: what the second moment of the body's output is multiplied by."""
        return (self.branch * (1.0 if self.alpha is None else float(self.alpha.detach()))) ** 2

    def forward(self, x: Tensor) -> Tensor:
        f = self.body(x if self.norm is None or self.post else self.norm(x))
        f = f if self.branch == 1 else self.branch * f
        f = f if self.alpha is None else self.alpha * f
        total = (x if self.skip == 1 else self.skip * x) + f
        return self.norm(total) if self.norm is not None and self.post else total


@torch.no_grad()
def scale_weights_(
    remedy: BranchRemedy,
    branches: int,
    last: Iterable[nn.Linear],
    inner: Iterable[nn.Linear],
    m: int,
    output: nn.Linear,
) -> None:
    """Multiply freshly drawn weights by the remedy's factors, in place.

    Args:
        remedy, branches: see `BranchRemedy`.
        last, inner: the branches' last layers, and the others that count.
        m: layers in a branch.
        output: the network's output layer.
    """
    for layer in last:
        layer.weight.mul_(remedy.last(branches))
    for layer in inner:
        layer.weight.mul_(remedy.inner(branches, m) if m > 1 else 1.0)
    output.weight.mul_(remedy.output)


def stream_limit(branches: int) -> float:
    """(1 + 1/B)^B: by how much B branches over sqrt(B) raise a second moment that each alone would double. Below e."""
    return math.exp(branches * math.log1p(1 / branches))
