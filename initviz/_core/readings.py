"""Numbers of tensors, taken while a pass goes on and read after it.

To read a number from a GPU is to wait until all that was asked of it is done, and a probe asks for some thousand numbers. So on
a GPU all of them stay there until the pass is over, and come in one transfer. On a CPU there is nothing to wait for: they are read at once.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache, partial
from types import ModuleType
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from initviz._core.statistics import FEW, TensorStats, even_step, flat_values, nothing, rms, tensor_stats
from initviz._core.torch_internals import norms

T = TypeVar("T")

BUFFER = 64
"""Tensors of one size whose partial sums are kept until they are put together."""
NUMBERS = 8
"""Numbers of a tensor that a pass over it finds: see `initviz._core.fused`."""
BLOCK, LANES, PROGRAMS = 1024, 8, 1024
"""Of the fused kernel: values a step, columns in which it looks for values other than zero, and the most programs that share a tensor."""
NOTHING, PLACES, ALIVE = 0, 1, 2
"""What the fused kernel finds of the units: nothing, their values at a few places, or which of them are not zero everywhere."""


class Reading(Generic[T]):
    """A number, or a record of numbers: `value`, once it is known."""

    value: T

    def __init__(self, *value: T) -> None:
        if value:
            (self.value,) = value

    @property
    def known(self) -> bool:
        return hasattr(self, "value")


class Units(NamedTuple):
    """What is asked of the units of a tensor, in memory an array (..., units, inner), in the launch that takes its other numbers.

    Attributes:
        places, apart: so many places, every so many of them, at which the units' values are taken. 0 places: instead it is asked
            which units are zero everywhere.
    """

    units: int
    inner: int
    places: int = 0
    apart: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.places, self.units) if self.places else (self.units,)


class Readings:
    """What is taken of one pass. Call `read` after it.

    Args:
        bins, sample: of the histograms, see `tensor_stats`.
    """

    later = False
    """Whether a CPU's numbers wait for `read` as well. (Tests set it: the way of a GPU is then seen without one.)"""

    def __init__(self, bins: int = 100, sample: int = 4096) -> None:
        self.bins, self.sample = bins, sample
        self._groups: dict[tuple[Any, ...], _Group] = {}
        self._stats: list[tuple[Reading[TensorStats], _Group, int]] = []
        self._numbers: list[tuple[Reading[Any], Tensor, Callable[[np.ndarray], Any]]] = []
        self._rows: dict[tuple[Units, torch.device], _Rows] = {}

    def stats(self, tensor: Tensor, flat: tuple[float | None, float | None] = (None, None)) -> Reading[TensorStats]:
        """The `TensorStats` of a floating tensor; `flat` as in `tensor_stats`."""
        return self.stats_and_units(tensor, flat)[0]

    def stats_and_units(
        self,
        tensor: Tensor,
        flat: tuple[float | None, float | None] = (None, None),
        units: Callable[[], Units | None] | None = None,
        make: Callable[[np.ndarray], Any] = np.copy,
    ) -> tuple[Reading[TensorStats], Reading[Any] | None]:
        """The `TensorStats`, and `make` of an array of the shape of what `units` asks for: the units' values at places, or what is 0 for
        a unit that is zero everywhere. None instead of the second where one launch can't find both."""
        if not (waits := self._waits(tensor)) or not tensor.numel():
            own = tensor.cpu() if waits else tensor
            return Reading(tensor_stats(own, flat=flat, bins=self.bins, sample=self.sample)), None
        values = flat_values(tensor).contiguous()  # the gradient of a sum is one number, expanded
        key = values.numel(), values.dtype == torch.float64, values.device
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(values, self.bins, self.sample)
        rows = None
        if units is not None and group.kernel and tensor.is_contiguous() and group.count < 2**31:
            rows = self._next_rows(units(), values.device)
        reading: Reading[TensorStats] = Reading()  # Reading[TensorStats]() takes four times as long
        self._stats.append((reading, group, group.add(values, flat, rows)))
        if rows is None or group.kernel is None:  # for the first tensor it turns out whether it can be compiled
            return reading, None
        found: Reading[Any] = Reading()
        self._numbers.append((found, rows.each[rows.used], make))
        rows.used += 1
        return reading, found

    def _next_rows(self, units: Units | None, device: torch.device) -> _Rows | None:
        if units is None:
            return None
        rows = self._rows.get((units, device))
        if rows is None or rows.used == len(rows.each):
            rows = self._rows[units, device] = _Rows(units, device)
        return rows

    def rms(self, tensors: Sequence[Tensor]) -> list[Reading[float]]:
        """The root mean square of all values of each floating tensor."""
        if not any(map(self._waits, tensors)):
            return [Reading(rms(tensor)) for tensor in tensors]
        values = list(map(flat_values, tensors))
        found = norms(values, min((_wide(v.device) for v in values), key=lambda dtype: dtype.itemsize))
        return [self.of(norm, partial(_mean_root, v.numel())) for norm, v in zip(found, values)]

    def of(self, tensor: Tensor, make: Callable[[np.ndarray], T]) -> Reading[T]:
        """`make` of the float64 array that a small real tensor is. The tensor is kept until `read`: no one may write into it."""
        if not self._waits(tensor):
            return Reading(make(tensor.detach().double().numpy()))
        reading: Reading[T] = Reading()
        self._numbers.append((reading, tensor.detach() if tensor.requires_grad else tensor, make))
        return reading

    def read(self) -> None:
        """Make every reading known: one transfer from each device for each type of numbers there."""
        alike: dict[Any, list[tuple[Tensor, Callable[[np.ndarray], Any]]]] = defaultdict(list)
        for group in self._groups.values():
            table = group.table()
            alike[table.device, table.dtype].append((table, partial(setattr, group, "found")))
        for reading, tensor, make in self._numbers:
            alike[tensor.device, tensor.dtype].append((tensor, partial(_make_known, reading, make)))
        for parts in alike.values():  # torch joins tensors of one type in one launch
            flat = torch.cat([part.reshape(-1) for part, _ in parts]).cpu().double().numpy()
            start = 0
            for part, receive in parts:
                end = start + part.numel()
                receive(flat[start:end].reshape(part.shape))
                start = end
        for made, group, row in self._stats:
            made.value = group.stats(row)
        self._groups, self._stats, self._numbers, self._rows = {}, [], [], {}

    def _waits(self, tensor: Tensor) -> bool:
        return self.later or tensor.device.type != "cpu"


class _Rows:
    """A buffer on the device with a row for what is found of the units of each of several tensors, BUFFER at most."""

    def __init__(self, units: Units, device: torch.device) -> None:
        self.units, self.used = units, 0
        size = math.prod(units.shape)
        self.all = torch.zeros(max(min(BUFFER, 2**20 // size), 1), *units.shape, device=device)
        self.each = self.all.unbind(0)
        self.blocks = -(-size // BLOCK)


class _Group:
    """Tensors of one size and precision on one device: their numbers, a row each in the same buffers.

    Each buffer has room for BUFFER tensors. When it is full, its rows are put together into final numbers and histograms, on
    the device, and it is used again.
    """

    found: np.ndarray

    def __init__(self, values: Tensor, bins: int, sample: int) -> None:
        self.device, self.count, self.bins = values.device, values.numel(), bins
        self.step = even_step(self.count, sample)
        self.sampled = -(-self.count // self.step)
        self.few = min(FEW, sample)
        self.kernel = None if values.dtype == torch.float64 else fused_kernel(values.device)
        self.programs = min(-(-self.count // BLOCK), PROGRAMS)
        self.rounds, self.sample_rounds = (-(-n // (self.programs * BLOCK)) for n in (self.count, self.sampled))
        self.wide = _wide(values.device)
        self.own = self.wide if values.dtype == torch.float64 else torch.float32
        self.partials = self._new(self.programs if self.kernel else 1, NUMBERS, dtype=self.wide)
        self.samples = self._new(self.sampled, dtype=self.own)
        self.others = self._new(self.programs * LANES, dtype=self.own)
        self.scales = torch.ones(BUFFER, dtype=self.wide, device=self.device)
        self.tables: list[Tensor] = []
        self.used = self.rows = 0

    def _new(self, *shape: int, dtype: torch.dtype) -> Tensor:
        return torch.empty(BUFFER, *shape, dtype=dtype, device=self.device)

    def add(self, values: Tensor, flat: tuple[float | None, float | None], rows: _Rows | None = None) -> int:
        """Take a tensor's numbers, and those of its units into the next of `rows`; returns the row in which `table` will have them."""
        if self.used == BUFFER:
            self._put_together()
        bounds = (-math.inf if flat[0] is None else flat[0]), (math.inf if flat[1] is None else flat[1])
        if not (self.kernel and self._launch(values, *bounds, rows)):
            self._plain(values, *bounds)
        self.used += 1
        self.rows += 1
        return self.rows - 1

    def _launch(self, values: Tensor, below: float, above: float, rows: _Rows | None) -> bool:
        """One launch of the fused kernel. False if it can't be compiled here: Triton needs a C compiler."""
        if rows is None:
            kind, of_units = NOTHING, (0, 1, 1, 1, 1, 0)
        else:
            asked = rows.units
            kind = PLACES if asked.places else ALIVE
            of_units = rows.used, asked.units, asked.inner, asked.apart, asked.places, -(-rows.blocks // self.programs)
        try:
            with torch.cuda.device(self.device) if _several_gpus() else nullcontext():
                self.kernel.launch(  # type: ignore[union-attr]
                    self.programs, kind, values, self.partials, self.samples, self.others, rows.all if rows else self.others,
                    self.used, self.count, self.rounds, self.sampled, self.step, self.sample_rounds, below, above, *of_units,
                )  # fmt: skip
        except Exception as error:
            if self.rows:
                raise
            _give_up(error)
            self.kernel, self.partials = None, self._new(1, NUMBERS, dtype=self.wide)
            return False
        return True

    def _plain(self, values: Tensor, below: float, above: float) -> None:
        """The same by torch's own operations, on any device. The values are brought to [-1, 1] first, so that squares keep to the range of
        a device without float64, and summed about their mean."""
        values = values.float() if values.element_size() == 2 else values
        finite = values.isfinite()
        low = torch.where(finite, values, math.inf).amin().to(self.wide)
        high = torch.where(finite, values, -math.inf).amax().to(self.wide)
        scale = torch.maximum(-low, high)
        scale = torch.where((scale > 0) & scale.isfinite(), scale, 1.0)
        count = finite.sum()
        scaled = torch.where(finite, values.to(self.wide) / scale, 0.0)
        mean = scaled.sum() / count.clamp(min=1)
        off = torch.where(finite, scaled - mean, 0.0)
        flat = (finite & ((values < below) | (values > above))).sum()
        numbers = (low, high, off.sum(), off.square().sum(), (values == 0).sum(), count, flat, mean)
        torch.stack([number.to(self.wide) for number in numbers], out=self.partials[self.used, 0])
        self.scales[self.used] = scale
        self.samples[self.used].copy_(values[:: self.step])
        if self.step > 1:
            others = self.others[self.used]
            rows = torch.nn.functional.pad(values, (0, -self.count % len(others))).reshape(-1, len(others))
            places = torch.arange(1, len(rows) + 1, device=self.device)[:, None]
            last = ((rows != 0) & rows.isfinite()).mul(places).amax(dim=0, keepdim=True)
            others.copy_(torch.where(last > 0, rows.gather(0, (last - 1).clamp(min=0)), 0.0)[0])

    def _put_together(self) -> None:
        """Rows of 8 numbers (smallest, largest, mean, variance, zeros, finite, saturated, scale) and a histogram."""
        partials, scale = self.partials[: self.used], self.scales[: self.used]
        low, high = partials[..., 0].amin(dim=1), partials[..., 1].amax(dim=1)
        total, squares, zeros, finite, saturated = partials[..., 2:7].sum(dim=1).unbind(1)
        n = finite.clamp(min=1)
        mean = total / n
        variance = (squares / n - mean * mean).clamp(min=0)
        mean = mean + partials[:, 0, 7]
        hist = self._histograms((low / scale)[:, None], (high / scale)[:, None], scale[:, None])
        numbers = torch.stack((low, high, mean, variance, zeros, finite, saturated, scale), dim=1)
        self.tables.append(torch.cat([numbers, hist], dim=1))
        self.used = 0

    def _histograms(self, low: Tensor, high: Tensor, scale: Tensor) -> Tensor:
        values = self.samples[: self.used]
        usable = values.isfinite() & (values != 0)
        if self.step > 1:  # nearly all are zero: look at the others alone
            others = self.others[: self.used]
            few = usable.sum(dim=1, keepdim=True) < self.few
            values = torch.cat([values, others], dim=1)
            usable = torch.cat([usable & ~few, (others != 0) & few], dim=1)
        # in place: these are the largest tensors that a probe makes
        cells = (values / scale).sub_(low).div_(torch.where(high > low, high - low, 1.0)).mul_(self.bins)
        cells = (
            cells.nan_to_num_().clamp_(0, self.bins - 1).masked_fill_(~usable, self.bins).long()
        )  # the last cell is closed
        counts = torch.zeros(self.used, self.bins + 1, dtype=self.wide, device=self.device)
        counts.scatter_add_(1, cells, counts.new_ones(()).expand_as(cells))
        return counts[:, : self.bins] / usable.sum(dim=1, keepdim=True).clamp(min=1)

    def table(self) -> Tensor:
        """What `_put_together` made of every tensor, shape (rows, NUMBERS + bins)."""
        if self.used:
            self._put_together()
        return torch.cat(self.tables)

    def stats(self, row: int) -> TensorStats:
        low, high, mean, variance, zeros, finite, saturated, scale = self.found[row, :NUMBERS].tolist()
        count, hist = self.count, self.found[row, NUMBERS:].copy()
        if not finite:
            return nothing(count, hist)
        return TensorStats(
            count=count,
            mean=mean * scale,
            std=math.sqrt(variance) * scale,
            second_moment=(variance + mean * mean) * scale * scale,
            min=low,
            max=high,
            zeros=zeros / count,
            saturated=saturated / count,
            nonfinite=1 - finite / count,
            hist=hist,
        )


def _make_known(reading: Reading[T], make: Callable[[np.ndarray], T], array: np.ndarray) -> None:
    reading.value = make(array)


def _mean_root(count: int, norm: np.ndarray) -> float:
    return float(norm) / math.sqrt(max(count, 1))


@lru_cache
def _wide(device: torch.device) -> torch.dtype:
    """The widest type there."""
    return torch.float32 if device.type == "mps" else torch.float64


@lru_cache
def _several_gpus() -> bool:
    return torch.cuda.device_count() > 1


_problems: list[Exception] = []


def _give_up(error: Exception) -> None:
    _problems.append(error)
    warnings.warn(f"Triton can't compile here, so statistics take several launches a tensor: {error}", stacklevel=2)


def fused_kernel(device: torch.device) -> ModuleType | None:
    """The module with the fused kernel, where there is Triton for this device."""
    if device.type != "cuda" or _problems:
        return None
    try:
        from initviz._core import fused
    except ImportError:
        return None
    return fused
