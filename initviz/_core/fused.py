"""The numbers of many tensors in two launches on a GPU, as Triton kernels. Triton comes with torch's CUDA builds."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from initviz._core.layout import BLOCK, COLUMNS, LANES, NUMBERS, PROGRAMS

_TYPES = {torch.float32: tl.float32, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}


def launch(
    dtype: torch.dtype, aligned: bool, alive: bool, programs: int, rounds: int, sample_rounds: int, few: int, table: Tensor,
    partials: Tensor, others: Tensor, of_units: Tensor, found: Tensor,
) -> None:  # fmt: skip
    """`measure`, then `finish`, of the tensors of one type that the table names.

    Args:
        aligned: whether each begins at a multiple of 16 bytes; alive: whether of one it is asked which units are zero everywhere.
        programs: the most of one tensor.
        rounds, sample_rounds: the most blocks that a program of `measure` takes of a tensor, and that of `finish` of its sample.
        few: a sample of fewer values than this is put aside for the last values in each lane.
        table: shape (tensors, COLUMNS), int64.
        found: shape (tensors, NUMBERS + bins), zeros.
    """
    element, tensors, device = _TYPES[dtype], len(table), table.device
    given = table, partials, others, of_units, rounds
    _run(measure, (programs, tensors, 1), device, given, (element, aligned, alive, COLUMNS, BLOCK, LANES))
    bins, other_rounds = found.shape[1] - NUMBERS, -(-programs * LANES // BLOCK)
    numbers = bins, sample_rounds, other_rounds, few
    _run(
        finish,
        (tensors, 1, 1),
        device,
        (table, partials, others, found, *numbers),
        (element, COLUMNS, BLOCK, LANES, PROGRAMS),
    )


_compiled: dict[tuple[Any, ...], Any] = {}
"""What a kernel is compiled to for constants; None for one that a Triton launches in another way than is known here."""


def _run(
    kernel: Any,
    grid: tuple[int, int, int],
    device: torch.device,
    arguments: tuple[Any, ...],
    constants: tuple[Any, ...],
) -> None:
    """From the second time on what is compiled is launched itself: Triton takes three times as long to find it again. (All buffers are new,
    and so begin at multiples of 16 bytes, and all whole numbers are below 2^31.)"""
    key = id(kernel), device, constants
    compiled = _compiled.get(key)
    if compiled is not None:
        try:
            compiled[grid](*arguments, *constants)
            return
        except Exception:  # a Triton that takes its arguments in another way
            _compiled[key] = None
    _compiled.setdefault(key, kernel[grid](*arguments, *constants))


@triton.jit
def added(v, inside, at, pivot, below, above, low, high, total, squares, zeros, finites, saturated, last):
    """The numbers so far with those of one more block."""
    finite = inside & (tl.abs(v) < float("inf"))
    d = tl.where(finite, v.to(tl.float64) - pivot, 0.0)
    low = tl.minimum(low, tl.where(finite, v, float("inf")))
    high = tl.maximum(high, tl.where(finite, v, float("-inf")))
    zeros += (finite & (v == 0.0)).to(tl.int32)
    finites += finite.to(tl.int32)
    saturated += (finite & ((v < below) | (v > above))).to(tl.int32)
    last = tl.where(finite & (v != 0.0), at, last)
    return low, high, total + d, squares + d * d, zeros, finites, saturated, last


@triton.jit(do_not_specialize=["rounds"])
def measure(
    table, partials, others, of_units, rounds, ELEMENT: tl.constexpr, ALIGNED: tl.constexpr, ALIVE: tl.constexpr, COLUMNS: tl.constexpr,
    BLOCK: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Each program takes every so many blocks of one tensor of the table, and writes at its own place into

    partials  its 8 numbers: smallest, largest, sum and sum of squares about the first value, zeros, finite, saturated, the first value
    others    the last value other than zero in each of its LANES columns, 0 where there is none

    A tensor is an array (..., units, inner). Into `of_units` goes, by the `kind` in the table,

    1  its share of the array (places, units) of every `apart`-th place (each of the others' indices with each of `inner`)
    2  1 for each unit that is not zero at one of its values; the array (units) is zero before
    """
    program = tl.program_id(0).to(tl.int64)
    line = table + tl.program_id(1).to(tl.int64) * COLUMNS
    programs = tl.load(line + 2)
    if program < programs:
        address, count, own = tl.load(line), tl.load(line + 1), tl.load(line + 3) + program
        below = tl.load(line + 6).to(tl.float64, bitcast=True).to(tl.float32)
        above = tl.load(line + 7).to(tl.float64, bitcast=True).to(tl.float32)
        kind, place = tl.load(line + 8), of_units + tl.load(line + 9)
        units, inner = tl.load(line + 10).to(tl.int32), tl.load(line + 11).to(tl.int32)
        x = address.to(tl.pointer_type(ELEMENT))
        if ALIGNED:
            x = tl.multiple_of(x, 16)
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
        # In so many rounds no block is cut off: without a mask four values are loaded at once.
        whole = (count // (programs * BLOCK)).to(tl.int32)
        for i in range(0, whole):
            at = (i * programs + program) * BLOCK + cells
            v = tl.load(x + at).to(tl.float32)
            low, high, total, squares, zeros, finites, saturated, last = added(
                v, v == v, at, pivot, below, above, low, high, total, squares, zeros, finites, saturated, last
            )
            if ALIVE:
                alive = tl.where(v != 0.0, kind, 0) == 2
                tl.store(place + (at.to(tl.int32) // inner) % units, 1.0, mask=alive)
        for i in range(whole, rounds):
            at = (i * programs + program) * BLOCK + cells
            inside = at < count
            v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
            low, high, total, squares, zeros, finites, saturated, last = added(
                v, inside, at, pivot, below, above, low, high, total, squares, zeros, finites, saturated, last
            )
            if ALIVE:
                alive = tl.where(inside & (v != 0.0), kind, 0) == 2
                tl.store(place + (at.to(tl.int32) // inner) % units, 1.0, mask=alive)
        numbers = partials + own * 8
        tl.store(numbers + 0, tl.min(tl.min(low, axis=1), axis=0).to(tl.float64))
        tl.store(numbers + 1, tl.max(tl.max(high, axis=1), axis=0).to(tl.float64))
        tl.store(numbers + 2, tl.sum(tl.sum(total, axis=1), axis=0))
        tl.store(numbers + 3, tl.sum(tl.sum(squares, axis=1), axis=0))
        tl.store(numbers + 4, tl.sum(tl.sum(zeros, axis=1), axis=0).to(tl.float64))
        tl.store(numbers + 5, tl.sum(tl.sum(finites, axis=1), axis=0).to(tl.float64))
        tl.store(numbers + 6, tl.sum(tl.sum(saturated, axis=1), axis=0).to(tl.float64))
        tl.store(numbers + 7, pivot)

        found = tl.max(last, axis=0)
        other = tl.load(x + found, mask=found >= 0, other=0.0).to(tl.float32)
        tl.store(others + own * LANES + tl.arange(0, LANES), other)

        if kind == 1:
            apart, entries = tl.load(line + 12), tl.load(line + 13) * units
            for i in range(0, tl.cdiv(entries, programs * BLOCK).to(tl.int32)):
                entry = (i * programs + program) * BLOCK + tl.arange(0, BLOCK)
                where = (entry // units) * apart
                before = (where // inner) * units * inner
                wanted = entry < entries
                value = tl.load(x + before + (entry % units) * inner + where % inner, mask=wanted, other=0.0)
                tl.store(place + entry, value.to(tl.float32), mask=wanted)


@triton.jit(do_not_specialize=["bins", "sample_rounds", "other_rounds", "few"])
def finish(
    table, partials, others, found, bins, sample_rounds, other_rounds, few, ELEMENT: tl.constexpr, COLUMNS: tl.constexpr,
    BLOCK: tl.constexpr, LANES: tl.constexpr, PROGRAMS: tl.constexpr,
):  # fmt: skip
    """Each program puts together what those of one tensor left, into its row of `found`: smallest, largest, mean, variance, zeros,
    finite, saturated, 1, and how many values of its sample lie in each cell of its histogram."""
    tensor = tl.program_id(0).to(tl.int64)
    line, row = table + tensor * COLUMNS, found + tensor * (bins + 8)
    x = tl.load(line).to(tl.pointer_type(ELEMENT))
    programs, begin = tl.load(line + 2), tl.load(line + 3)
    sampled, step = tl.load(line + 4), tl.load(line + 5)
    each = tl.arange(0, PROGRAMS)
    there = each < programs
    numbers = partials + (begin + each) * 8
    low = tl.min(tl.load(numbers, mask=there, other=float("inf")), axis=0)
    high = tl.max(tl.load(numbers + 1, mask=there, other=float("-inf")), axis=0)
    finite = tl.sum(tl.load(numbers + 5, mask=there, other=0.0), axis=0)
    n = tl.where(finite > 0.0, finite, 1.0)
    mean = tl.sum(tl.load(numbers + 2, mask=there, other=0.0), axis=0) / n
    variance = tl.sum(tl.load(numbers + 3, mask=there, other=0.0), axis=0) / n - mean * mean
    tl.store(row, low)
    tl.store(row + 1, high)
    tl.store(row + 2, mean + tl.load(partials + begin * 8 + 7))
    tl.store(row + 3, tl.where(variance > 0.0, variance, 0.0))
    tl.store(row + 4, tl.sum(tl.load(numbers + 4, mask=there, other=0.0), axis=0))
    tl.store(row + 5, finite)
    tl.store(row + 6, tl.sum(tl.load(numbers + 6, mask=there, other=0.0), axis=0))
    tl.store(row + 7, 1.0)

    width = tl.where(high > low, high - low, 1.0)
    columns = tl.arange(0, BLOCK)
    usable = tl.zeros((BLOCK,), tl.int32)
    for i in range(0, sample_rounds):
        number = i * BLOCK + columns
        taken = number < sampled
        v = tl.load(x + number * step, mask=taken, other=0.0).to(tl.float32)
        usable += (taken & (tl.abs(v) < float("inf")) & (v != 0.0)).to(tl.int32)
    if (step > 1) & (tl.sum(usable, axis=0) < few):  # nearly all are zero: look at the others alone
        for i in range(0, other_rounds):
            number = i * BLOCK + columns
            v = tl.load(others + begin * LANES + number, mask=number < programs * LANES, other=0.0)
            cell = tl.minimum(((v.to(tl.float64) - low) / width * bins).to(tl.int32), bins - 1)
            tl.atomic_add(row + 8 + cell, 1.0, mask=v != 0.0)
    else:
        for i in range(0, sample_rounds):
            number = i * BLOCK + columns
            taken = number < sampled
            v = tl.load(x + number * step, mask=taken, other=0.0).to(tl.float32)
            finite_v = taken & (tl.abs(v) < float("inf")) & (v != 0.0)
            cell = ((tl.where(finite_v, v, 0.0).to(tl.float64) - low) / width * bins).to(tl.int32)
            cell = tl.maximum(tl.minimum(cell, bins - 1), 0)
            tl.atomic_add(row + 8 + cell, 1.0, mask=finite_v)
