"""A probe, a diagnosis and `assert_stable` against the bare forward and backward pass of the same network and batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import initviz as iv
from benchmarks.common import (
    BATCH,
    DEPTH,
    SHOWN,
    WIDTH,
    Table,
    bare,
    interleaved,
    median,
    median_ratio,
    network,
    run_alone,
    verdict,
)

BASE = "bare forward and backward"
TWO_LIMIT, SIX_LIMIT, STABLE_LIMIT = 1.25, 1.6, 2.0
COLUMNS = ("way", "ms", "of bare", "target", "")


def tables(quick: bool = False) -> list[Table]:
    net, x, y = network()
    sick = iv.mlp(DEPTH, WIDTH, "relu", "xavier_normal", n_in=x.shape[1], n_out=10)
    ways = {
        BASE: lambda: bare(net, x, y),
        "probe: activations and gradients": lambda: iv.probe(net, x, y, quantities=SHOWN),
        "probe: all six quantities": lambda: iv.probe(net, x, y),
        "assert_stable": lambda: iv.assert_stable(net, x, y),
    }
    limits = dict(zip(ways, (None, TWO_LIMIT, SIX_LIMIT, STABLE_LIMIT)))
    of_sizes = f"depth {DEPTH}, width {WIDTH}, batch {BATCH}"
    title = f"Probe: statistics and histograms of all layers ({of_sizes})"
    probes = Table(title, COLUMNS, rows(ways, limits, 5 if quick else 41))
    cures = {BASE: lambda: bare(sick, x, y), "diagnose: tries cures": lambda: iv.diagnose(sick, x, y)}
    title = f"Diagnosis of a network whose signal vanishes ({of_sizes})"
    found = [probes, Table(title, COLUMNS, rows(cures, {}, 1 if quick else 7))]
    return found if quick else [*found, architectures()]


def rows(
    ways: dict[str, Callable[[], Any]], limits: dict[str, float | None], repeats: int, name: str = ""
) -> tuple[tuple[str, ...], ...]:
    """A row for each way, the first of which is the bare pass."""
    times = interleaved(ways, repeats, warm_up=2 if repeats > 5 else 1)
    base = next(iter(ways))
    found = []
    for way in ways:
        ratio, limit = median_ratio(times, way, base), limits.get(way)
        target = ("-", "-") if limit is None else (f"<= {limit:.2f}x", verdict(ratio, limit))
        found.append((name + way, f"{median(times[way]):.0f}", f"{ratio:.2f}x", *target))
    return tuple(found)


def gpt2() -> tuple[nn.Module, dict[str, Tensor]]:
    """GPT-2 of 124M parameters from its configuration, and 2 x 128 tokens."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokens = torch.randint(50257, (2, 128), generator=torch.Generator().manual_seed(0))
    return GPT2LMHeadModel(GPT2Config()), {"input_ids": tokens, "labels": tokens}


def resnet() -> tuple[nn.Module, dict[str, Tensor]]:
    """ResNet-50 from its configuration, and 8 images of 224 x 224."""
    from transformers import ResNetConfig, ResNetForImageClassification

    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 3, 224, 224, generator=generator)
    return ResNetForImageClassification(ResNetConfig()), {"pixel_values": images, "labels": torch.arange(8) % 2}


def architectures() -> Table:
    """The same for two architectures that people use. Targets as for the small network."""
    found: list[tuple[str, ...]] = []
    for name, make in (("GPT-2 124M, 2 x 128 tokens", gpt2), ("ResNet-50, 8 x 224 x 224", resnet)):
        torch.manual_seed(0)
        model, x = make()

        def pass_once(model: nn.Module = model, x: dict[str, Tensor] = x) -> None:
            model(**x).loss.backward()
            model.zero_grad()

        ways = {
            BASE: pass_once,
            "probe: activations and gradients": lambda model=model, x=x: iv.probe(model, x, quantities=SHOWN),
            "probe: all six quantities": lambda model=model, x=x: iv.probe(model, x),
        }
        found += rows(ways, dict(zip(ways, (None, TWO_LIMIT, SIX_LIMIT))), 5, f"{name}: ")  # type: ignore[arg-type]
    return Table("Probe of public architectures (from their configurations, no download)", COLUMNS, tuple(found))


if __name__ == "__main__":
    run_alone(tables)
