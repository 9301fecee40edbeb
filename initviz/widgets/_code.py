"""The code that "Show code" prints."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from initviz.experiments import Settings
from initviz.initializers import SCHEMES


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
    build = _other_than_default(settings, "normalization", "skip", "precision", "device")
    if "precision" in build:
        build["dtype"] = build.pop("precision")
    usual = {"forward": "activation", "backward": "preactivation_gradient"}
    panels = {k: v for k, v in {"forward": forward, "backward": backward}.items() if v != usual[k]}
    init, after = {"scheme": settings.scheme} | start, ""
    if SCHEMES[settings.scheme].data_driven:
        scale = start.pop("scale", None)
        init, after = {"scheme": "orthogonal"} | start, "iv.lsuv_(net, x, orthonormal=False, strict=False)\n"
        after += f"for layer in [*net.hidden, net.output]:\n    layer.weight.data *= {scale}\n" * (scale is not None)
    quantities = ", ".join(map(_literal, dict.fromkeys([*usual.values(), forward, backward])))
    ghost, shown = "", _keywords(panels)
    if pinned is not None:
        changes = _keywords(_other_than_default(pinned, *(field.name for field in fields(pinned))))[2:]
        ghost = f"pinned = iv.measure({changes})\n"
        shown += ",\n              pinned=(pinned.report, pinned.settings.label)"
    return f"""\
import initviz as iv

data = iv.datasets.get_dataset({_literal(settings.data)})
x, y = data.batch({settings.batch}, seed={settings.seed})
net = iv.mlp({settings.depth}, {settings.width}, {_literal(settings.activation)}{_keywords(init)}{_keywords(build)},
             n_in=data.n_in, n_out=data.n_classes, seed={settings.seed})
{after}report = iv.probe(net, x, y, quantities=[{quantities}])
theory = iv.theory.predict_network(net, x, report{_keywords({"scheme": settings.scheme} | start)})
verdict = iv.verdict(report)
print(verdict)
{ghost}iv.plots.flow(report, theory, verdict{shown})
"""


def _other_than_default(settings: Settings, *names: str) -> dict[str, Any]:
    default = Settings()
    return {name: getattr(settings, name) for name in names if getattr(settings, name) != getattr(default, name)}


def _keywords(values: dict[str, Any]) -> str:
    return "".join(f", {name}={_literal(value)}" for name, value in values.items())


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
