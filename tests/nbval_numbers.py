"""nbval's comparison of a notebook's outputs, with measured numbers compared as numbers: see initviz/tools/_same_outputs.py."""

from __future__ import annotations

import copy

from nbval.plugin import IPyNbCell

strict = IPyNbCell.compare_outputs


def install() -> None:
    """From now on every cell is compared by `compare`."""
    IPyNbCell.compare_outputs = compare


def compare(cell: IPyNbCell, new: list, stored: list, skip_compare=None) -> bool:
    """Whether the outputs agree. A new text that agrees is replaced by the stored one, and nbval compares and reports what is left."""
    from initviz.tools._same_outputs import difference, is_resampled, tolerance  # late, as it loads torch

    tags = cell.cell.metadata.get("tags", [])
    share, resampled = tolerance(tags), is_resampled(tags)
    new = copy.deepcopy(new)
    stored_texts, reasons = _texts(stored), []
    for kind, places in _texts(new).items():
        for (holder, key), (other, _) in zip(places, stored_texts.get(kind, [])):
            reason = difference(other[key], holder[key], share, resampled=resampled, html=kind == "text/html")
            if reason is None:
                holder[key] = other[key]
            else:
                reasons.append(f"{kind}, {reason}")
    same = strict(cell, new, stored, skip_compare)
    cell.comparison_traceback[:0] = reasons
    return same


def _texts(outputs: list) -> dict[str, list[tuple[dict, str]]]:
    """Name of a stream or a type such as "text/html" -> where the texts of that kind are, in order."""
    found: dict[str, list[tuple[dict, str]]] = {}
    for output in outputs:
        if output["output_type"] == "stream":
            found.setdefault(output["name"], []).append((output, "text"))
        for kind in output.get("data", {}):
            if kind.startswith("text/"):
                found.setdefault(kind, []).append((output["data"], kind))
    return found
