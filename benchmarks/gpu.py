"""What a probe costs on a GPU: `python -m benchmarks.gpu`, in two minutes. It needs torch and numpy; GPT-2 also needs transformers.

First it holds the fused kernel against float64 numpy, and sees that nothing is read back in a pass. What fails is told, and
the rest goes on.
"""

from __future__ import annotations

import cProfile
import importlib
import importlib.util
import io
import itertools
import math
import pstats
import sys
import time
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.common import SHOWN, Table, median, median_ratio, verdict

try:
    import initviz  # noqa: F401
except ImportError as error:  # the probe does without what the package needs beyond torch
    print(f"(without the package's top level: {error})")
    for name in [name for name in sys.modules if name.split(".")[0] == "initviz"]:
        del sys.modules[name]
    package = types.ModuleType("initviz")
    package.__path__ = [str(Path(__file__).resolve().parent.parent / "initviz")]
    sys.modules["initviz"] = package
    for name in ("cachetools", "pandas"):  # named at the top of modules on the way, not called
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = types.SimpleNamespace(LRUCache=dict, DataFrame=object)  # type: ignore[assignment]

readings = importlib.import_module("initviz._core.readings")
statistics = importlib.import_module("initviz._core.statistics")
_probe = importlib.import_module("initviz.inspection._probe")
probe = _probe.probe

MLPS = {  # depth, width, batch -> at most so many times the bare pass for activations and gradients
    (50, 256, 256): 2.0,
    (200, 1024, 256): 1.4,
    (1000, 1024, 256): 2.0,
    (200, 1024, 1024): 1.4,
    (50, 4096, 1024): 1.0,
}
GPT2_LIMIT, MEMORY_LIMIT = 1.3, 1.05
BASE, TWO, SIX = "bare forward and backward", "activations and gradients", "all six quantities"


def mlp(depth: int, width: int, batch: int) -> tuple[nn.Module, Any, Any]:
    """A plain tanh network under Xavier's normal initialization on the GPU, with a batch: (net, x, y)."""
    sizes = [64, *[width] * depth, 10]
    layers: list[nn.Module] = []
    with torch.device("cuda"):
        generator = torch.Generator("cuda").manual_seed(0)
        for n, m in itertools.pairwise(sizes):
            layers += [nn.Linear(n, m), nn.Tanh()]
            nn.init.normal_(layers[-2].weight, std=math.sqrt(2 / (n + m)), generator=generator)
        x = torch.randn(batch, 64, generator=generator)
        return nn.Sequential(*layers[:-1]), x, torch.randint(10, (batch,), generator=generator)


def gpt2() -> tuple[nn.Module, Any, Any]:
    """GPT-2 of 124M parameters from its configuration (no download), with 8 x 512 tokens."""
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config()).cuda()
    tokens = torch.randint(50257, (8, 512), device="cuda")
    return model, {"input_ids": tokens, "labels": tokens}, None


def bare(net: nn.Module, x: Any, y: Any) -> None:
    """One forward and one backward pass, as a training step makes them."""
    (net(**x).loss if y is None else F.cross_entropy(net(x), y)).backward()
    for parameter in net.parameters():
        parameter.grad = None


def ways(net: nn.Module, x: Any, y: Any) -> dict[str, Callable[[], Any]]:
    return {
        BASE: lambda: bare(net, x, y),
        TWO: lambda: probe(net, x, y, quantities=SHOWN),
        SIX: lambda: probe(net, x, y),
    }


def timed(way: Callable[[], Any]) -> float:
    """Milliseconds until the GPU has done it."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    way()
    torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)


def peak(way: Callable[[], Any]) -> float:
    """Megabytes on the GPU at the highest point, the network and the batch among them."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    way()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() / 2**20


def rows(name: str, made: tuple[nn.Module, Any, Any], limit: float, seconds: float) -> list[tuple[str, ...]]:
    """A row for each way. Rounds are interleaved, as many as take about `seconds`, three at least."""
    all_ways = ways(*made)
    for way in all_ways.values():
        timed(way)
    once = sum(timed(way) for way in all_ways.values()) / 1000
    times: dict[str, list[float]] = {way: [] for way in all_ways}
    for number in range(min(max(3, int(seconds / once)), 30)):
        for way in list(all_ways)[:: 1 if number % 2 == 0 else -1]:
            times[way].append(timed(all_ways[way]))
    peaks = {way: peak(do) for way, do in all_ways.items()}
    found = []
    for way, most in ((BASE, None), (TWO, limit), (SIX, 2 * limit)):
        ratio, memory = median_ratio(times, way, BASE), peaks[way] / peaks[BASE]
        met = "-" if most is None else verdict(max(ratio / most, memory / MEMORY_LIMIT), 1)
        found.append(
            (f"{name}: {way}", f"{median(times[way]):.1f}", f"{peaks[way]:.0f}", f"{memory:.2f}x", f"{ratio:.2f}x",
             f"<= {most:.1f}x" if most else "-", met)
        )  # fmt: skip
    return found


def tables(quick: bool = False) -> list[Table]:
    """Empty where there is no GPU."""
    if not torch.cuda.is_available():
        return []
    found: list[tuple[str, ...]] = []
    sizes = list(MLPS.items())[:1] if quick else list(MLPS.items())
    jobs = [(f"{d} x {w}, batch {b}", lambda size=(d, w, b): mlp(*size), limit) for (d, w, b), limit in sizes]
    if not quick:
        jobs.insert(2, ("GPT-2 124M, 8 x 512 tokens", gpt2, GPT2_LIMIT))  # type: ignore[arg-type]
    for name, make, limit in jobs:
        try:
            found += (made := rows(name, make(), limit, seconds=0.5 if quick else 8))
            print("\n".join(", ".join(row) for row in made))  # in case the rest takes too long
        except Exception as error:
            traceback.print_exc()
            found.append((f"{name}: {type(error).__name__}", *["-"] * 6))
        torch.cuda.empty_cache()
        print(f"({name} done)", flush=True)
    columns = ("way", "ms", "peak MB", "of bare", "time of bare", "target", "")
    return [Table(f"Probe on a GPU ({machine()})", columns, tuple(found))]


def machine() -> str:
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    try:
        triton = importlib.import_module("triton").__version__
    except ImportError:
        triton = "missing"
    return f"{name}, torch {torch.__version__}, Triton {triton}, Python {sys.version.split()[0]}"


# Is it right? -------------------------------------------------------------------------------------------------------------


def tensors(device: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(300, 700, generator=generator)
    special = normal.clone()
    special[0, 0], special[1, 1], special[2, 2], special[3, 3] = math.nan, math.inf, -math.inf, -0.0
    sparse = torch.zeros(1000, 1000)
    sparse[3, 5], sparse[7, 8], sparse[17, 18] = 1, -1, 0.5
    found = {
        "one value": normal[0, :1], "seven": normal[0, :7], "1,023": normal.view(-1)[:1023], "normal": normal,
        "ReLU": normal.relu(), "tanh": torch.tanh(2 * normal), "about 1000": normal + 1000, "1e-25": normal * 1e-25,
        "1e30": normal * 1e30, "subnormal": normal * 1e-42, "NaN and inf": special, "NaN": torch.full((5000,), math.nan),
        "zeros": torch.zeros(5000), "a constant": torch.full((5000,), 0.1), "few values": sparse,
        "bfloat16": normal.bfloat16(), "float16": normal.half(), "float64": normal.double() * 1e200,
        "transposed": normal.T, "every other": normal[:, ::2], "9 million": torch.randn(3000, 3000, generator=generator),
        "unaligned": normal.view(-1)[1:100_000],
    }  # fmt: skip
    return {
        name: tensor.to(device) if name != "transposed" else tensor.T.to(device).T for name, tensor in found.items()
    }


def worst(stats: Any, tensor: Tensor, flat: tuple[float, float]) -> float:
    """The largest difference between a tensor's statistics and float64 numpy's, relative to the rms (or to 1, for a share)."""
    v = tensor.double().cpu().numpy().ravel()
    finite = v[np.isfinite(v)]
    wide = tensor.float().cpu().numpy().ravel() if tensor.dtype != torch.float64 else v
    with np.errstate(invalid="ignore"):
        low, high = np.asarray(flat, dtype=wide.dtype)
        beyond = np.isfinite(wide) & ((wide < low) | (wide > high))
    shares = [
        stats.zeros - (v == 0).mean(), stats.nonfinite - (1 - finite.size / v.size), stats.saturated - beyond.mean(),
        stats.count - v.size,
    ]  # fmt: skip
    if not finite.size:
        return float(np.abs([*shares, stats.hist.sum(), 0.0 if math.isnan(stats.mean) else 1.0]).max())
    scale = np.abs(finite).max() or 1.0
    rms = math.sqrt(np.mean((finite / scale) ** 2)) * scale or 1.0
    moments = [(stats.mean, finite.mean()), (stats.std, (finite / scale).std() * scale), (stats.min, finite.min()),
               (stats.max, finite.max()), (stats.rms, rms if finite.any() else 0.0)]  # fmt: skip
    off = [*shares, *((a - b) / rms for a, b in moments), stats.hist.sum() - float(finite.any())]
    return float(np.abs(off).max())


def check(device: str = "cuda") -> None:
    """Print how far each way of taking numbers is from float64 numpy, tensor by tensor."""
    flat = (-0.9747, 0.9747)
    kernel = readings.fused_kernel(torch.device(device))
    print("fused kernel:", "Triton" if kernel else "none, torch's own operations")
    for way in ("as it is", "without Triton"):
        kept = readings.fused_kernel
        if way == "without Triton":
            readings.fused_kernel = lambda device: None
        try:
            taken = readings.Readings()
            taken.later = True
            made = tensors(device)
            found = {name: taken.stats(tensor, flat) for name, tensor in made.items()}
            more = [taken.stats(made["normal"] + number, flat) for number in range(70)]
            taken.read()
            off = {name: worst(reading.value, made[name], flat) for name, reading in found.items()}
            off["70 more"] = max(abs(r.value.mean - more[0].value.mean - number) for number, r in enumerate(more))
            bad = {name: f"{value:.1e}" for name, value in off.items() if not value < 1e-6}
            print(
                f"{way}: {len(off)} kinds of tensors, largest difference {max(off.values()):.1e}; wrong: {bad or 'none'}"
            )
        except Exception:
            print(f"{way}: FAILED")
            traceback.print_exc()
        finally:
            readings.fused_kernel = kept
    print("problems met on the way:", readings._problems or "none", flush=True)


def check_probe() -> None:
    """The report of a probe on the GPU against the same on the CPU, in float64; and that nothing is read in a pass."""
    net, x, y = mlp(4, 64, 32)
    net, x = net.double(), x.double()
    there = probe(net, x, y)
    here = probe(net.cpu(), x.cpu(), y.cpu())
    off = 0.0
    for a, b in zip(there.layers, here.layers):
        for name in ("units", "distinct_units", "dead_units", "activation_name"):
            if getattr(a, name) != getattr(b, name):
                print(f"WRONG {a.name} {name}: GPU {getattr(a, name)}, CPU {getattr(b, name)}")
        for quantity in ("activation", "preactivation", "preactivation_gradient", "weight", "weight_gradient"):
            one, other = getattr(a, quantity), getattr(b, quantity)
            if one is not None and other is not None:
                off = max(off, abs(one.rms / other.rms - 1), abs(one.max - other.max) / other.rms)
    print(f"a probe on the GPU and on the CPU differ by {off:.1e}")
    made = mlp(10, 256, 256)
    for quantities in (SHOWN, None):
        for mode in ("error", "warn"):
            try:
                with_mode(mode, lambda quantities=quantities: _probe_with(made, quantities))
                print(f"nothing is read in the pass ({'two' if quantities else 'six'} quantities, mode {mode!r})")
                break
            except Exception:
                print("A READ IN THE PASS:")
                traceback.print_exc()
    sys.stdout.flush()


def _probe_with(made: tuple[nn.Module, Any, Any], quantities: Any) -> None:
    net, x, y = made
    probe(net, x, y, **({"quantities": quantities} if quantities else {}))


def with_mode(mode: str, do: Callable[[], Any]) -> None:
    """`do`, with torch's mode for reads from the GPU set from the model's call to the end of the backward pass."""
    kept = {name: getattr(_probe, name) for name in ("call", "_loss", "_backward")}

    def guarded(function: Callable) -> Callable:
        def inside(*args: Any) -> Any:
            torch.cuda.set_sync_debug_mode(mode)
            try:
                return function(*args)
            finally:
                torch.cuda.set_sync_debug_mode("default")

        return inside

    try:
        for name, function in kept.items():
            setattr(_probe, name, guarded(function))
        do()
    finally:
        for name, function in kept.items():
            setattr(_probe, name, function)


def costs() -> None:
    """Of one tensor: the host's time to ask for its numbers, and the GPU's to take them."""
    for shape in ((256, 256), (1024, 1024), (1024, 4096), (4096, 50257)):
        tensor = torch.randn(shape, device="cuda")
        taken = readings.Readings()
        for _ in range(40):
            taken.stats(tensor)
        torch.cuda.synchronize()
        start, begin, end = (
            time.perf_counter(),
            torch.cuda.Event(enable_timing=True),
            torch.cuda.Event(enable_timing=True),
        )
        begin.record()
        for _ in range(100):
            taken.stats(tensor)
        end.record()
        host = (time.perf_counter() - start) * 1e4
        torch.cuda.synchronize()
        both = (time.perf_counter() - start) * 1e4
        taken.read()
        print(
            f"{shape}: host {host:.0f} us, host and GPU {both:.0f} us, GPU {begin.elapsed_time(end) * 10:.0f} us a tensor"
        )
    sys.stdout.flush()


def profiles() -> None:
    """Where the host's time goes in a probe of 50 x 256."""
    net, x, y = mlp(50, 256, 256)
    for name, quantities in ((TWO, SHOWN), (SIX, None)):
        _probe_with((net, x, y), quantities)
        profile = cProfile.Profile()
        profile.enable()
        for _ in range(5):
            _probe_with((net, x, y), quantities)
        torch.cuda.synchronize()
        profile.disable()
        text = io.StringIO()
        pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(28)
        lines = [line for line in text.getvalue().splitlines() if line.strip()]
        print(f"5 probes of 50 x 256, {name} (the profiler itself takes some):")
        print("\n".join(line.replace("/usr/local/lib/python3.12/", "") for line in lines[2:]))
    sys.stdout.flush()


def main() -> None:
    if not torch.cuda.is_available():
        print("no GPU here; the same checks of torch's own operations on the CPU:")
        check("cpu")
        return
    print(machine(), flush=True)
    start = time.perf_counter()
    for part in (check, check_probe, costs):
        try:
            part()
        except Exception:
            print(f"{part.__name__} FAILED")
            traceback.print_exc()
        print(f"[{time.perf_counter() - start:.0f} s]", flush=True)
    for table in tables("--quick" in sys.argv):
        print(table.text("--markdown" in sys.argv), flush=True)
    print(f"[{time.perf_counter() - start:.0f} s]", flush=True)
    try:
        profiles()
    except Exception:
        traceback.print_exc()
    print(f"[{time.perf_counter() - start:.0f} s]", flush=True)


if __name__ == "__main__":
    main()
