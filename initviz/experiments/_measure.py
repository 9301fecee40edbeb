"""One run of the explorer: settings in, numbers out. Widgets, benchmarks and tests all come through here."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from torch import Tensor

from initviz import theory
from initviz._core.arguments import look_up, real_number, whole_number
from initviz.datasets import DATASETS, dataset
from initviz.diagnosis import Verdict, verdict
from initviz.initializers import ACTIVATIONS, SCHEMES, Scheme, activation, fans, scheme, start_from_batch
from initviz.inspection import QUANTITIES, Report, probe
from initviz.models import CNN, MLP, NORMALIZATIONS, PRECISIONS, NetworkCache, Plain
from initviz.theory import predict_cnn

_cache = NetworkCache()


@dataclass(frozen=True)
class Settings:
    """A network and the batch it is shown. Every field is a control of the explorer.

    Attributes:
        depth, width: hidden layers, and units in each.
        activation, scheme: names in ACTIVATIONS and SCHEMES.
        scale: factor on the scheme's weights.
        bias_std: standard deviation of a normal draw added to each bias.
        normalization: "none", "batch" or "layer".
        skip: skip connections from pre-activation to pre-activation.
        precision: "float32", "bfloat16", "float16" or "float64".
        data: "digits", "gaussian" or "mnist1d".
        seed: of the weights and of the batch.
        batch: samples in the batch.
    Raises:
        TypeError, ValueError: a field that is not as above; the message names it.
    """

    depth: int = 30
    width: int = 256
    activation: str = "tanh"
    scheme: str = "xavier_normal"
    scale: float = 1.0
    bias_std: float = 0.0
    normalization: str = "none"
    skip: bool = False
    precision: str = "float32"
    data: str = "digits"
    seed: int = 0
    batch: int = 256

    def __post_init__(self) -> None:
        for name in ("depth", "width", "batch"):
            whole_number(name, getattr(self, name))
        whole_number("seed", self.seed, least=0)
        real_number("scale", self.scale)
        real_number("bias_std", self.bias_std)
        look_up("normalization", self.normalization, NORMALIZATIONS)
        look_up("precision", self.precision, PRECISIONS)
        look_up("data", self.data, DATASETS)
        object.__setattr__(self, "activation", activation(self.activation).name)
        object.__setattr__(self, "scheme", scheme(self.scheme).name)

    @property
    def label(self) -> str:
        """The settings in a line, defaults left out."""
        parts = [activation(self.activation).label, scheme(self.scheme).label]
        parts += [f"{self.depth} layers of {self.width}"]
        parts += [f"scale {self.scale:.3g}"] if self.scale != 1 else []
        parts += [f"bias std {self.bias_std:g}"] if self.bias_std else []
        parts += [f"{self.normalization} norm"] if self.normalization != "none" else []
        parts += ["skips"] if self.skip else []
        parts += [self.precision] if self.precision != "float32" else []
        return ", ".join([*parts, self.data, f"seed {self.seed}"])


@dataclass(frozen=True)
class Measurement:
    """What `measure` found: the settings, the `Report`, the theory's `Prediction` (None where there is none) and the `Verdict`."""

    settings: Settings
    report: Report
    prediction: theory.Prediction | None
    verdict: Verdict


def measure(
    settings: Settings | None = None,
    *,
    quantities: Collection[str] = tuple(QUANTITIES),
    **changes,
) -> Measurement:
    """Build the network, probe it on its batch, predict and judge.

    Args:
        settings: a `Settings`; `changes` are fields to set on it (or on the defaults): `measure(depth=50, activation="relu")`.
        quantities: see `probe`; the activations and the gradients of pre-activations, which the verdict reads, always come too.
    Returns:
        A `Measurement`: the settings, the `Report`, the theory's prediction and the verdict.
    Raises:
        TypeError, ValueError: as `Settings`.
    """
    settings = changed(settings or Settings(), **changes)
    data = dataset(settings.data)
    x, y = data.batch(settings.batch, seed=settings.seed)
    net = _network(settings, data.n_in, data.n_classes, x)
    report = probe(net, x, y, quantities={"activation", "preactivation_gradient", *quantities})
    prediction = predict(net, x, report, scheme=settings.scheme, scale=settings.scale, bias_std=settings.bias_std)
    return Measurement(settings, report, prediction, verdict(report))


def changed(settings: Settings, **changes) -> Settings:
    """`settings` with some fields changed; an unknown field raises ValueError."""
    known = {field.name: field for field in fields(Settings)}
    for name in changes:
        look_up("settings", name, known)
    return Settings(**(asdict(settings) | changes))


def _network(settings: Settings, n_in: int, n_out: int, x: Tensor) -> MLP:
    return start_from_batch(
        _cache.mlp,
        x,
        scheme=SCHEMES[settings.scheme],
        scale=settings.scale,
        sizes=[n_in, *[settings.width] * settings.depth, n_out],
        activation=ACTIVATIONS[settings.activation],
        bias_std=settings.bias_std,
        normalization=settings.normalization,
        skip=settings.skip,
        dtype=PRECISIONS[settings.precision],
        seed=settings.seed,
    )


def predict(
    net: Plain,
    x: Tensor,
    report: Report,
    *,
    scheme: str | Scheme,
    scale: float = 1.0,
    bias_std: float = 0.0,
    gain: float | None = None,
    mode: str = "fan_in",
) -> theory.Prediction | None:
    """The mean-field prediction for `net` on the batch `x`, layer by layer beside `report`.

    It starts forward from the samples' second moments, and backward from the measured gradient of the last hidden layer.

    Args:
        net: from `mlp` or `cnn`.
        x: shape (batch, n_in), float; for a `cnn` also (batch, channels, height, width).
        report: what `probe` measured of them.
        scheme, scale, bias_std, gain, mode: how `net` was initialized.
    Returns:
        A `theory.Prediction`, or None where there is no theory here: constant weights, weights scaled by a batch,
        batch normalization.
    """
    rule = _scheme_named(scheme)
    if rule.data_driven or (rule.distribution == "constant" and rule.std_rule(1, 1) != 0):
        return None
    layers = [*net.hidden, net.output]
    phi = net.activation.activation
    factor = (rule.gain(phi) if gain is None else gain) * scale
    gradient = report.values("preactivation_gradient", "rms")[len(net.hidden) - 1]
    stds = {  # most layers are alike
        weight.shape: (rule.weight_std(weight, factor, mode), math.hypot(rule.bias_std(fans(weight)[0]), bias_std))
        for weight in {layer.weight.shape: layer.weight for layer in layers}.values()
    }
    how: dict = {
        "weight_std": [stds[layer.weight.shape][0] for layer in layers],
        "bias_std": [stds[layer.weight.shape][1] for layer in layers],
        "normalization": {
            "BatchNorm1d": "batch",
            "BatchNorm2d": "batch",
            "LayerNorm": "layer",
            "GroupNorm": "layer",
        }.get(type(net.norms[0]).__name__),
        "skip": net.skip,
        "gradient_rms": gradient if math.isfinite(gradient) else 0.0,
    }
    widths = [layers[0].weight.shape[1], *(len(layer.weight) for layer in layers)]
    images = x.double().cpu().numpy()
    with np.errstate(over="ignore", invalid="ignore"):  # an explosion may leave float64's range; the line then ends
        if isinstance(net, CNN):
            images, kernel = images.reshape(len(x), *net.shape), net.kernel
            if (
                rule.distribution == "delta_orthogonal"
            ):  # all of the variance is at the centre: each place goes on by itself
                how["weight_std"] = [*(std * kernel for std in how["weight_std"][:-1]), how["weight_std"][-1]]
                kernel = 1
            return predict_cnn(widths, kernel, net.padding_mode, phi, inputs=images, **how)
        inputs = np.square(images.reshape(len(x), -1)).mean(axis=1)
        return theory.predict(widths, phi, input_second_moment=inputs, **how)


_scheme_named = scheme  # under a second name for functions that have an argument called `scheme`


def code(
    settings: Settings,
    *,
    forward: str = "activation",
    backward: str = "preactivation_gradient",
    pinned: Settings | None = None,
) -> str:
    """The few lines of Python that do what `measure(settings)` does, and draw it.

    Args:
        forward, backward: which of QUANTITIES the picture shows.
        pinned: settings of a run to draw in grey behind this one.
    """
    start = _other_than_default(settings, "scale", "bias_std")
    build = _other_than_default(settings, "normalization", "skip", "precision")
    if "precision" in build:
        build["dtype"] = build.pop("precision")
    usual = {"forward": "activation", "backward": "preactivation_gradient"}
    panels = {k: v for k, v in {"forward": forward, "backward": backward}.items() if v != usual[k]}
    words = lambda d: "".join(f", {k}={v!r}" for k, v in d.items())  # noqa: E731
    init, after = {"scheme": settings.scheme} | start, ""
    if scheme(settings.scheme).data_driven:
        scale = start.pop("scale", None)
        init, after = {"scheme": "orthogonal"} | start, "iv.lsuv_(net, x, orthonormal=False, strict=False)\n"
        after += f"for layer in [*net.hidden, net.output]:\n    layer.weight.data *= {scale}\n" * (scale is not None)
    quantities = list(dict.fromkeys([*usual.values(), forward, backward]))
    ghost, shown = "", words(panels)
    if pinned is not None:
        changes = words(_other_than_default(pinned, *(field.name for field in fields(pinned))))[2:]
        ghost = f"pinned = iv.measure({changes})\n"
        shown += ",\n              pinned=(pinned.report, pinned.settings.label)"
    return f"""\
import initviz as iv

data = iv.dataset({settings.data!r})
x, y = data.batch({settings.batch}, seed={settings.seed})
net = iv.mlp({settings.depth}, {settings.width}, {settings.activation!r}{words(init)}{words(build)},
             n_in=data.n_in, n_out=data.n_classes, seed={settings.seed})
{after}report = iv.probe(net, x, y, quantities={quantities})
theory = iv.predict(net, x, report{words({"scheme": settings.scheme} | start)})
verdict = iv.verdict(report)
print(verdict)
{ghost}iv.plots.flow(report, theory, verdict{shown})
""".replace("'", '"')


def _other_than_default(settings: Settings, *names: str) -> dict[str, Any]:
    default = Settings()
    return {name: getattr(settings, name) for name in names if getattr(settings, name) != getattr(default, name)}
