"""What the weights of public models look like, where they are on this machine."""

from __future__ import annotations

from pathlib import Path

from initviz.experiments._weight_shapes import WeightShape, weight_shapes
from initviz.models import PUBLIC_MODELS, ModelUnavailable, public_model

FIRST_BLOCK = {
    "resnet18": "layer1.0",
    "resnet34": "layer1.0",
    "resnet50": "resnet.encoder.stages.0.layers.0",
    "bert": "encoder.layer.0",
    "gpt2": "transformer.h.0",
}
"""Name of a public model -> the path in it to a block whose weights are looked at; the others are alike, and many."""


def public_weights(cache: str | Path | None = None) -> dict[str, tuple[WeightShape, ...] | None]:
    """The weights in the first block of each of PUBLIC_MODELS beside a draw by Xavier's scheme, by name; None for a model that is not
    on this machine, or whose package is not. Nothing is downloaded.

    Args:
        cache: folder of the hub's cache; its own default if left out.
    """
    return {name: _first_block(name, cache) for name in PUBLIC_MODELS}


def _first_block(name: str, cache: str | Path | None) -> tuple[WeightShape, ...] | None:
    try:
        model = public_model(name, offline=True, cache=cache)
    except ModelUnavailable:
        return None
    return weight_shapes(model.get_submodule(FIRST_BLOCK[name]), "xavier_normal")
