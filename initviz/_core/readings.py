"""Numbers of tensors, taken while a pass goes on and read after it.

To read a number from a GPU is to wait until all that was asked of it is done, and a probe asks for some thousand numbers. So on
a GPU all of them stay there until the pass is over, and come in one transfer. On a CPU there is nothing to wait for: they are read at once.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from types import ModuleType
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from initviz._core.devices import has_float64
from initviz._core.layout import ALIVE, BLOCK, LANES, NOTHING, NUMBERS, PLACES, PROGRAMS
from initviz._core.statistics import FEW, TensorStats, even_step, flat_values, is_array, nothing, rms, tensor_stats
from initviz._core.torch_internals import UnseenByModes, current_stream, norms, on_stream, version, wait_for

T = TypeVar("T")

BUFFER = 64
"""Tensors whose numbers are taken together."""
HELD = 3 << 20, 64 << 20
"""Bytes of tensors that are held at least and at most, until they are measured together. In between it is ..."""
HELD_SHARE = 1 / 32, 1 / 4
"""... this share of all that was seen, most of which torch holds for the backward pass, or that share of the parameters, whose gradients
a training step holds and a probe does not."""
_FUSED = (torch.float32, torch.bfloat16, torch.float16)


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
    apart: int = 1
    places: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.places, self.units) if self.places else (self.units,)

    @property
    def size(self) -> int:
        return self.units * (self.places or 1)


class _Item(NamedTuple):
    """A tensor whose numbers are still to be taken."""

    values: Tensor  # contiguous
    version: int
    flat: tuple[float | None, float | None]
    stats: Reading[TensorStats] | None
    units: Units | None
    found: Reading[Any] | None
    make: Callable[[np.ndarray], Any]


class Readings:
    """What is taken of one pass. Call `read` after it.

    On a GPU tensors are held for a while and measured together: to launch a kernel takes longer than to run it. So call `flush` before
    something may write into one of them. If `overwritten` is true in the end, that was too late, and numbers are wrong.

    Args:
        bins, sample: of the histograms, see `tensor_stats`.
        parameters: bytes of the model's parameters: what is held at a time grows with them.
        at_once: hold no tensor.
    """

    later = False
    """Whether a CPU's numbers wait for `read` as well. (Tests set it: the way of a GPU is then seen without one.)"""

    def __init__(self, bins: int = 100, sample: int = 4096, parameters: int = 0, at_once: bool = False) -> None:
        self.bins, self.sample = bins, sample
        self._least = 0 if at_once else int(min(max(parameters * HELD_SHARE[1], HELD[0]), HELD[1]))
        self.room = self._least
        self.overwritten = False
        self._at_once = at_once
        self._seen = self._held = 0
        self._waiting: dict[tuple[Any, ...], list[_Item]] = {}
        self._groups: dict[tuple[Any, ...], _Group] = {}
        self._tables: list[tuple[Tensor, list[Reading[TensorStats] | None], list[int]]] = []
        self._numbers: list[tuple[Tensor, Callable[[np.ndarray], Any]]] = []
        self._streams: set[Any] = set()

    def stats(self, tensor: Tensor, flat: tuple[float | None, float | None] = (None, None)) -> Reading[TensorStats]:
        """The `TensorStats` of a floating tensor; `flat` as in `tensor_stats`."""
        if not self.waits(tensor) or not tensor.numel():
            here = tensor if tensor.is_cpu else tensor.cpu()  # if it is empty
            return Reading(tensor_stats(here, flat=flat, bins=self.bins, sample=self.sample))
        reading: Reading[TensorStats] = Reading()  # Reading[TensorStats]() takes four times as long
        self._add(tensor, flat, reading)
        return reading

    def stats_and_units(
        self,
        tensor: Tensor,
        units: Units,
        make: Callable[[np.ndarray], T],
        flat: tuple[float | None, float | None] = (None, None),
    ) -> tuple[Reading[TensorStats], Reading[T]]:
        """The `TensorStats` and the `units` of a tensor that `takes_units`."""
        reading: Reading[TensorStats] = Reading()
        found: Reading[T] = Reading()
        self._add(tensor, flat, reading, units, found, make)
        return reading, found

    def units(self, tensor: Tensor, units: Units, make: Callable[[np.ndarray], T]) -> Reading[T]:
        """`make` of an array of the shape of what `units` asks for: the units' values at places, or what is 0 for a unit that is zero
        everywhere. Of a tensor that `takes_units`."""
        found: Reading[T] = Reading()
        self._add(tensor, (None, None), None, units, found, make)
        return found

    def _add(
        self,
        tensor: Tensor,
        flat: tuple[float | None, float | None],
        stats: Reading[TensorStats] | None,
        units: Units | None = None,
        found: Reading[Any] | None = None,
        make: Callable[[np.ndarray], Any] = np.copy,
    ) -> None:
        values, dtype, device = tensor, tensor.dtype, tensor.device
        if dtype not in _FUSED or not is_array(tensor) or not tensor.is_contiguous():
            values = flat_values(tensor).contiguous()  # the gradient of a sum is one number, expanded
            dtype = values.dtype
        key = dtype, device, current_stream(device)
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = []
        waiting.append(_Item(values, version(values), flat, stats, units, found, make))
        self._held += values.nbytes
        if self._held > self.room or len(waiting) == BUFFER or dtype not in _FUSED or fused_kernel(device) is None:
            self.flush()

    def flush(self) -> None:
        """Take the numbers of all tensors that are held."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, {}
        self._seen += self._held
        self._held = 0
        if not self._at_once:
            self.room = min(max(int(self._seen * HELD_SHARE[0]), self._least), HELD[1])
        with UnseenByModes(), torch.no_grad():
            for (dtype, device, stream), items in waiting.items():
                self.overwritten |= any(version(item.values) != item.version for item in items)
                with on_stream(device, stream):
                    kernels = fused_kernel(device) if dtype in _FUSED else None
                    if kernels is None or not self._launch(kernels, dtype, device, items):
                        for item in items:
                            self._measure(item)
                if device.type == "cuda":
                    self._streams.add((device, stream))

    def _launch(self, kernels: ModuleType, dtype: torch.dtype, device: torch.device, items: list[_Item]) -> bool:
        """Two launches of the fused kernels. False if they can't be compiled here: Triton needs a C compiler."""
        lines, bounds, counts = [], [], []
        begin = place = addresses = most = rounds = samples = 0
        alive = False
        for values, _, (below, above), stats, units, _, _ in items:
            count, address = values.numel(), values.data_ptr()
            kind, wanted = (NOTHING, 1, 1, 1, 0), 0
            if units is not None:
                kind, wanted = (PLACES if units.places else ALIVE, *units), units.size
                alive |= not units.places
            counts.append(count)
            if stats is None and kind[0] == PLACES:  # the rest is not asked for
                count, (programs, each, sampled, step) = 0, (_shares(wanted, 1)[0], 0, 0, 1)
            else:
                programs, each, sampled, step = _shares(count, self.sample)
            most, rounds, samples = max(most, programs), max(rounds, each), max(samples, sampled)
            lines.append((address, count, programs, begin, sampled, step, 0, 0, kind[0], place, *kind[1:]))
            bounds.append((-math.inf if below is None else below, math.inf if above is None else above))
            begin, place, addresses = begin + programs, place + wanted, addresses | address
        table = np.array(lines, dtype=np.int64)
        table[:, 6:8] = np.array(bounds).view(np.int64)
        found = torch.zeros(len(items), NUMBERS + self.bins, dtype=torch.float64, device=device)
        of_units = torch.zeros(max(place, 1), dtype=torch.float32, device=device)
        partials = torch.empty(begin * NUMBERS, dtype=torch.float64, device=device)
        others = torch.empty(begin * LANES, dtype=torch.float32, device=device)
        try:
            kernels.launch(
                dtype, addresses % 16 == 0, alive, most, rounds, -(-samples // BLOCK), min(FEW, self.sample), _sent(table, device),
                partials, others, of_units, found,
            )  # fmt: skip
        except Exception as error:
            if self._tables:
                raise
            _give_up(error)
            return False
        self._tables.append((found, [item.stats for item in items], counts))
        if place:
            asked = [(line[9], item) for item, line in zip(items, lines) if item.units is not None]
            self._numbers.append((of_units, partial(_make_units, asked)))
        return True

    def _measure(self, item: _Item) -> None:
        """The same by torch's own operations."""
        values = item.values.detach().reshape(-1)
        if item.stats is not None:
            key = values.numel(), values.dtype == torch.float64, values.device
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = _Group(values, self.bins, self.sample)
            group.add(values, item.flat, item.stats)
        if item.units is not None:
            units, inner, apart, places = item.units
            array = values.view(-1, units, inner)
            if places:
                where = torch.arange(0, places * apart, apart, device=array.device)
                array = array[where // inner, :, where % inner]
            else:
                array = (array != 0).any(dim=2).any(dim=0).float()
            self._numbers.append((array, partial(_make_known, item.found, item.make)))  # type: ignore[arg-type]

    def rms(self, tensors: Sequence[Tensor], finite: bool = True) -> list[Reading[float]]:
        """The root mean square of all values of each floating tensor; on a CPU, if `finite`, of the finite ones."""
        if finite and not any(map(self.waits, tensors)):
            return [Reading(rms(tensor)) for tensor in tensors]
        values = [t if is_array(t) and t.dtype in _FUSED else flat_values(t) for t in tensors]
        devices = {v.device for v in values}
        with torch.no_grad():
            found = norms(values, min(map(_wide, devices), key=lambda dtype: dtype.itemsize))
            if not all(map(self.waits, values)) or len(devices) > 1:
                return [self.of(norm, partial(_mean_root, v.numel())) for norm, v in zip(found, values)]
            readings: list[Reading[float]] = [Reading() for _ in values]
            self._numbers.append((torch.stack(found), partial(_make_roots, readings, [v.numel() for v in values])))
        return readings

    def of(self, tensor: Tensor, make: Callable[[np.ndarray], T]) -> Reading[T]:
        """`make` of the float64 array that a small real tensor is. The tensor is kept until `read`: no one may write into it."""
        if not self.waits(tensor):
            return Reading(make(tensor.detach().double().numpy()))
        reading: Reading[T] = Reading()
        self._numbers.append((tensor.detach() if tensor.requires_grad else tensor, partial(_make_known, reading, make)))
        return reading

    def read(self) -> None:
        """Make every reading known: one transfer from each device for each type of numbers there."""
        self.flush()
        for device, stream in self._streams:
            wait_for(device, stream)
        for group in self._groups.values():
            self._tables.append(group.table())
        alike: dict[Any, list[tuple[Tensor, Callable[[np.ndarray], Any]]]] = defaultdict(list)
        for table, stats, counts in self._tables:
            alike[table.device, table.dtype].append((table, partial(_make_stats, stats, counts)))
        for tensor, receive in self._numbers:
            alike[tensor.device, tensor.dtype].append((tensor, receive))
        for parts in alike.values():  # torch joins tensors of one type in one launch
            numbers = _received(torch.cat([part if part.dim() == 1 else part.reshape(-1) for part, _ in parts]))
            start = 0
            for part, receive in parts:
                end = start + part.numel()
                receive(numbers[start:end] if part.dim() == 1 else numbers[start:end].reshape(part.shape))
                start = end
        self._groups, self._tables, self._numbers, self._streams = {}, [], [], set()

    def waits(self, tensor: Tensor) -> bool:
        """Whether its numbers are not known before `read`."""
        return self.later or not tensor.is_cpu

    def takes_units(self, tensor: Tensor) -> bool:
        return self.waits(tensor) and is_array(tensor) and tensor.is_contiguous() and 0 < tensor.numel() < 2**31


@lru_cache(1024)
def _shares(count: int, sample: int) -> tuple[int, int, int, int]:
    """Of a tensor of so many values: programs, blocks of each, values in the sample, every which one that is."""
    programs = min(-(-count // BLOCK), PROGRAMS)
    step = even_step(count, sample)
    return programs, -(-count // (programs * BLOCK)), -(-count // step), step


def _sent(table: np.ndarray, device: torch.device) -> Tensor:
    """The table on the device. Nobody waits for it: memory that can't be paged out is read by the device itself."""
    sent = torch.from_numpy(table)
    return sent if device.type == "cpu" else sent.pin_memory().to(device, non_blocking=True)


def _received(numbers: Tensor) -> np.ndarray:
    """The numbers on the host, in float32 or float64. (A device writes fastest into memory that can't be paged out.)"""
    if not numbers.is_floating_point():
        numbers = numbers.double()
    elif numbers.element_size() == 2:
        numbers = numbers.float()
    if numbers.device.type == "cuda":
        return torch.empty(numbers.shape, dtype=numbers.dtype, device="cpu", pin_memory=True).copy_(numbers).numpy()
    return numbers.cpu().numpy()


class _Group:
    """Tensors of one size and precision on one device, whose numbers torch's own operations take: a row each in the same buffers.

    Each buffer has room for BUFFER tensors. When it is full, its rows are put together into final numbers and histograms, on
    the device, and it is used again.
    """

    def __init__(self, values: Tensor, bins: int, sample: int) -> None:
        self.device, self.count, self.bins = values.device, values.numel(), bins
        self.step = even_step(self.count, sample)
        self.few = min(FEW, sample)
        self.wide = _wide(values.device)
        own = self.wide if values.dtype == torch.float64 else torch.float32
        programs = min(-(-self.count // BLOCK), PROGRAMS)
        self.numbers = self._new(NUMBERS, dtype=self.wide)
        self.samples = self._new(-(-self.count // self.step), dtype=own)
        self.others = self._new(programs * LANES, dtype=own)
        self.scales = torch.ones(BUFFER, dtype=self.wide, device=self.device)
        self.tables: list[Tensor] = []
        self.readings: list[Reading[TensorStats] | None] = []
        self.used = 0

    def _new(self, *shape: int, dtype: torch.dtype) -> Tensor:
        return torch.empty(BUFFER, *shape, dtype=dtype, device=self.device)

    def add(self, values: Tensor, flat: tuple[float | None, float | None], reading: Reading[TensorStats]) -> None:
        if self.used == BUFFER:
            self._put_together()
        below, above = flat
        self._plain(values, -math.inf if below is None else below, math.inf if above is None else above)
        self.readings.append(reading)
        self.used += 1

    def _plain(self, values: Tensor, below: float, above: float) -> None:
        """Numbers on any device. The values are brought to [-1, 1] first, so that squares keep to the range of
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
        torch.stack([number.to(self.wide) for number in numbers], out=self.numbers[self.used])
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
        scale = self.scales[: self.used]
        low, high, total, squares, zeros, finite, saturated, mean = self.numbers[: self.used].unbind(1)
        n = finite.clamp(min=1)
        off = total / n
        variance = (squares / n - off * off).clamp(min=0)
        mean = mean + off
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
        return counts[:, : self.bins]

    def table(self) -> tuple[Tensor, list[Reading[TensorStats] | None], list[int]]:
        """What `_put_together` made of every tensor, shape (rows, NUMBERS + bins), with their readings and sizes."""
        if self.used:
            self._put_together()
        return torch.cat(self.tables), self.readings, [self.count] * len(self.readings)


def _make_stats(readings: list[Reading[TensorStats] | None], counts: list[int], found: np.ndarray) -> None:
    found = found.astype(np.float64, copy=False)
    low, high, mean, variance, zeros, finite, saturated, scale = found[:, :NUMBERS].T
    hists = found[:, NUMBERS:]
    hists = hists / np.maximum(hists.sum(axis=1, keepdims=True), 1)
    count = np.array(counts)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        columns = (mean * scale, np.sqrt(variance) * scale, (variance + mean * mean) * scale * scale, low, high,
                   zeros / count, saturated / count, 1 - finite / count)  # fmt: skip
    rows = zip(readings, counts, finite.tolist(), zip(*(column.tolist() for column in columns)), hists)
    for reading, number, any_finite, numbers, hist in rows:
        if reading is not None:
            reading.value = TensorStats(number, *numbers, hist) if any_finite else nothing(number, hist)  # type: ignore[call-arg]


def _make_known(reading: Reading[T], make: Callable[[np.ndarray], T], array: np.ndarray) -> None:
    reading.value = make(array.astype(np.float64, copy=False))


def _make_units(wanted: list[tuple[int, _Item]], array: np.ndarray) -> None:
    for begin, (_, _, _, _, units, found, make) in wanted:
        found.value = make(array[begin : begin + units.size].reshape(units.shape))  # type: ignore[union-attr]


def _make_roots(readings: list[Reading[float]], counts: list[int], found: np.ndarray) -> None:
    found = found.astype(np.float64, copy=False)
    for reading, root in zip(readings, (found / np.sqrt(np.maximum(counts, 1))).tolist()):
        reading.value = root


def _mean_root(count: int, norm: np.ndarray) -> float:
    return float(norm) / math.sqrt(max(count, 1))


@lru_cache
def _wide(device: torch.device) -> torch.dtype:
    """The widest type there."""
    return torch.float64 if has_float64(device) else torch.float32


_problems: list[Exception] = []


def _give_up(error: Exception) -> None:
    _problems.append(error)
    warnings.warn(f"Triton can't compile here, so statistics take several launches a tensor: {error}", stacklevel=2)


def fused_kernel(device: torch.device) -> ModuleType | None:
    """The module with the fused kernels, where there is Triton for this device."""
    if device.type != "cuda" or _problems:
        return None
    try:
        from initviz._core import fused
    except ImportError:
        return None
    return fused
