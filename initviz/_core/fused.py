"""The numbers of one tensor in one pass over it on a GPU, as a Triton kernel. Triton comes with torch's CUDA builds."""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from initviz._core.readings import BLOCK, LANES

_compiled: dict[tuple[Any, ...], Any] = {}
"""What is compiled for a kind of tensor; None for a kind that a Triton launches in another way than is known here."""


def launch(programs: int, kind: int, x: Tensor, *arguments: Any) -> None:
    """`measure` of `x`, contiguous, and its other arguments by so many programs. From the second time on the compiled kernel is launched
    itself: Triton takes three times as long to find it again for the arguments."""
    # All that it is compiled for: integers stay below 2^31, and the buffers begin at multiples of 16 bytes.
    key = x.dtype, x.device, kind, x.data_ptr() % 16 == 0, x.nbytes < 2**31
    compiled = _compiled.get(key)
    if compiled is not None:
        try:
            compiled[(programs, 1, 1)](x, *arguments, kind, BLOCK, LANES)
            return
        except Exception:  # a Triton that takes its arguments in another way
            _compiled[key] = None
    found = measure[(programs,)](x, *arguments, KIND=kind, BLOCK=BLOCK, LANES=LANES)
    if x.nbytes < 2**31:
        _compiled.setdefault(key, found)


@triton.jit(
    do_not_specialize=[
        "row", "count", "rounds", "sampled", "step", "sample_rounds", "below", "above",
        "units_row", "units", "inner", "apart", "places", "place_rounds",
    ]
)  # fmt: skip
def measure(
    x, partials, samples, others, of_units, row, count, rounds, sampled, step, sample_rounds, below, above,
    units_row, units, inner, apart, places, place_rounds, KIND: tl.constexpr, BLOCK: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Each program takes every so many blocks of `x`, and writes into row `row` of the buffers

    partials  its 8 numbers: smallest, largest, sum and sum of squares about the first value, zeros, finite, saturated, the first value
    samples   its share of every `step`-th value
    others    the last value other than zero in each of its LANES columns, 0 where there is none

    `x` is an array (..., units, inner). Into row `units_row` of `of_units` goes, by KIND,

    1  its share of the array (places, units) of every `apart`-th place (each of the others' indices with each of `inner`)
    2  1 for each unit that is not zero at one of its values; the array (units) is zero before
    """
    program, programs = tl.program_id(0).to(tl.int64), tl.num_programs(0)
    first = tl.load(x).to(tl.float32)
    pivot = tl.where(tl.abs(first) < float("inf"), first, 0.0).to(tl.float64)
    ROWS: tl.constexpr = BLOCK // LANES
    cells = tl.arange(0, ROWS)[:, None] * LANES + tl.arange(0, LANES)[None, :]
    low = tl.full((ROWS, LANES), float("inf"), tl.float32)
    high = tl.full((ROWS, LANES), float("-inf"), tl.float32)
    total = tl.zeros((ROWS, LANES), tl.float64)
    squares = tl.zeros((ROWS, LANES), tl.float64)
    zeros = tl.zeros((ROWS, LANES), tl.int32)
    finites = tl.zeros((ROWS, LANES), tl.int32)
    saturated = tl.zeros((ROWS, LANES), tl.int32)
    last = tl.full((ROWS, LANES), -1, tl.int64)
    for i in range(0, rounds):
        at = (i * programs + program) * BLOCK + cells
        inside = at < count
        v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        finite = inside & (tl.abs(v) < float("inf"))
        d = tl.where(finite, v.to(tl.float64) - pivot, 0.0)
        low = tl.minimum(low, tl.where(finite, v, float("inf")))
        high = tl.maximum(high, tl.where(finite, v, float("-inf")))
        total += d
        squares += d * d
        zeros += (finite & (v == 0.0)).to(tl.int32)
        finites += finite.to(tl.int32)
        saturated += (finite & ((v < below) | (v > above))).to(tl.int32)
        last = tl.where(finite & (v != 0.0), at, last)
        if KIND == 2:
            unit = (at.to(tl.int32) // inner) % units
            tl.store(of_units + units_row * units + unit, 1.0, mask=inside & (v != 0.0))
    own = row * programs + program
    numbers = partials + own * 8
    tl.store(numbers + 0, tl.min(tl.min(low, axis=1), axis=0).to(tl.float64))
    tl.store(numbers + 1, tl.max(tl.max(high, axis=1), axis=0).to(tl.float64))
    tl.store(numbers + 2, tl.sum(tl.sum(total, axis=1), axis=0))
    tl.store(numbers + 3, tl.sum(tl.sum(squares, axis=1), axis=0))
    tl.store(numbers + 4, tl.sum(tl.sum(zeros, axis=1), axis=0).to(tl.float64))
    tl.store(numbers + 5, tl.sum(tl.sum(finites, axis=1), axis=0).to(tl.float64))
    tl.store(numbers + 6, tl.sum(tl.sum(saturated, axis=1), axis=0).to(tl.float64))
    tl.store(numbers + 7, pivot)

    lanes = tl.arange(0, LANES)
    found = tl.max(last, axis=0)
    other = tl.load(x + found, mask=found >= 0, other=0.0).to(tl.float32)
    tl.store(others + own * LANES + lanes, other)

    line = tl.arange(0, BLOCK)
    for i in range(0, sample_rounds):
        number = (i * programs + program) * BLOCK + line
        taken = number < sampled
        tl.store(
            samples + row.to(tl.int64) * sampled + number,
            tl.load(x + number * step, mask=taken, other=0.0).to(tl.float32),
            mask=taken,
        )
    if KIND == 1:
        for i in range(0, place_rounds):
            entry = ((i * programs + program) * BLOCK + line).to(tl.int32)
            wanted = entry < places * units
            place = (entry // units) * apart
            before = (place // inner).to(tl.int64) * units * inner
            value = tl.load(x + before + (entry % units) * inner + place % inner, mask=wanted, other=0.0)
            tl.store(of_units + units_row * places * units + entry, value.to(tl.float32), mask=wanted)
