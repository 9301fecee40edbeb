"""Arguments of public functions: names looked up in a table, whole numbers, real ones, lists and switches, each with one clear error."""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

T = TypeVar("T")

LARGEST = 2**63 - 1
"""The largest whole number that torch and numpy take."""
DEEPEST = 100_000
"""More layers than this take too long to build. In an explorer it is also the widest layer and the largest batch."""
FASTEST = 1e30
"""A learning rate that float32 still takes."""
MOST_SEEDS = 10_000
"""More seeds than this were meant as one seed."""


def got(value: object) -> str:
    """ "int 3": its type, and its value where that is short."""
    try:
        words = repr(value)
    except Exception:  # an int of more digits than Python prints
        words = ""
    short = words if len(words) <= 60 and words.isprintable() else ""
    return f"{type(value).__name__} {short}".rstrip()


def look_up(argument: str, name: object, table: Mapping[str, T], aliases: Mapping[str, str] | None = None) -> T:
    """The entry of `table` called `name` (or by one of its `aliases`).

    Raises:
        TypeError: `name` is not a string.
        ValueError: no such entry; the message lists the near ones, or all of them when none is near.
    """
    if not isinstance(name, str):
        raise TypeError(f"{argument}: got {got(name)}; it takes a name, one of {', '.join(table)}")
    aliases = aliases or {}
    key = name if name in table else aliases.get(name, "")
    if key in table:
        return table[key]
    near = difflib.get_close_matches(name.lower(), [*table, *aliases], n=4, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it takes one of {', '.join(table)}"
    raise ValueError(f"{argument}: {name[:60]!r} is unknown; {hint}")


def whole_number(argument: str, value: object, least: int = 1, most: int = LARGEST) -> int:
    """`value` as an int from `least` to `most` (numpy's integers will do; bool and float will not).

    Raises:
        TypeError: not a whole number.
        ValueError: below `least` or above `most`.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):  # a tensor of several numbers, one without values
        raise TypeError(f"{argument}: got {got(value)}; it takes a whole number of at least {least}") from None
    if not least <= number <= most:
        size = f"{number}" if abs(number) <= LARGEST else f"about {'-' * (number < 0)}2^{number.bit_length()}"
        end = "" if number < least else f" and at most {most:,}" if most < LARGEST else " and below 2^63"
        raise ValueError(f"{argument}: got {size}; it takes a whole number of at least {least}{end}")
    return number


def switch(argument: str, value: object) -> bool:
    """`value` as True or False (0 and 1 will do, words will not).

    Raises:
        TypeError: neither of the two.
    """
    if isinstance(value, bool | int | np.bool_ | np.integer) and value in (0, 1):
        return bool(value)
    raise TypeError(f"{argument}: got {got(value)}; it takes True or False")


def file_path(argument: str, value: object) -> Path:
    """`value`, a string or what has a path, as a Path.

    Raises:
        TypeError: it is none.
    """
    try:
        return Path(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{argument}: got {got(value)}; it takes the path of a file") from None


def several(argument: str, values: object) -> tuple:
    """`values` as a tuple; a string alone is one of them.

    Raises:
        TypeError: not a list or the like.
    """
    if isinstance(values, str):
        return (values,)
    try:
        return tuple(values)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{argument}: got {got(values)}; it takes a list") from None


def at_least_one(argument: str, values: object) -> tuple:
    """`several`, and not none.

    Raises:
        TypeError, ValueError: not a list or the like; an empty one.
    """
    found = several(argument, values)
    if not found:
        raise ValueError(f"{argument}: got none; it takes at least one")
    return found


def seed_numbers(seeds: object) -> tuple[int, ...]:
    """Which seeds: the first so many if it is a whole number, else those in the list.

    Raises:
        TypeError, ValueError: neither of the two, none, more than MOST_SEEDS, or a negative one; the message names `seeds`.
    """
    how_many = isinstance(seeds, str) or not isinstance(seeds, Iterable) or getattr(seeds, "ndim", 1) == 0
    if how_many:
        which: Sequence[object] = range(whole_number("seeds", seeds))
    else:
        which = seeds if isinstance(seeds, range) else several("seeds", seeds)  # a long range is not made a tuple
    if not which:
        raise ValueError("seeds: got none; it takes at least one")
    if which[MOST_SEEDS:]:
        one = f"; seed {seeds} alone is [{seeds}]" if how_many else ""
        raise ValueError(f"seeds: got more than {MOST_SEEDS:,}; it takes how many, or a list of them{one}")
    return tuple(whole_number("seeds", seed, least=0) for seed in which)


def real_number(argument: str, value: object, least: float = 0.0, most: float = math.inf) -> float:
    """`value` as a finite float from `least` to `most` (numpy's and torch's scalars will do; strings and bool will not).

    Raises:
        TypeError: not a number.
        ValueError: NaN, infinite, below `least` or above `most`.
    """
    wanted = f"it takes a finite number of at least {least:g}" + (f" and at most {most:g}" if most < math.inf else "")
    try:
        if isinstance(value, str | bytes | bool | np.bool_) or (isinstance(value, np.ndarray) and value.ndim):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        number = math.inf
    except (TypeError, ValueError, RuntimeError):  # a tensor of several numbers, one without values
        raise TypeError(f"{argument}: got {got(value)}; {wanted}") from None
    if not (least <= number <= most and number < math.inf):
        raise ValueError(f"{argument}: got {number:g}; {wanted}")
    return number
