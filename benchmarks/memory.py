"""Peak memory of a probe against that of the bare pass: the rise of the resident set, each in a process of its own (Linux)."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.common import BATCH, DEPTH, SHOWN, WIDTH, Table, bare, network, run_alone, verdict

LIMIT = 1.05
WAYS = ("bare forward and backward", "probe: activations and gradients", "probe: all six quantities")
STATUS, PEAK_RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def megabytes(field: str) -> float:
    """VmRSS (resident now) or VmHWM (its peak) of this process."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def peak(way: str) -> float:
    """Megabytes by which one pass raises the peak over what was resident before it, with network and batch in place."""
    import initviz as iv

    do = {
        WAYS[0]: bare,
        WAYS[1]: lambda *args: iv.probe(*args, quantities=SHOWN),
        WAYS[2]: lambda *args: iv.probe(*args),
    }[way]
    for size in ((2, 16), (2, WIDTH)):  # what is loaded and set up once is not the pass's
        do(*network(*size))
    net, x, y = network()
    PEAK_RESET.write_text("5")
    before = megabytes("VmRSS")
    do(net, x, y)
    return megabytes("VmHWM") - before


def tables(quick: bool = False) -> list[Table]:
    if not PEAK_RESET.exists():
        return [Table("Peak memory: measured on Linux only", ("way",), ())]
    peaks: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(1 if quick else 5):
        for way in WAYS:
            command = [sys.executable, "-c", f"from benchmarks.memory import peak; print(peak({way!r}))"]
            done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
            peaks[way].append(float(done.stdout))
    medians = {way: statistics.median(values) for way, values in peaks.items()}
    rows = []
    for way in WAYS:
        ratio = medians[way] / medians[WAYS[0]]
        target = (f"<= {LIMIT}x", verdict(ratio, LIMIT)) if way != WAYS[0] else ("-", "-")
        rows.append((way, f"{medians[way]:.1f}", f"{ratio:.2f}x", *target))
    title = f"Peak memory of one pass (depth {DEPTH}, width {WIDTH}, batch {BATCH})"
    return [Table(title, ("way", "MB", "of bare", "target", ""), tuple(rows))]


if __name__ == "__main__":
    run_alone(tables)
