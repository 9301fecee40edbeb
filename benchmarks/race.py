"""A race as one computation (torch.func.vmap over racers and seeds) against its plain loop, one network after the other.

`initviz.training` chooses by what is printed here: one computation as long as no weight matrix is larger than 128 x 128.
"""

from __future__ import annotations

from benchmarks.common import Table, interleaved, median, median_ratio, run_alone
from initviz.datasets import digits
from initviz.training import Race

RACERS = {"he": "he_normal", "xavier": "xavier_normal", "small": "small_normal", "large": {"scale": 1.25}}
SEEDS = 5
NETWORKS = [(5, 32), (10, 64), (30, 64), (10, 128), (10, 256)]
STEPS = 10


def tables(quick: bool = False) -> list[Table]:
    rows = [_row(depth, width, quick) for depth, width in (NETWORKS[:2] if quick else NETWORKS)]
    title = f"Race: a step of {len(RACERS)} racers from {SEEDS} seeds each (digits, batch 128, ReLU, SGD)"
    return [Table(title, ("depth x width", "plain loop, ms", "one computation, ms", "loop / one"), tuple(rows))]


def _row(depth: int, width: int, quick: bool) -> tuple[str, ...]:
    def steps_of(vectorize: bool):
        race = Race(RACERS, digits(), depth=depth, width=width, seeds=SEEDS, steps=10**6, lr=1e-3, vectorize=vectorize)
        return lambda: [race.advance() for _ in range(STEPS)]  # as many as there are from one record to the next

    times = interleaved({"loop": steps_of(False), "one": steps_of(True)}, repeats=2 if quick else 5, warm_up=1)
    milliseconds = [f"{median(times[way]) / STEPS:.0f}" for way in ("loop", "one")]
    return (f"{depth} x {width}", *milliseconds, f"{median_ratio(times, 'loop', 'one'):.2f}x")


if __name__ == "__main__":
    run_alone(tables)
