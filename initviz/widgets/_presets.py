"""Settings worth a look, each with the verdict that it is there to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """A name for the menu, the changes to the default `Settings`, and the kind of verdict that they give."""

    label: str
    changes: dict[str, Any]
    kind: str


PRESETS: dict[str, Preset] = {
    "healthy_tanh": Preset("Healthy tanh (Xavier)", {}, "stable"),
    "vanishing_sigmoid": Preset("Vanishing sigmoid", {"activation": "sigmoid"}, "vanishing"),
    "too_small": Preset("Weights too small (std 0.01)", {"scheme": "small_normal"}, "vanishing"),
    "saturated_tanh": Preset("Saturated tanh (Xavier x 4)", {"scale": 4.0, "depth": 10}, "saturated"),
    "xavier_relu": Preset(
        "ReLU under Xavier", {"activation": "relu", "scheme": "xavier_normal", "depth": 50}, "vanishing"
    ),
    "he_to_the_rescue": Preset(
        "He to the rescue (ReLU)", {"activation": "relu", "scheme": "he_normal", "depth": 50}, "stable"
    ),
    "exploding_relu": Preset(
        "Exploding ReLU (He x 1.5)",
        {"activation": "relu", "scheme": "he_normal", "scale": 1.5, "depth": 50},
        "exploding",
    ),
    "pytorch_default": Preset(
        "PyTorch's default, 30 ReLU layers", {"activation": "relu", "scheme": "pytorch_default"}, "vanishing"
    ),
    "zeros": Preset("All zero", {"activation": "relu", "scheme": "zeros", "depth": 10}, "symmetric"),
    "constant": Preset("All the same (constant)", {"scheme": "constant", "depth": 10}, "symmetric"),
    "float16_overflow": Preset(
        "float16 overflows",
        {"activation": "relu", "scheme": "he_normal", "scale": 1.5, "depth": 50, "precision": "float16"},
        "non-finite",
    ),
    "float16_underflow": Preset(
        "float16 underflows", {"activation": "relu", "depth": 50, "precision": "float16"}, "vanishing"
    ),
    "layer_norm": Preset(
        "Layer norm forgives (std 0.01)",
        {"activation": "relu", "scheme": "small_normal", "normalization": "layer"},
        "stable",
    ),
    "skips_explode": Preset(
        "Skips without normalization explode",
        {"activation": "relu", "scheme": "he_normal", "skip": True, "depth": 50},
        "exploding",
    ),
}
"""Presets of the explorer by name."""
