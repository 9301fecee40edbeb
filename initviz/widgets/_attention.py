"""Attention's two failures: logit scale and residual strength in, their place in the plane and the stack that lives there out."""

from __future__ import annotations

from functools import lru_cache

import ipywidgets as widgets

from initviz.experiments import AttentionRun, attention_run
from initviz.plots import Figure, attention_figure
from initviz.theory import STACK_NORMS, AttentionPlane, attention_plane
from initviz.widgets._controls import LogSlider, columns, control
from initviz.widgets._frame import Frame

PLACES = (8, 16, 32, 64)
LAYERS = (2, 24)
_plane = lru_cache(maxsize=64)(attention_plane)


class AttentionExplorer(Frame):
    """The widget that `explore_attention` returns.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them.
        plane, run: the plane by theory, and the stack of the point on it, measured.
    """

    plane: AttentionPlane
    run: AttentionRun
    spare = ("seeds",)

    def __init__(self, **settings) -> None:
        super().__init__()
        self.controls = {
            "logit_std": control(
                LogSlider, "Logit std", "Standard deviation of a query's logits q·k/√d over unlike tokens, 0.1 to 30",
                value=1.0, min=-1, max=1.4771, step=0.01, readout_format=".3g",
            ),
            "residual": control(
                LogSlider, "Residual", "Factor on the stream beside each attention, 0.1 to 10",
                value=1.0, min=-1, max=1, step=0.01, readout_format=".3g",
            ),
            "norm": control(
                widgets.Dropdown, "Normalization", "Where the tokens are normalized", value="post",
                options=[(words, name) for name, words in STACK_NORMS.items()],
            ),
            "qk_norm": control(
                widgets.Dropdown, "QK-norm", "Layer-normalize queries and keys", value=False, options=[("no", False), ("yes", True)]
            ),
            "layers": control(widgets.IntSlider, "Layers", "Number of attention layers", value=12, min=LAYERS[0], max=LAYERS[1]),
            "places": control(widgets.SelectionSlider, "Tokens", "Tokens in a sample", options=PLACES, value=32),
            "seeds": control(widgets.IntSlider, "Draws", "How many draws are measured", value=3, min=1, max=5),
        }  # fmt: skip
        self.choose(settings)
        c = self.controls
        rows = columns(
            [c["logit_std"], c["residual"], c["layers"]], [c["norm"], c["qk_norm"]], [c["places"], c["seeds"]]
        )
        self.start([rows, self.words, self.picture])

    def measure(self) -> None:
        """Measure the stack that lives at the point."""
        value = {name: widget.value for name, widget in self.controls.items()}
        self.plane = _plane(value["layers"], value["places"], value["norm"])
        self.run = attention_run(**value)

    def describe(self, title: str = "") -> Figure:
        point = self.controls["logit_std"].value, self.controls["residual"].value
        return attention_figure(self.plane, self.run, point, title)

    @property
    def sentence(self) -> str:
        """What there is to see, in words."""
        run = self.run
        entropy, alike = run.entropy.mean(axis=0), run.similarity.mean(axis=0)
        said = (
            f"First layer: entropy {entropy[0]:.2f} of ln T (theory {run.entropy_theory[0]:.2f}). "
            f"Last layer's tokens: cosine {alike[-1]:.3f} (theory {run.similarity_theory[-1]:.3f})."
        )
        gradient = run.query_gradient.mean(axis=0)[-1]
        return said + f" For its size, W_query there gets {gradient:.2g} times the gradient of W_value."

    def grid(self) -> dict[str, list]:
        return {"logit_std": [0.1, 0.3, 1.0, 3.0, 10.0], "residual": [0.1, 0.3, 1.0, 3.0]}

    def summary(self) -> str:
        c = {name: widget.value for name, widget in self.controls.items()}
        norm = f"{c['norm']}-norm" + ", QK-norm" * c["qk_norm"]
        return (
            f"Attention: logit std {c['logit_std']:.3g}, residual {c['residual']:.3g}, {norm}, {c['layers']} layers, "
            f"{c['places']} tokens. {self.sentence}"
        )


def explore_attention(**settings) -> AttentionExplorer:
    """Attention's two failures, as a widget to be shown in a notebook.

    Args:
        **settings: logit_std, residual, norm ("pre" or "post"), qk_norm, layers, places, seeds (how many draws), each a control:
            `explore_attention(logit_std=10, residual=0.3)`.
    Raises:
        ValueError: an unknown setting, or a value that its control does not take.
    """
    return AttentionExplorer(**settings)
