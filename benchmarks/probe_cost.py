"""A probe of all layers against the bare forward and backward pass of the same network and batch."""

from __future__ import annotations

import initviz as iv
from benchmarks.common import (
    BATCH,
    DEPTH,
    SHOWN,
    WIDTH,
    Table,
    bare,
    interleaved,
    median,
    median_ratio,
    network,
    run_alone,
    verdict,
)

LIMIT = 1.5


def tables(quick: bool = False) -> list[Table]:
    net, x, y = network()
    ways = {
        "bare forward and backward": lambda: bare(net, x, y),
        "probe: activations and gradients": lambda: iv.probe(net, x, y, quantities=SHOWN),
        "probe: all six quantities": lambda: iv.probe(net, x, y),
    }
    times = interleaved(ways, repeats=5 if quick else 41)
    base = "bare forward and backward"
    rows = []
    for name in ways:
        ratio = median_ratio(times, name, base)
        target = f"<= {LIMIT:.2f}x" if "gradients" in name else "-"
        rows.append(
            (
                name,
                f"{median(times[name]):.0f}",
                f"{ratio:.2f}x",
                target,
                verdict(ratio, LIMIT) if target != "-" else "-",
            )
        )
    title = f"Probe: statistics and histograms of all layers (depth {DEPTH}, width {WIDTH}, batch {BATCH})"
    return [Table(title, ("way", "ms", "of bare", "target", ""), tuple(rows))]


if __name__ == "__main__":
    run_alone(tables)
