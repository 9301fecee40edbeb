"""Random weights of mean 0 and variance 1: what a scheme multiplies by its standard deviation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from initviz._core.arguments import got

Draw = Callable[[tuple[int, ...], str, int, int], Tensor]
"""What `unit_noise` is, and a `DrawCache` before it: (shape, distribution, seed, index) -> a draw of mean 0 and variance 1."""

DISTRIBUTIONS = ("normal", "uniform", "truncated_normal", "orthogonal", "delta_orthogonal")
CUT = 2.0
"""Where a truncated normal ends, in standard deviations of the normal that is cut."""
CUT_STD = math.sqrt(1 - CUT * math.sqrt(2 / math.pi) * math.exp(-(CUT**2) / 2) / math.erf(CUT / math.sqrt(2)))
"""The standard deviation that the cut leaves: 0.8796."""


def combined_seed(*numbers: int) -> int:
    """A seed that torch takes, made of several numbers: near ones give unrelated seeds."""
    if min(numbers) < 0:
        raise ValueError(f"seed: got {min(numbers)}; it takes whole numbers of at least 0")
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def unit_noise(
    shape: tuple[int, ...],
    distribution: str,
    seed: int,
    index: int,
    out: Tensor | None = None,
    *,
    taps: Sequence[int] = (),
) -> Tensor:
    """A float32 CPU tensor of mean 0 and variance 1, the same for the same arguments and whatever device it is meant for.

    Another kind of processor may round otherwise: without AVX2 (ATEN_CPU_CAPABILITY=default) uniform draws moved by up to 1e-7, normal
    ones by 2e-6, orthogonal ones by 5e-6.

    distribution is one of

        "normal", "uniform"
        "truncated_normal"  a normal draw, each value beyond 2 standard deviations replaced, all divided by what that leaves, 0.8796
        "orthogonal"        orthonormal rows or columns (whichever are fewer) of the rows x columns matrix that the shape is when all
                            axes but the first are one, times sqrt(max(rows, columns))
        "delta_orthogonal"  zero but at the kernel's centre (of an even side the earlier of the two middle places, where torch's "same"
                            padding keeps an image in its place). There, an out x in matrix with orthonormal rows or columns, times
                            sqrt(max(out, in) x kernel area): the variance is 1 over the whole kernel. For a matrix "orthogonal".

    `out`, a float32 CPU tensor of this shape, is overwritten and may be what is returned. `taps`, a number for each axis of the
    kernel, puts the matrix of "delta_orthogonal" at so many places around its centre, where a transposed convolution of that stride
    would leave gaps.
    """
    generator = torch.Generator().manual_seed(combined_seed(seed, index))
    draw = torch.empty(shape, device="cpu") if out is None else out
    if distribution == "normal":
        return draw.normal_(generator=generator)
    if distribution == "uniform":
        return draw.uniform_(-math.sqrt(3), math.sqrt(3), generator=generator)
    if distribution == "truncated_normal":
        return nn.init.trunc_normal_(draw, a=-CUT, b=CUT, generator=generator) / CUT_STD
    if distribution == "delta_orthogonal" and len(shape) > 2:
        kernel = shape[2:]
        lengths = [min(side, tap) for side, tap in zip(kernel, taps or [1] * len(kernel))]
        matrix = torch.empty(shape[:2], device="cpu")
        variance = max(shape[:2]) * math.prod(kernel) / math.prod(lengths)
        nn.init.orthogonal_(matrix, gain=math.sqrt(variance), generator=generator)
        centre = tuple(slice((k - n) // 2, (k - n) // 2 + n) for k, n in zip(kernel, lengths))
        draw.zero_().movedim((0, 1), (-2, -1))[centre] = matrix
        return draw
    if distribution not in ("orthogonal", "delta_orthogonal"):
        raise ValueError(f"distribution: got {got(distribution)}; it takes one of {', '.join(DISTRIBUTIONS)}")
    rows, columns = shape[0], math.prod(shape[1:])
    return nn.init.orthogonal_(draw, gain=math.sqrt(max(rows, columns)), generator=generator)
