"""How the stream of a residual network or a transformer grows from block to block, and its gradient on the way back: measured over
several draws, beside the theory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from initviz._core.arguments import got, seed_numbers
from initviz._core.batches import batch_size, first_line, shape_words
from initviz._core.devices import in_float64
from initviz._core.statistics import mean_square
from initviz.experiments._growth import Growth
from initviz.initializers import unit_noise
from initviz.models import Residual, Transformer
from initviz.theory import predict_stream


@dataclass(frozen=True)
class StreamGrowth(Growth):
    """Second moments of the stream x_0 ... x_N of N blocks in each of several draws. Its slopes are a block: 1 doubles it, 0 keeps it.

    Attributes:
        forward: shape (seeds, N + 1), E[x_l^2] over that of x_0.
        backward: shape (seeds, N + 1), E[(dL/dx_l)^2] over that of x_N: the way back ends at 0.
        forward_theory, backward_theory: shape (N + 1,), the same by mean-field theory (`predict_stream`), mean over seeds.
    """

    forward_theory: np.ndarray
    backward_theory: np.ndarray

    @property
    def blocks(self) -> int:
        """N."""
        return self.forward.shape[1] - 1


def stream_growth(
    build: Callable[[int], Residual | Transformer], x: Tensor, seeds: int | Sequence[int] = 5
) -> StreamGrowth:
    """Measure the stream of the network of each seed, forward and backward.

    The gradient is that of a loss which sees the last stream as the network's own output layer does (a transformer's: its mean over
    places, or the last place) and pulls at each of its units at random. So an output layer of zeros is no obstacle.

    Args:
        build: seed -> what `iv.residual` or `iv.transformer` gives; all with as many blocks.
        x: the batch that the networks take.
        seeds: how many draws, from seed 0 on, or which seeds.
    Returns:
        A `StreamGrowth`: second moments by block, forward and backward, a row a seed, measured and predicted.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    batch_size(x)
    if not isinstance(x, Tensor) or not x.isfinite().all():
        raise ValueError(f"x: got {type(x).__name__}; it takes a tensor of finite numbers")
    rows = []
    for seed in seed_numbers(seeds):
        net = build(seed) if callable(build) else build
        if not isinstance(net, Residual | Transformer):
            raise TypeError(
                f"build: gave {got(net)}; it takes a function seed -> what iv.residual or iv.transformer returns"
            )
        rows.append(_one(net, x, seed))
        if len(rows[-1][0]) != len(rows[0][0]):
            raise ValueError(
                f"build: gave {len(rows[0][0]) - 1} blocks, then {len(rows[-1][0]) - 1}; it takes one number"
            )
    forward, backward, forward_theory, backward_theory = np.moveaxis(np.array(rows), 1, 0)
    return StreamGrowth(forward, backward, forward_theory.mean(axis=0), backward_theory.mean(axis=0))


def _one(net: Residual | Transformer, x: Tensor, seed: int) -> tuple[np.ndarray, ...]:
    with torch.inference_mode(False), torch.enable_grad():
        try:
            streams = list(net.streams(x.to(net.output.weight.device)))
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise ValueError(f"x: {shape_words(x)} does not fit the network: {first_line(error)}") from error
        if not streams[0].requires_grad:
            raise ValueError("build: gave a network with frozen weights, through which no gradient is taken")
        seen = net.pool(streams[-1])
        pull = unit_noise(tuple(seen.shape), "normal", seed, 0).to(seen)
        gradients = torch.autograd.grad(seen, streams, pull)
    forward = np.array([mean_square(stream) for stream in streams])
    backward = np.array([mean_square(gradient) for gradient in gradients])
    start = in_float64(streams[0]).square().mean(dim=-1).flatten().cpu().numpy()
    forward_theory, backward_theory = predict_stream(net, start)
    with np.errstate(invalid="ignore", divide="ignore"):
        return forward / forward[0], backward / backward[-1], forward_theory / forward_theory[0], backward_theory
