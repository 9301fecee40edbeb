"""The command `initviz`, also `python -m initviz`: `initviz diagnose package.module:make_model`, `initviz compare`, and those of TOOLS.

`diagnose` is a model's check-up in a terminal or in CI, and its exit code is the verdict: 0 stable, 1 not stable, 2 the command or the
model could not be used. `compare` runs the comparison of all schemes again. Each tool reads its own arguments.
"""

from __future__ import annotations

import argparse
import html
import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
from torch import nn

from initviz._core.arguments import whole_number
from initviz._core.extras import MissingExtra, from_extra
from initviz.diagnosis import diagnose
from initviz.experiments import compare, remake

TOOLS = {
    "lab": ("initviz.tools._lab", "write the course's notebooks into a folder, and open JupyterLab"),
    "slides": ("initviz.tools._slides", "make an offline deck of each notebook"),
    "execute": ("initviz.tools._execute", "run notebooks in place, or check their outputs"),
    "pretrain": ("initviz.tools._pretrain", "train the networks that ship with initviz"),
    "transfer-study": ("initviz.experiments._transfer_study", "measure what the shipped weights are worth"),
}
"""Commands with arguments of their own: name -> (module whose `main` takes them, help)."""


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in TOOLS:
        try:
            with from_extra():
                tool = importlib.import_module(TOOLS[arguments[0]][0])
        except MissingExtra as error:
            print(f"initviz: {error}", file=sys.stderr)
            return 2
        return tool.main(arguments[1:]) or 0
    parser = argparse.ArgumentParser(prog="initviz", description="See what initialization does to a network.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("diagnose", help="probe a model, judge it, find a remedy (exit code: 0 stable, 1 not)")
    check.add_argument(
        "model", help="package.module:name of an nn.Module, or of a function: model, (model, x) or (model, x, y)"
    )
    check.add_argument(
        "--shape", help="batch of standard normal numbers, such as 32,3,64,64; needed if no x is returned"
    )
    check.add_argument("--classes", type=int, help="the batch is whole numbers below this (token ids) instead")
    check.add_argument("--seed", type=int, default=0, help="of that batch and of the model's own draws (default 0)")
    check.add_argument("--html", type=Path, help="write the page to this file too")
    check.set_defaults(act=_diagnose)
    table = commands.add_parser("compare", help="run every scheme with every activation at every depth again")
    table.add_argument(
        "--output", type=Path, default=Path("comparison.csv"), help="the CSV to write (default: %(default)s)"
    )
    table.add_argument("--resume", type=Path, help="a file that keeps the finished runs, to go on from after a stop")
    table.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    table.set_defaults(act=_compare)
    for name, (_, words) in TOOLS.items():
        commands.add_parser(name, help=words)
    options = parser.parse_args(arguments)
    try:
        return options.act(options)
    except (TypeError, ValueError, OSError, MissingExtra) as error:
        print(f"initviz: {error}", file=sys.stderr)
    except Exception:  # in the user's module: show where, and do not exit with 1, which says "not stable"
        traceback.print_exc()
    return 2


def _diagnose(options: argparse.Namespace) -> int:
    torch.manual_seed(whole_number("seed", options.seed, least=0))
    model, x, y = _load(options.model, options.shape, options.classes)
    try:
        page = diagnose(model, x, y, seed=options.seed)
    except ValueError as error:
        if options.shape and not options.classes and any(isinstance(part, nn.Embedding) for part in model.modules()):
            raise ValueError(f"{error}; for token ids give --classes too, how many there are") from error
        raise
    print(page)
    if options.html:
        head = f"<!doctype html><meta charset='utf-8'><title>{html.escape(page.model)}</title>"
        options.html.write_text(f"{head}{page._repr_html_()}\n", encoding="utf-8", newline="\n")
    return 0 if page.stable else 1


def _compare(options: argparse.Namespace) -> int:
    runs = remake(options.output, options.resume, options.workers)
    print(compare(runs)[["trained", "diverged"]].round(2).to_string())
    return 0


def _load(target: str, shape: str | None, classes: int | None) -> tuple[nn.Module, Any, Any]:
    """The model and its batch.

    Raises:
        ValueError: no such module or name, no batch, a shape that is none.
        TypeError: what is there is no model.
    """
    module_name, _, name = target.partition(":")
    if not (module_name and name):
        raise ValueError(f"model: got {target!r}; it takes package.module:name")
    sys.path.insert(0, os.getcwd())  # as python -m does for the module that it runs
    try:
        made = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"model: {target!r} can't be loaded ({error})") from error
    finally:
        sys.path.pop(0)
    if not isinstance(made, nn.Module) and callable(made):
        made = made()
    model, x, y = (*made, None, None)[:3] if isinstance(made, tuple) else (made, None, None)
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: {target} gave {type(model).__name__}; it takes a torch.nn.Module")
    return model, _batch(shape, classes) if x is None else x, y


def _batch(shape: str | None, classes: int | None) -> torch.Tensor:
    if shape is None:
        raise ValueError(
            "shape: none given, and the model came without a batch; it takes numbers such as --shape 32,3,64,64"
        )
    try:
        sizes = [whole_number("shape", int(size)) for size in shape.split(",")]
    except ValueError:
        raise ValueError(
            f"shape: got {shape!r}; it takes whole numbers of at least 1 with commas, such as 32,3,64,64"
        ) from None
    return torch.randn(sizes) if classes is None else torch.randint(whole_number("classes", classes), sizes)


if __name__ == "__main__":
    sys.exit(main())
