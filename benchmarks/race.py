"""A race's seeds as one computation (torch.func.vmap) against one after the other: milliseconds a step, and their ratio.

    python benchmarks/race.py [--seeds 5]

Both ways take turns in one run, so that a busy machine slows both; the fastest of the rounds counts. They record alike every
10 steps. `initviz.racing` chooses by what is printed here: one computation as long as no weight matrix is larger than 256 x 256.
"""

from __future__ import annotations

import argparse
import time

import torch

import initviz as iv
from initviz.racing import Race

NETWORKS = [(5, 32), (10, 64), (30, 64), (10, 128), (30, 128), (10, 256), (10, 512)]
ROUNDS, STEPS = 8, 10


def milliseconds(depth: int, width: int, seeds: int) -> tuple[float, float]:
    """Wall-clock time of a step of all seeds: (one after the other, as one computation)."""
    races = [
        Race(
            {"he": "he_normal"}, iv.digits(), depth=depth, width=width, seeds=seeds, steps=10**6, lr=1e-3, vectorize=way
        )
        for way in (False, True)
    ]
    fastest = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for number, race in enumerate(races):
            start = time.perf_counter()
            for _ in range(STEPS):
                race.advance()
            fastest[number] = min(fastest[number], (time.perf_counter() - start) / STEPS * 1e3)
    return fastest[0], fastest[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="networks that are trained together (default 5)")
    seeds = parser.parse_args().seeds
    print(f"{seeds} seeds, batch 128, digits, ReLU, SGD; torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'depth x width':>14} {'loop, ms':>9} {'vmap, ms':>9} {'loop / vmap':>12}")
    for depth, width in NETWORKS:
        loop, stacked = milliseconds(depth, width, seeds)
        print(f"{f'{depth} x {width}':>14} {loop:9.1f} {stacked:9.1f} {loop / stacked:12.2f}", flush=True)


if __name__ == "__main__":
    main()
