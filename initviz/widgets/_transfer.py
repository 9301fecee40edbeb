"""Labels by strategy: what pretrained weights are worth, from the shipped study or a result of one's own."""

from __future__ import annotations

import ipywidgets as widgets

from initviz._core.arguments import look_up
from initviz.experiments import transfer_study
from initviz.models import PRETRAINED
from initviz.plots import Figure, transfer_figure
from initviz.training import STRATEGIES, TransferResult, in_words
from initviz.widgets._controls import columns, control, menu
from initviz.widgets._frame import Frame


class TransferExplorer(Frame):
    """The widget that `explore_transfer` returns.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them.
        result: the `TransferResult` on screen.
    """

    result: TransferResult
    spare = ()

    def __init__(self, results: dict[str, TransferResult], labels: int, strategy: str, source: str) -> None:
        super().__init__()
        self._results = results
        first = results[source]
        everywhere = set.intersection(*(set(result.strategies) for result in results.values()))
        sources = [(PRETRAINED[name].label if name in PRETRAINED else name, name) for name in results]
        self.controls = {
            "labels": control(
                widgets.SelectionSlider, "Labels per class", "Labelled training samples in each class",
                options=list(first.labels), value=labels,
            ),
            "strategy": menu("Strategy", "Where training starts, and what it may move",
                             {name: STRATEGIES[name] for name in first.strategies if name in everywhere}, strategy),
            "source": control(
                widgets.Dropdown, "Pretrained on", "What the weights come from", options=sources, value=source
            ),
        }  # fmt: skip
        c = self.controls
        self.start([columns([c["labels"]], [c["strategy"]], [c["source"]]), self.words, self.picture])

    def measure(self) -> None:
        """Look up what the controls say."""
        c = self.controls
        self.result = self._results[c["source"].value]

    def describe(self, title: str = "") -> Figure:
        return transfer_figure(self.result, self.controls["labels"].value, self.controls["strategy"].value, title)

    @property
    def sentence(self) -> str:
        return in_words(self.result, self.controls["labels"].value, self.controls["strategy"].value)

    def grid(self) -> dict[str, list]:
        return {name: list(self.controls[name]._options_values) for name in ("source", "strategy", "labels")}

    def summary(self) -> str:
        return f"Transfer explorer: {self.sentence}"


def explore_transfer(
    labels: int = 5, strategy: str = "fine_tuned", source: str = "curves-cnn", result: TransferResult | None = None
) -> TransferExplorer:
    """Labels by strategy, as a widget to be shown in a notebook.

    Args:
        labels: labels per class, one of those measured.
        strategy: a name in STRATEGIES.
        source: a name in PRETRAINED.
        result: from `initviz.transfer`, to look at a network of one's own; the shipped study if left out.
    Raises:
        TypeError, ValueError: a name or a number that was not measured.
    """
    if result is None:
        look_up("source", source, PRETRAINED)
        results = {name: transfer_study(name) for name in PRETRAINED}
    elif isinstance(result, TransferResult):
        results, source = {result.source: result}, result.source
    else:
        raise TypeError(f"result: got {type(result).__name__}; it takes what initviz.transfer returns")
    for measured in results.values():
        measured.curve(strategy, labels)  # names what was not measured
    return TransferExplorer(results, labels, strategy, source)
