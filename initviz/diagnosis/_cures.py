"""Lines of code that may cure a model, each to be tried on a copy: they run on the model and the batch as they are given."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from initviz._core.batches import rms_each
from initviz._core.fans import is_conv1d
from initviz._core.layers import bare
from initviz.diagnosis._attention import entropy_collapse, one_place
from initviz.diagnosis._kinds import Verdict
from initviz.diagnosis._remedies import NEAR, between, most_frequent, times_suited
from initviz.initializers import ACTIVATIONS, init_, lsuv_
from initviz.inspection import LayerStats, Report

_FEW = 0.5
"""Layers at fault that are fewer than this share of all are cured alone."""
_FACE = SimpleNamespace(init_=init_, lsuv_=lsuv_)


@dataclass(frozen=True)
class Cure:
    """A line of code with `iv`, `torch`, `model`, `x` and `y` in it, and the cause that it proves if it helps ("" where it proves none)."""

    code: str
    cause: str = ""

    def apply(self, model: nn.Module, x: Any, y: Any) -> tuple[nn.Module, Any, Any]:
        """What the line makes of them."""
        names = {"iv": _FACE, "torch": torch, "model": model, "x": x, "y": y}
        exec(self.code, names)  # the very line that is printed
        return names["model"], names["x"], names["y"]  # type: ignore[return-value]


def cures(model: nn.Module, report: Report, found: Verdict, x: Any) -> Iterator[Cure]:
    """Those that fit the verdict, the likely ones first."""
    where = _Where(model)
    at = [report.reached[n - 1] for n in found.layers]
    if report.dtype == "float16":
        cause = (
            "float16 holds magnitudes from 6e-8 to 65504 only; the same weights are sound in a type with more range."
        )
        for change in ("bfloat16()", "float()"):
            inputs = _each(x, f"{{t}}.{change}")
            together = (
                f"model, x = model.{change}, x.{change}"
                if isinstance(x, Tensor)
                else f"model = model.{change}; {inputs}"
            )
            yield Cure(together if inputs else f"model = model.{change}", cause)
    if report.untrained_norms:
        yield Cure("model.train()", "Batch normalization that has seen no batch does not normalize in eval mode.")
    sizes = [rms for rms in rms_each(x) if 0 < rms < math.inf]
    size = max(sizes, key=lambda rms: abs(math.log(rms)), default=1.0)
    for standard in _standard(x) if not 0.1 <= size <= 10 else ():
        yield Cure(
            standard,
            f"The inputs are not of order 1: their rms is {size:.3g}. The same weights are sound on standardized inputs.",
        )
    yield from {
        "non-finite": _finite, "off-scale": _smaller, "untrainable": _opened,
    }.get(found.kind, _nothing)(where, report, found, x)  # fmt: skip
    if found == entropy_collapse(report):
        yield from _softer(where, report)
    over_time = [layer for layer in at if layer.over_time is not None]
    if found.kind in ("vanishing", "exploding") and over_time:
        for layer in over_time:
            yield from _recurrent(where, layer)
    elif found.kind == "untrainable":
        return
    if report.copies and found.kind == "symmetric":
        copies = [name for group in report.copies for name in group[1:]]
        yield Cure(
            "; ".join(
                f'iv.init_({where.module(name)}, "{_scheme(at)}", seed={n})' for n, name in enumerate(copies, start=1)
            )
        )
    yield from _drawn(where, report, found, at)


def _drawn(where: _Where, report: Report, found: Verdict, at: list[LayerStats]) -> Iterator[Cure]:
    """New weights: of the layers at fault alone where they are few, by the scheme that suits their activation and by the usual ones."""
    schemes = list(dict.fromkeys([_scheme(report.reached), "he_normal", "xavier_normal", "orthogonal"]))
    zeros = bool(at) and all(layer.weight_rms == 0 for layer in at)  # they alone stop the signal
    if (
        found.kind in ("vanishing", "exploding") and not zeros
    ):  # it changes little by little: whose weights make it change
        name = most_frequent(report.reached)
        ratios = [times_suited(s, name) if name == s.activation_name else 1.0 for s in report.reached] if name else []
        at = [s for s, ratio in zip(report.reached, ratios) if ratio and not 1 / NEAR < ratio < NEAR] or at
    scopes = ["model"]
    if at and len(at) < _FEW * len(report.reached):
        scopes = [where.modules([layer.name for layer in at]), "model"]
    factor = between(report)
    for scope in scopes:
        for scheme in schemes:
            if factor:
                yield Cure(f'iv.init_({scope}, "{scheme}", scale={1 / factor:.3g})')
            yield from where.with_biases(f'iv.init_({scope}, "{scheme}")', found.kind in ("dead", "saturated"))
    yield Cure("iv.lsuv_(model, x)")


def _scheme(layers: Any) -> str:
    name = most_frequent(layers)
    return ACTIVATIONS[name].best_scheme if name else "xavier_normal"


def _nothing(where: _Where, report: Report, found: Verdict, x: Any) -> Iterator[Cure]:
    yield from ()


def _finite(where: _Where, report: Report, found: Verdict, x: Any) -> Iterator[Cure]:
    origin = report.origin
    if origin is None:
        return
    if origin.kind == "input" and (cleaned := _each(x, "torch.nan_to_num({t}, nan=0.0, posinf=0.0, neginf=0.0)")):
        yield Cure(cleaned)
    if origin.kind in ("parameter", "buffer"):
        owner = origin.name.rpartition(".")[0]
        reset = "reset_running_stats" if origin.kind == "buffer" else "reset_parameters"
        if hasattr(where.bare.get_submodule(owner), reset):
            yield Cure(f"{where.module(owner)}.{reset}()")
        elif origin.kind == "parameter":
            yield Cure(f'torch.nn.init.normal_({where.root}.get_parameter("{origin.name}"), std=0.02)')


def _smaller(where: _Where, report: Report, found: Verdict, x: Any) -> Iterator[Cure]:
    """What is too large, alone."""
    last = report.reached[-1]
    for name in report.large:
        start = "zeros" if name.endswith("bias") else "ones"
        yield Cure(f'torch.nn.init.{start}_({where.root}.get_parameter("{name}"))')
    for n in found.layers:
        layer = report.reached[n - 1]
        if layer.kind == "Embedding" or (layer is last and last.tied):
            yield Cure(f"torch.nn.init.normal_({where.module(layer.name)}.weight, std=0.02)")
        yield from where.with_biases(f'iv.init_({where.module(layer.name)}, "lecun_normal")', False)
    if not found.layers and report.first_loss is not None and report.first_loss.classes is None:
        yield Cure("y = (y - y.mean()) / y.std()", "The targets are not of order 1.")


def _opened(where: _Where, report: Report, found: Verdict, x: Any) -> Iterator[Cure]:
    """One factor of a product of zeros, drawn; of several products, one factor of each."""
    firsts: dict[
        str, str
    ] = {}  # the module that has the factors, as parameters or as layers -> a line that draws one of them
    single = []
    for name in report.reach.never if report.reach is not None else ():
        parameter = where.bare.get_parameter(name)
        if parameter.dim() >= 2:
            std = f"{parameter[0].numel() ** -0.5:.2g}"
            single.append(f'torch.nn.init.normal_({where.root}.get_parameter("{name}"), std={std})')
            owner = name.removesuffix(".weight").rpartition(".")[0]
            firsts.setdefault(owner, single[-1])
    yield from map(Cure, single[:4])
    if len(firsts) > 1:
        yield Cure("; ".join(firsts.values()))
    for layer in (report.reached[n - 1] for n in found.layers):
        yield Cure(f'iv.init_({where.module(layer.name)}, "{_scheme(report.reached)}")')


def _softer(where: _Where, report: Report) -> Iterator[Cure]:
    """Queries and keys of attentions that have collapsed, each times the same factor, so that logits have a standard deviation of 1."""
    attentions = one_place(report)
    weights: dict[str, None] = {}
    for attention in attentions:
        for n in attention.layers:
            name = report.reached[n - 1].name
            module, code = where.found(name), where.module(name)
            if isinstance(module, nn.MultiheadAttention):
                separate = module.in_proj_weight is None
                names = ["q_proj_weight", "k_proj_weight"] if separate else ["in_proj_weight"]
                rows = "" if separate else f"[:{2 * module.embed_dim}]"
            else:  # queries, keys and values in one are usually in this order
                outputs = module.weight.shape[-1] if is_conv1d(module) else len(module.weight)
                part = f"{'..., ' * is_conv1d(module)}:{2 * outputs // 3}"
                names, rows = ["weight"], f"[{part}]" if len(attention.layers) == 1 and outputs % 3 == 0 else ""
            if all(getattr(module, each).requires_grad for each in names):
                weights |= dict.fromkeys(f"{code}.{each}.data{rows}" for each in names)
    factor = max(attention.logit_std for attention in attentions) ** -0.5
    if weights:
        yield Cure(f"[w.mul_({factor:.2g}) for w in [{', '.join(weights)}]]")


def _recurrent(where: _Where, layer: LayerStats) -> Iterator[Cure]:
    module = where.module(layer.name)
    steps, size = len(layer.over_time.output) if layer.over_time else 1, where.found(layer.name).hidden_size
    if layer.kind == "RNN":
        drawn = f'iv.init_({module}, "orthogonal")'  # its biases become 0: they drive tanh out of its middle
        yield Cure(
            f'[torch.nn.init.orthogonal_(p) for n, p in {module}.named_parameters() if n.startswith("weight_hh")]'
        )
        yield Cure(drawn)
        yield Cure(
            f'{drawn}; [p.data.normal_(std=0.02) for n, p in {module}.named_parameters() if n.startswith("weight_ih")]'
        )
        return
    open_gates = (
        f"[torch.nn.init.constant_(p.data[{size}:{2 * size}], {math.log(steps):.2g}) for n, p in {module}.named_parameters()"
        ' if n.startswith("bias_hh")]'
    )
    yield Cure(open_gates)
    yield Cure(f'iv.init_({module}, "xavier_normal")')
    yield Cure(f'iv.init_({module}, "xavier_normal"); {open_gates}')


class _Where:
    """How code names the parts of a model, which may be wrapped (torch.compile, data parallelism)."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.bare, self.root = model, bare(model), "model"
        while model is not self.bare:
            name = "_orig_mod" if hasattr(model, "_orig_mod") else "module"
            self.root, model = f"{self.root}.{name}", getattr(model, name)

    def path(self, name: str) -> str:
        """The path of a layer as a report names it; "" for the model itself."""
        path = name.split("#")[0]
        return path if path in dict(self.bare.named_modules()) else ""

    def found(self, name: str) -> Any:
        return self.bare.get_submodule(self.path(name))

    def module(self, name: str) -> str:
        path = self.path(name)
        return f'{self.root}.get_submodule("{path}")' if path else self.root

    def modules(self, names: list[str]) -> str:
        paths = list(dict.fromkeys(self.path(name) for name in names))
        if len(paths) == 1:
            return self.module(paths[0])
        return f"torch.nn.ModuleList({self.root}.get_submodule(name) for name in {paths})"

    def with_biases(self, code: str, also_without: bool) -> Iterator[Cure]:
        """A line that draws weights and zeroes biases. Biases that were meant, all of one value (of a gate, of a rare class), are kept."""
        prefix = self.root.removeprefix("model").lstrip(".")
        meant = [
            f"{prefix}.{name}" if prefix else name
            for name, p in self.bare.named_parameters()
            if name.endswith("bias")
            and p.numel() > 1
            and bool((p == p[0]).all())
            and bool(p[0] != 0)
            and self.is_layer(name)
        ]
        if meant:
            keep = f"kept = {{n: p.detach().clone() for n, p in model.named_parameters() if n in {meant}}}"
            yield Cure(f"{keep}; {code}; model.load_state_dict(kept, strict=False)")
        if also_without or not meant:
            yield Cure(code)

    def is_layer(self, name: str) -> bool:
        weight = getattr(self.bare.get_submodule(name.rpartition(".")[0]), "weight", None)
        return isinstance(weight, Tensor) and weight.dim() >= 2


def _standard(x: Any) -> Iterator[str]:
    """Lines that bring inputs to order 1; features of very different sizes (of a table) one by one."""
    if isinstance(x, Tensor) and x.is_floating_point() and x.dim() == 2 and len(x) > 1:
        stds = x.float().std(0)
        if stds.max() > 100 * stds.min():
            yield "x = (x - x.mean(0)) / x.std(0)"
    if line := _each(x, "({t} - {t}.mean()) / {t}.std()"):
        yield line


def _each(x: Any, change: str) -> str:
    """A line that changes every real tensor of the batch, `{t}` in `change`; "" where there is none, or where it lies deeper."""
    if isinstance(x, PackedSequence):
        return f"x = x._replace(data={change.format(t='x.data')})"
    if isinstance(x, Tensor):
        return f"x = {change.format(t='x')}" if x.is_floating_point() else ""
    leaves = list(x.values()) if isinstance(x, Mapping) else list(x) if isinstance(x, tuple | list) else []
    if not any(isinstance(leaf, Tensor) and leaf.is_floating_point() for leaf in leaves):
        return ""
    changed = f"{change.format(t='t')} if torch.is_tensor(t) and t.is_floating_point() else t"
    return (
        f"x = {{k: {changed} for k, t in x.items()}}" if isinstance(x, Mapping) else f"x = tuple({changed} for t in x)"
    )
