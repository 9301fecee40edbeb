"""Does the drawn band hold what is measured? Width 1024, 50 layers, every activation, forward and backward, over several draws.

A band is meant for 95 draws in 100. The layers of one draw stray together, so the share of all (layer, draw) points within the band
is an average over few independent draws; the target is 90 % of them, for each activation.
"""

from __future__ import annotations

import numpy as np

import initviz as iv
from benchmarks.common import Table, run_alone, verdict

DEPTH, WIDTH, BATCH = 50, 1024, 64
QUANTITIES = ("preactivation", "activation", "preactivation_gradient", "activation_gradient")
TARGET = 0.9
LINE = 1e-3
"""Where the band is but a line, such as where the way back begins, so much of the value is still on it."""


def held(activation: str, scheme: str, seeds: int) -> tuple[list[float], float]:
    """For each of QUANTITIES the share of points within the band, and the least that one draw has over all of them."""
    shares = []
    for seed in range(seeds):
        m = iv.measure(depth=DEPTH, width=WIDTH, activation=activation, scheme=scheme, batch=BATCH, seed=seed,
                       quantities=QUANTITIES)  # fmt: skip
        row = []
        for quantity in QUANTITIES:
            band, rms = getattr(m.prediction, quantity), m.report.values(quantity, "rms")
            known = np.isfinite(band.mid) & np.isfinite(rms)
            row.append(((rms >= band.low * (1 - LINE)) & (rms <= band.high * (1 + LINE)))[known].mean())
        shares.append(row)
    return [float(share) for share in np.mean(shares, axis=0)], float(np.mean(shares, axis=1).min())


def tables(quick: bool = False) -> list[Table]:
    seeds = 2 if quick else 8
    rows = []
    for name, activation in iv.ACTIVATIONS.items():
        for scheme in dict.fromkeys([activation.best_scheme, *(() if quick else ("pytorch_default", "orthogonal"))]):
            shares, least = held(name, scheme, seeds)
            row = (name, scheme, *(f"{share:.0%}" for share in shares), f"{least:.0%}")
            rows.append((*row, verdict(min(shares), TARGET, at_least=True)))
    words = ("h", "a", "dL/dh", "dL/da")
    title = f"Points within the theory's 95 % band (depth {DEPTH}, width {WIDTH}, {seeds} draws; target {TARGET:.0%} of each quantity)"
    return [Table(title, ("activation", "scheme", *words, "least draw", ""), tuple(rows))]


if __name__ == "__main__":
    run_alone(tables)
