"""Arguments of public functions: names looked up in a table, whole numbers, real ones and lists, each with one clear error."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def look_up(argument: str, name: object, table: Mapping[str, T], aliases: Mapping[str, str] | None = None) -> T:
    """The entry of `table` called `name` (or by one of its `aliases`).

    Raises:
        TypeError: `name` is not a string.
        ValueError: no such entry; the message lists the near ones, or all of them when none is near.
    """
    if not isinstance(name, str):
        raise TypeError(f"{argument}: got {type(name).__name__} {name!r}; it takes a name, one of {', '.join(table)}")
    aliases = aliases or {}
    key = name if name in table else aliases.get(name, "")
    if key in table:
        return table[key]
    near = difflib.get_close_matches(name.lower(), [*table, *aliases], n=4, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it takes one of {', '.join(table)}"
    raise ValueError(f"{argument}: {name!r} is unknown; {hint}")


def whole_number(argument: str, value: object, least: int = 1) -> int:
    """`value` as an int of at least `least` (numpy's integers will do; bool and float will not).

    Raises:
        TypeError: not a whole number.
        ValueError: below `least`.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"{argument}: got {type(value).__name__} {value!r}; it takes a whole number of at least {least}"
        ) from None
    if number < least:
        raise ValueError(f"{argument}: got {number}; it takes a whole number of at least {least}")
    return number


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
        raise TypeError(f"{argument}: got {type(values).__name__} {values!r}; it takes a list") from None


def seed_numbers(seeds: object) -> tuple[int, ...]:
    """Which seeds: the first so many if it is a whole number, else those in the list.

    Raises:
        TypeError, ValueError: neither of the two, none, or a negative one; the message names `seeds`.
    """
    how_many = isinstance(seeds, str) or not isinstance(seeds, Iterable) or getattr(seeds, "ndim", 1) == 0
    which = range(whole_number("seeds", seeds)) if how_many else several("seeds", seeds)
    if not which:
        raise ValueError("seeds: got none; it takes at least one")
    return tuple(whole_number("seeds", seed, least=0) for seed in which)


def real_number(argument: str, value: object, least: float = 0.0) -> float:
    """`value` as a finite float of at least `least` (numpy's and torch's scalars will do; strings and bool will not).

    Raises:
        TypeError: not a number.
        ValueError: NaN, infinite or below `least`.
    """
    try:
        if isinstance(value, str | bytes | bool):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        number = float("inf")
    except (TypeError, ValueError):
        raise TypeError(
            f"{argument}: got {type(value).__name__} {value!r}; it takes a finite number of at least {least:g}"
        ) from None
    if not (least <= number < float("inf")):
        raise ValueError(f"{argument}: got {number:g}; it takes a finite number of at least {least:g}")
    return number
