"""Two outputs of a cell as text: words compared exactly, measured numbers within a tolerance.

A number counts as measured if it has a decimal point or an exponent, is a percentage, or stands on either side of a "±":
0.81, 2e-24, 82 %, 305 ± 12. It may be off by one unit of the last place shown, since what lies on the boundary of two roundings
falls to one side here and to the other there. Where rounding leads training elsewhere, a second mean of five differs from the first
by two thirds of the spread. So the mean in 0.81 ± 0.02 may also be off by the greater of the stored and the new spread, and the spread
by the stored one. Tags of the cell allow more. `tolerance=5%` is 5 percent of each stored number, and for a spread 5 percent of its mean.
`resampled` is for a cell whose training the rounding leads elsewhere, so that another machine shows another sample of five. There the
mean may be off by two of the greater spread, and the spread be four times the stored one, as it was before rounding. Of pairs of normal
samples of five, 0.7 % have means farther apart than that, and in 1.0 % the second spread is greater than that.

All else is exact: words, lines, inf and nan, whole numbers ("5 seeds", "layer 12", "10^-7"), digits that are part of a word
("layer1", "2.13.0"), and what stands inside the tags of HTML. Only the number of blanks side by side is not compared, as what is
aligned to a number moves with its width.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise, zip_longest
from typing import NamedTuple

_SIGN = r"(?P<sign>(?<![\w.)\]])[-+−])?"  # a hyphen, as in 1.0-2.0, is none
_SIZE = r"(?P<size>(?:\d{1,3}(?:,\d{3})+|\d+)(?P<point>\.\d+)?(?P<power>[eE][-+]?\d{1,4})?)"
_NUMBER = rf"{_SIGN}(?<![\w.]){_SIZE}(?!\w|\.\d)"


class _Measured(NamedTuple):
    """A measured number: as written, its value, one unit of its last place, and the two numbers of a "mean ± spread" that it is part of.

    Alone it is its own mean, and its spread is 0.
    """

    text: str
    value: Decimal
    unit: Decimal
    mean: Decimal
    spread: Decimal
    is_spread: bool


def tolerance(tags: Sequence[str]) -> Decimal:
    """The share of a stored number by which a new one may differ, as the cell's tags state it; 0 where none does.

    Raises:
        ValueError: a tag that begins with "tolerance" but is not like "tolerance=5%", or two of them.
    """
    stated = [tag for tag in tags if tag.startswith("tolerance")]
    if not stated:
        return Decimal(0)
    match = re.fullmatch(r"tolerance=(\d+(?:\.\d+)?)%", stated[0])
    if match is None or len(stated) > 1:
        raise ValueError(f"tags: got {stated}; a cell takes one such as 'tolerance=5%'")
    return Decimal(match[1]) / 100


def is_resampled(tags: Sequence[str]) -> bool:
    """Whether the cell's tags say that its means of five are drawn anew on another machine."""
    return "resampled" in tags


def difference(
    stored: str, new: str, share: Decimal = Decimal(0), *, resampled: bool = False, html: bool = False
) -> str | None:
    """What makes `new` another output than `stored`, in words; None if they are the same.

    Args:
        stored, new: the text of one output.
        share: how far a measured number may be off, as a share of the stored one; see `tolerance`.
        resampled: whether means and spreads may be those of another sample.
        html: whether the texts are HTML.
    """
    line = 1
    for before, after in zip_longest(_parts(stored, html), _parts(new, html), fillvalue=""):
        if isinstance(before, _Measured) and isinstance(after, _Measured):
            allowed = _allowed(before, after, share, resampled)
            if abs(before.value - after.value) > allowed:
                return f"line {line}: {after.text}; stored is {before.text}, tolerance {allowed.normalize():g}"
        elif before != after:
            words = [part.text if isinstance(part, _Measured) else part for part in (after, before)]
            return f"line {line}: {words[0]!r}; stored is {words[1]!r}"
        else:
            line += before.count("\n")
    return None


def part_used(
    stored: str, new: str, share: Decimal = Decimal(0), *, resampled: bool = False, html: bool = False
) -> float:
    """The largest part of its tolerance by which a number of `new` is off: 0 to 1 where both are the same, inf where words differ."""
    used = 0.0
    for before, after in zip_longest(_parts(stored, html), _parts(new, html), fillvalue=""):
        if isinstance(before, _Measured) and isinstance(after, _Measured):
            used = max(used, float(abs(before.value - after.value) / _allowed(before, after, share, resampled)))
        elif before != after:
            return math.inf
    return used


def _allowed(before: _Measured, after: _Measured, share: Decimal, resampled: bool) -> Decimal:
    """How far the two numbers may be apart."""
    spread = before.spread if before.is_spread else max(before.spread, after.spread)
    if resampled and spread:  # a spread of 1 was perhaps 1.5, and four times that is shown as 6
        spread = 3 * spread + 2 * before.unit if before.is_spread else 2 * spread
    return max(share * abs(before.mean), spread, min(before.unit, after.unit))


def _parts(text: str, html: bool) -> list[str | _Measured]:
    """Words and measured numbers by turns, words first and last; whole numbers are among the words."""
    numbers = [m for m in re.finditer(rf"<[^>]*>|{_NUMBER}" if html else _NUMBER, text) if m["size"]]
    values = [Decimal((m["sign"] or "").replace("−", "-") + m["size"].replace(",", "")) for m in numbers]
    pairs = [bool(re.fullmatch(r" *%? *± *", text[m.end() : n.start()])) for m, n in pairwise(numbers)] + [False]
    parts: list[str | _Measured] = []
    end = 0
    for i, (number, value) in enumerate(zip(numbers, values)):
        before, after = pairs[i], pairs[i - 1]  # whether it stands before a "±", and after one
        if before or after or number["point"] or number["power"] or re.match(r" ?%", text[number.end() :]):
            unit = Decimal(1).scaleb(int(value.as_tuple().exponent))
            mean = values[i - 1] if after else value
            spread = values[i + 1] if before else value if after else Decimal(0)
            measured = _Measured(number[0], value, unit, mean, spread, after)
            parts += [_blanks(text[end : number.start()]).rstrip(" "), measured]
            end = number.end()
    return [*parts, _blanks(text[end:])]


def _blanks(words: str) -> str:
    return re.sub(" +", " ", words)
