"""What 1,000 updates of the explorer leave behind: resident memory, hooks, figures, threads.

It is measured in a process of its own: how much freed memory the allocator keeps, to give it out again, depends on what ran before.
What can be handed back is handed back before each look (on Linux).
"""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import nn

from benchmarks.common import DEPTH, WIDTH, Table, run_alone, verdict
from benchmarks.update import explorer, moves

LIMIT = 20
"""Megabytes."""
WARM_UP = 60
"""Updates before the first look: the explorer's stores (40 MB of draws, 24 backgrounds) are then as full as they get."""


def hooks() -> int:
    """Hooks on every module and parameter in the process."""
    found = 0
    for thing in gc.get_objects():
        if issubclass(type(thing), nn.Module):
            found += len(thing._forward_hooks) + len(thing._forward_pre_hooks) + len(thing._backward_hooks)
            found += sum(len(p._post_accumulate_grad_hooks or ()) for p in thing._parameters.values() if p is not None)
    return found


def counts() -> dict[str, int]:
    gc.collect()
    figures = sum(issubclass(type(thing), Figure) for thing in gc.get_objects())
    return {"hooks": hooks(), "figures": figures + len(plt.get_fignums()), "threads": threading.active_count()}


def resident() -> float:
    """Megabytes of this process."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return psutil.Process().memory_info().rss / 2**20


def leftovers(updates: int) -> tuple[float, dict[str, int]]:
    """(megabytes by which the process grew, what there is more of) over so many updates that move every control in turn."""
    app = explorer()
    values = list(moves().values())
    for number in range(WARM_UP):
        app.set(**next(values[number % len(values)]))
    before, memory = counts(), resident()
    for number in range(updates):
        app.set(**next(values[number % len(values)]))
    return resident() - memory, {name: number - before[name] for name, number in counts().items()}


def tables(quick: bool = False) -> list[Table]:
    updates = 50 if quick else 1000
    command = [
        sys.executable,
        "-c",
        f"import json; from benchmarks.leaks import leftovers; print(json.dumps(leftovers({updates})))",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    grown, more = json.loads(done.stdout)
    rows = [("memory, MB", f"{grown:+.1f}", f"< {LIMIT}", verdict(grown, LIMIT))]
    rows += [(name, f"{number:+d}", "0", verdict(number, 0)) for name, number in more.items()]
    title = f"Left behind by {updates:,} updates of every control in turn (depth {DEPTH}, width {WIDTH})"
    return [Table(title, ("what", "more than before", "target", ""), tuple(rows))]


if __name__ == "__main__":
    run_alone(tables)
