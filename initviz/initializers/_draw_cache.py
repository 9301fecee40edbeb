"""Draws of `unit_noise`, kept for the next network: most often it asks for the same ones at another scale or depth."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from cachetools import LRUCache
from torch import Tensor

from initviz.initializers._draws import unit_noise

Key = tuple[tuple[int, ...], str, int, int]


class DrawCache(threading.local):
    """`unit_noise` with a memory, one for each thread. What it gives is to be read at once: the next `draw_ahead` may write into it.

    Args:
        megabytes: the most that its draws take.
    """

    def __init__(self, megabytes: float = 40) -> None:
        self._draws: LRUCache = LRUCache(megabytes * 1e6, getsizeof=lambda draw: draw.nbytes)

    def __call__(self, shape: tuple[int, ...], distribution: str, seed: int, index: int) -> Tensor:
        key = shape, distribution, seed, index
        draw = self._draws.get(key)
        if draw is None:
            draw = unit_noise(*key)
            if draw.nbytes <= self._draws.maxsize:
                self._draws[key] = draw
        return draw

    def draw_ahead(self, shapes: Sequence[tuple[int, ...]], distribution: str, seed: int) -> None:
        """Make the draws that weights of these shapes will ask for, if all have room: on as many threads as torch uses, and in the
        memory of those that make room. Of a normal draw torch makes each on one thread, and new memory takes half as long again."""
        draws = self._draws
        if distribution not in ("normal", "uniform") or 4 * sum(map(math.prod, shapes)) > draws.maxsize:
            return
        keys = [(shape, distribution, seed, index) for index, shape in enumerate(shapes)]
        missing = [key for key in keys if draws.get(key) is None]
        if not missing:
            return
        size, spare = 4 * sum(math.prod(key[0]) for key in missing), defaultdict(list)
        while draws.currsize + size > draws.maxsize:
            (shape, *_), draw = draws.popitem()
            spare[shape].append(draw)
        jobs = [(key, spare[key[0]].pop() if spare[key[0]] else None) for key in missing]
        threads = torch.get_num_threads()
        with ThreadPoolExecutor(threads) as pool:
            parts = pool.map(_draw_all, [jobs[start::threads] for start in range(threads)])
            for start, part in enumerate(parts):
                draws.update(zip(missing[start::threads], part))

    def one_by_one(self, shapes: Sequence[tuple[int, ...]], distribution: str, seed: int) -> Iterator[None]:
        """The same draws, one at each step, where these and as many others have room: what the last network asked for stays."""
        if distribution in ("normal", "uniform") and 8 * sum(map(math.prod, shapes)) <= self._draws.maxsize:
            for index, shape in enumerate(shapes):
                self(shape, distribution, seed, index)
                yield


def _draw_all(jobs: list[tuple[Key, Tensor | None]]) -> list[Tensor]:
    return [unit_noise(*key, out) for key, out in jobs]
