"""Numbers, layers and names as a sentence says them."""

from __future__ import annotations

import numpy as np


def number(value: float) -> str:
    return "exactly 0" if value == 0 else f"{value:.2g}"


def where(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) + 1 for i in np.flatnonzero(mask))


def count(number: int) -> str:
    return "1 layer" if number == 1 else f"{number} layers"


def spans(numbers: tuple[int, ...]) -> str:
    """ "layer 3", "layers 1 to 9", "layers 1 to 4 and 7"."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    parts = [f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    return f"layer{'s' * (len(numbers) > 1)} {names_of(tuple(parts))}"


def percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else f"{share:.2g}" if share == 0 else f"{share:.2%}"


def names_of(names: tuple[str, ...]) -> str:
    """ "a.weight and a.bias", "a.weight, a.bias and 4 more"."""
    if len(names) <= 3:
        return " and ".join(", ".join(names).rsplit(", ", 1))
    return f"{', '.join(names[:2])} and {len(names) - 2} more"
