"""How cost grows with depth and width: the bare pass, a probe of it, and a whole update from settings to PNG bytes."""

from __future__ import annotations

import initviz as iv
from benchmarks.common import (
    ACTIVATION,
    BATCH,
    DEPTH,
    SCHEME,
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
from initviz.experiments import _measure
from initviz.models import NetworkCache
from initviz.plots import flow_figure, packed

DEPTHS, WIDTHS = (10, 50, 200, 1000), (64, 256, 1024)
LIMIT = 20
"""How many times depth 50 depth 1000 may cost."""


def ways(depth: int, width: int) -> dict:
    """The three, each on a network of this size."""
    net, x, y = network(depth, width)
    settings = iv.experiments.Settings(depth=depth, width=width, activation=ACTIVATION, scheme=SCHEME, batch=BATCH)
    _measure._cache, scale = NetworkCache(megabytes=1000), [1.0]

    def update() -> None:
        scale[0] *= 1.001
        measured = iv.measure(settings, quantities=SHOWN, scale=scale[0])
        packed(flow_figure(measured.report, measured.prediction))

    return {"bare": lambda: bare(net, x, y), "probe": lambda: iv.probe(net, x, y, quantities=SHOWN), "update": update}


def table(title: str, sizes: list[tuple[int, int]], label: str, repeats: int, limit: float | None = None) -> Table:
    columns: dict[str, dict[str, list[float]]] = {}
    for way in ("bare", "probe", "update"):
        columns[way] = interleaved({str(size): ways(*size)[way] for size in sizes}, repeats, warm_up=1)
    rows = []
    base = str((DEPTH, WIDTH))
    for size in sizes:
        name = str(size)
        row = [size[0] if label == "depth" else size[1]]
        for times in columns.values():
            ratio = f"({median_ratio(times, name, base):.2f}x)"
            row.append(f"{median(times[name]):.0f} {ratio}")
        if limit:
            last = size == sizes[-1]
            worst = max(median_ratio(columns[way], name, base) for way in ("probe", "update"))
            row += [f"<= {limit}x" if last else "-", verdict(worst, limit) if last else "-"]
        rows.append(tuple(row))
    heads = (label, "bare ms", "probe ms", "update ms", *(("target", "") if limit else ()))
    return Table(title, heads, tuple(rows))


def tables(quick: bool = False) -> list[Table]:
    repeats = 2 if quick else 9
    return [
        table(
            f"Growth with depth (width {WIDTH}, batch {BATCH}; of depth {DEPTH})",
            [(depth, WIDTH) for depth in DEPTHS],
            "depth",
            repeats,
            LIMIT,
        ),
        table(
            f"Growth with width (depth {DEPTH}, batch {BATCH}; of width {WIDTH})",
            [(DEPTH, width) for width in WIDTHS],
            "width",
            repeats,
        ),
    ]


if __name__ == "__main__":
    run_alone(tables)
