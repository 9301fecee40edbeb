"""Networks one after another, each of the layers and the draws of the one before: what a slider asks for."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeVar, cast

import torch
from torch import nn

from initviz._core.parameters import Weight
from initviz.initializers import Activation, DrawCache, Scheme, draw_weight_
from initviz.models._plain import MLP, NORMALIZATIONS, Linear

Module = TypeVar("Module", bound=nn.Module)


class NetworkCache(threading.local):
    """Builds networks, one in use at a time: the next one takes over its layers. One cache for each thread.

    At depth 50 and width 256 new memory and new draws cost 30 ms, most of the time that a bare pass takes.

    Args:
        megabytes: the most that its draws take, and the most that its layers take; what goes beyond is made anew.
    """

    def __init__(self, megabytes: float = 60) -> None:
        self._draws = DrawCache(megabytes)
        self._room = self._bytes = megabytes * 1e6
        self._layers: dict[tuple, nn.Module] = {}
        self._kind: tuple = ()

    def mlp(
        self,
        sizes: Sequence[int],
        activation: Activation,
        scheme: Scheme,
        *,
        seed: int,
        device: torch.device,
        scale: float = 1.0,
        bias_std: float = 0.0,
        normalization: str = "none",
        skip: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> MLP:
        """What `initviz.mlp` builds. It trusts its arguments, which are that one's, but for sizes: n_in, each hidden width, n_out."""
        norm, place = NORMALIZATIONS[normalization], {"dtype": dtype, "device": device}
        net = MLP(
            [self._layer(Linear, number, *pair, **place) for number, pair in enumerate(pairwise(sizes[:-1]))],
            [self._layer(norm, number, n, **place) if norm else nn.Identity() for number, n in enumerate(sizes[1:-1])],
            activation,
            self._layer(Linear, -1, *sizes[-2:], **place),
            skip,
        )
        layers, gain = [*net.hidden, net.output], scheme.gain(activation) * scale
        self._draws.draw_ahead([tuple(layer.weight.shape) for layer in layers], scheme.distribution, seed)
        for index, layer in enumerate(layers):
            weight = Weight(layer, layer.weight, [layer.bias])
            draw_weight_(weight, index, scheme, gain, bias_std, "fan_in", seed, self._draws)
        return net

    def draw_ahead(self, sizes: Sequence[int], scheme: Scheme, seed: int) -> Iterator[None]:
        """Draw what `mlp` will ask for, a weight at each step. All draws together take no more room than ever."""
        return self._draws.one_by_one([(n, m) for m, n in pairwise(sizes)], scheme.distribution, seed)

    def _layer(self, make: type[Module], number: int, *sizes: int, **place) -> Module:
        """Layer `number` of this kind, size and place; layers of another width or type are let go."""
        kind = sizes[-1] if number >= 0 else self._kind[0], *place.values()
        if kind != self._kind:
            self._layers.clear()
            self._kind, self._room = kind, self._bytes
        key = make, number, *sizes
        if key in self._layers:
            return cast(Module, self._layers[key])
        layer = make(*sizes, **place)
        self._room -= sum(parameter.nbytes for parameter in layer.parameters())
        if self._room >= 0:
            self._layers[key] = layer
        return layer
