"""Numbers, layers and names as a sentence says them."""

from __future__ import annotations

import numpy as np


def number(value: float) -> str:
    return "exactly 0" if value == 0 else f"{value:.2g}"


def where(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) + 1 for i in np.flatnonzero(mask))


def count(number: int) -> str:
    return "1 layer" if number == 1 else f"{number} layers"


def percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else f"{share:.2g}" if share == 0 else f"{share:.2%}"


def names_of(names: tuple[str, ...]) -> str:
    """ "a.weight and a.bias", "a.weight, a.bias and 4 more"."""
    if len(names) <= 3:
        return " and ".join(", ".join(names).rsplit(", ", 1))
    return f"{', '.join(names[:2])} and {len(names) - 2} more"
