"""The comparison: a heat map of schemes by activations, and the sortable table of recommended against measured best."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pandas as pd

from initviz.experiments import QUANTITIES, Map, cells, heat_map, recommendations
from initviz.initializers import ACTIVATIONS, SCHEMES
from initviz.plots import Figure, heat_map_figure
from initviz.widgets._controls import button, control
from initviz.widgets._frame import Frame, free_path

OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}
WORDS = {"accuracy": "Test accuracy", "forward": "Activations' scale", "backward": "Gradients' scale"}


class Comparison(Frame):
    """The widget that `explore_comparison` returns.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them.
        map: the `Map` on screen, its rows sorted.
    """

    map: Map
    spare = ()

    def __init__(self, runs: pd.DataFrame | None = None) -> None:
        super().__init__()
        self._runs = runs
        table = cells(runs)
        optimizers = list(table.optimizer.unique())
        self._recommendations = {name: recommendations(runs, name) for name in optimizers}
        self._depths = {name: sorted(set(table.depth[table.optimizer == name].tolist())) for name in optimizers}
        depths = sorted(set().union(*self._depths.values()))
        names = list(table.activation.unique())
        self.controls = {
            "quantity": control(
                widgets.Dropdown, "Show", "What the cells say", options=[(WORDS[q], q) for q in QUANTITIES], value="accuracy"
            ),
            "depth": control(
                widgets.SelectionSlider, "Depth", "Number of hidden layers", options=depths, value=depths[len(depths) // 2]
            ),
            "optimizer": control(
                widgets.Dropdown, "Optimizer", "What trained the networks, each at its best learning rate",
                options=[(OPTIMIZERS[name], name) for name in optimizers], value=optimizers[0],
            ),
            "sort": control(
                widgets.Dropdown, "Sort rows by", "The order of the schemes", value="as listed",
                options=[("as listed", "as listed"), ("mean of the row", "mean"), *((ACTIVATIONS[a].label, a) for a in names)],
            ),
            "sort_table": control(
                widgets.Dropdown, "Sort table by", "The order of the table below", value="activation",
                options=["activation", "accuracy", "gap to the best"],
            ),
        }  # fmt: skip
        self.save = button("Save CSV", "Write the table of all cells as a CSV beside the notebook", "download")
        self.save.on_click(lambda _: self._save())
        self.table, self.message = widgets.HTML(), widgets.HTML()
        c = self.controls
        rows = [
            widgets.HBox([c["quantity"], c["depth"], c["optimizer"], c["sort"]], layout={"flex_flow": "row wrap"}),
            self.picture,
        ]
        self.start([*rows, widgets.HBox([c["sort_table"], self.save]), self.message, self.table])

    def measure(self) -> None:
        """Look up what the controls say."""
        c = self.controls
        asked, optimizer = c["depth"].value, c["optimizer"].value
        there = self._depths[optimizer]
        depth = max((d for d in there if d <= asked), default=there[0])
        self.message.value = (
            "" if depth == asked else f"Not run at {asked} layers under {OPTIMIZERS[optimizer]}; shown is {depth}."
        )
        shown = heat_map(self._runs, c["quantity"].value, depth, optimizer)
        self.map = _sorted(shown, c["sort"].value)
        self.table.value = _table(self._recommendations[shown.optimizer], shown.depth, c["sort_table"].value)

    def describe(self, title: str = "") -> Figure:
        return heat_map_figure(self.map)

    def grid(self) -> dict[str, list]:
        return {name: list(self.controls[name]._options_values) for name in ("quantity", "optimizer", "depth")}

    def summary(self) -> str:
        under = f" under {OPTIMIZERS[self.map.optimizer]}" if self.map.quantity == "accuracy" else ""
        return f"Comparison: {WORDS[self.map.quantity].lower()} of {len(self.map.schemes)} schemes at {self.map.depth} layers{under}"

    def _save(self) -> None:
        path = free_path(Path("initviz-comparison.csv"))
        cells(self._runs).to_csv(path, index=False, lineterminator="\n")
        self.message.value = f"Saved <code>{html.escape(str(path.resolve()))}</code>"


def explore_comparison(runs: pd.DataFrame | None = None) -> Comparison:
    """The comparison as a widget.

    Args:
        runs: a table from `initviz.sweep`; None takes the shipped runs of `initviz.compare`.
    Raises:
        TypeError, ValueError: no such table.
    """
    return Comparison(runs)


def _sorted(data: Map, by: str) -> Map:
    """The map with its best rows first; as it is for "as listed"."""
    if by == "as listed":
        return data
    score = data.mean if data.quantity == "accuracy" else -np.abs(data.mean)
    score = np.nan_to_num(score, nan=-1e9, neginf=-1e9)
    key = score.mean(axis=1) if by == "mean" else score[:, data.activations.index(by)]
    order = np.argsort(-key, kind="stable")
    rows = {name: getattr(data, name)[order] for name in ("mean", "spread", "recommended", "best")}
    return replace(data, schemes=tuple(data.schemes[i] for i in order), **rows)


def _table(table: pd.DataFrame, depth: int, sort: str) -> str:
    here = table[table.depth == depth]
    if sort != "activation":
        gap = here.best_accuracy - here.accuracy
        here = here.loc[
            (gap if sort != "accuracy" else here.accuracy).sort_values(ascending=False, kind="stable").index
        ]
    head = "".join(f"<th scope='col' style='text-align:left; padding:2px 14px'>{w}</th>" for w in
                   ("activation", "recommended", "accuracy", "measured best", "accuracy", ""))  # fmt: skip
    rows = "".join(
        "<tr>" + "".join(f"<td style='padding:2px 14px'>{w}</td>" for w in (
            ACTIVATIONS[r.activation].label, SCHEMES[r.recommended].label, _percent(r.accuracy, r.accuracy_std),
            SCHEMES[r.best].label, _percent(r.best_accuracy, r.best_std), "✔ agrees" if r.agrees else "✘ differs")) + "</tr>"
        for r in here.itertuples()
    )  # fmt: skip
    return f"<table style='font-size:15px; line-height:1.4'><tr>{head}</tr>{rows}</table>"


def _percent(mean: float, std: float) -> str:
    return f"{100 * mean:.0f} ± {100 * std:.0f} %"
