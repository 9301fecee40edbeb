"""The command `initviz`, also `python -m initviz`: `initviz diagnose package.module:make_model`, `initviz compare`, and those of TOOLS.

`diagnose` is a model's check-up in a terminal or in CI, and its exit code is the verdict: 0 stable (or allowed by --allow), 1 not stable,
2 the command or the model could not be used. `compare` runs the comparison of all schemes again. Each tool reads its own arguments.
"""

from __future__ import annotations

import argparse
import html
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

import initviz
from initviz._core.arguments import look_up, whole_number
from initviz._core.extras import MissingExtra, from_extra
from initviz._core.progress import progress
from initviz._core.torch_internals import tree_map
from initviz.diagnosis import KINDS, Diagnosis, diagnose
from initviz.experiments import compare, remake
from initviz.models import PRECISIONS

TOOLS = {
    "lab": ("initviz.tools._lab", "write the course's notebooks into a folder, and open JupyterLab"),
    "slides": ("initviz.tools._slides", "make an offline deck of each notebook"),
    "site": ("initviz.tools._site", "make a web site of the course and the package's reference"),
    "handout": ("initviz.tools._handout", "write a notebook for students, its questions and its solutions apart"),
    "classroom": ("initviz.tools._classroom", "serve an app to a class from this machine"),
    "execute": ("initviz.tools._execute", "run notebooks in place, or check their outputs"),
    "pretrain": ("initviz.tools._pretrain", "train the networks that ship with initviz"),
    "transfer-study": ("initviz.experiments._transfer_study", "measure what the shipped weights are worth"),
    "rate-study": ("initviz.experiments._rate_sweep", "train at every width and learning rate again"),
}
"""Commands with arguments of their own: name -> (module whose `main` takes them, help)."""


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in TOOLS:
        try:
            with from_extra():
                tool = importlib.import_module(TOOLS[arguments[0]][0])
            return tool.main(arguments[1:]) or 0
        except MissingExtra as error:
            print(f"initviz: {error}", file=sys.stderr)
            return 2
    parser = argparse.ArgumentParser(prog="initviz", description="See what initialization does to a network.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("diagnose", help="probe a model, judge it, find a remedy (exit code: 0 stable, 1 not)")
    check.add_argument(
        "model", help="package.module:name of an nn.Module, or of a function: model, (model, x) or (model, x, y)"
    )
    check.add_argument(
        "--shape",
        help="batch of standard normal numbers, such as 32,3,64,64; needed if no x is returned, and taken in its place",
    )
    check.add_argument("--classes", type=int, help="the batch is whole numbers below this (token ids) instead")
    check.add_argument("--dtype", help="turn model and batch into this type, such as bfloat16 (default: as they are)")
    check.add_argument(
        "--allow",
        metavar="KIND",
        action="append",
        default=[],
        help="a verdict that passes too (exit code 0), such as saturated",
    )
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
    except Exception as error:
        _tell(error)
    return 2


def _diagnose(options: argparse.Namespace) -> int:
    """The model's check-up. Whatever the user's module does, the exit code is 0 or 1 only if there is a verdict."""
    torch.manual_seed(whole_number("seed", options.seed, least=0))
    allow = [kind for kinds in options.allow for kind in kinds.split(",")]
    for kind in allow:
        look_up("allow", kind, KINDS)
    try:
        with progress(f"loading {options.model}"), _modules_from_here():
            model, x, y = _load(options.model, options.shape, options.classes)
            if options.dtype is not None:
                model, x, y = _in_type(look_up("dtype", options.dtype, PRECISIONS), model, x, y)
            page = _page(options, model, x, y)
    except SystemExit as error:
        print(
            f"initviz: model: {options.model} called sys.exit({error.code!r}), and there is no verdict", file=sys.stderr
        )
        return 2
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException:  # such as pytest's Skipped: Python's own exit code, 1, would say "not stable"
        traceback.print_exc()
        return 2
    print(page)
    if options.html:
        head = f"<!doctype html><meta charset='utf-8'><title>{html.escape(page.model)}</title>"
        options.html.write_text(f"{head}{page._repr_html_()}\n", encoding="utf-8", newline="\n")
    return 0 if page.stable or page.verdict.kind in allow else 1


def _page(options: argparse.Namespace, model: nn.Module, x: Any, y: Any) -> Diagnosis:
    try:
        return diagnose(model, x, y, seed=options.seed)
    except ValueError as error:
        if options.shape and not options.classes and any(isinstance(part, nn.Embedding) for part in model.modules()):
            raise ValueError(f"{error}; for token ids give --classes too, how many there are") from error
        raise


def _compare(options: argparse.Namespace) -> int:
    runs = remake(options.output, options.resume, options.workers)
    for optimizer in dict.fromkeys(runs.optimizer):
        print(f"{optimizer}\n{compare(runs, optimizer)[['trained', 'diverged']].round(2).to_string()}")
    return 0


def _load(target: str, shape: str | None, classes: int | None) -> tuple[nn.Module, Any, Any]:
    """The model and its batch.

    Raises:
        ValueError: no such module or name, a function that takes arguments, no batch, a shape that is none, or beside a target.
        TypeError: what is there is no model.
    """
    module_name, _, name = target.partition(":")
    if module_name.endswith(".py"):
        hint = ".".join(Path(module_name).with_suffix("").parts).lstrip("./")
        raise ValueError(f"model: got the file {module_name!r}; it takes the module's name, {hint}:{name or 'name'}")
    if not (module_name and name):
        raise ValueError(f"model: got {target!r}; it takes package.module:name")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise  # one that the user's module imports
        raise ValueError(f"model: {target!r} can't be loaded ({error})") from None
    if not hasattr(module, name):
        raise ValueError(f"model: {target!r} can't be loaded (module {module_name!r} has no {name!r})")
    made = getattr(module, name)
    if not isinstance(made, nn.Module) and callable(made):
        if needed := _needed_arguments(made):
            raise ValueError(
                f"model: {target} takes arguments ({', '.join(needed)}); it must be a function without any"
            )
        made = made()
    model, x, y = (*made, None, None)[:3] if isinstance(made, tuple) else (made, None, None)
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: {target} gave {type(model).__name__}; it takes a torch.nn.Module")
    if shape is not None and y is not None:
        raise ValueError(f"shape: {target} returns a target y for its own x; leave --shape out, or return no y")
    return model, _batch(shape, classes) if x is None or shape is not None else x, y


@contextmanager
def _modules_from_here() -> Iterator[None]:
    """Modules of the present folder can be imported, as python -m does it for the module that it runs."""
    path, here = list(sys.path), os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path[:] = path


def _needed_arguments(function: Any) -> list[str]:
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of some functions written in C it is not known
        return []
    return [p.name for p in found if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _in_type(dtype: torch.dtype, model: nn.Module, x: Any, y: Any) -> tuple[nn.Module, Any, Any]:
    def cast(leaf: Any) -> Any:
        return leaf.to(dtype) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else leaf

    return model.to(dtype), tree_map(cast, x), tree_map(cast, y)


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


def _tell(error: BaseException) -> None:
    """One line for an error of ours; for one that the user's code raised, its traceback there comes before."""
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    frames = list(_frames(root.__traceback__))
    theirs = [frame for frame in frames if _is_users(frame)]
    if theirs and (root is error or _is_users(frames[-1])):  # a batch of the wrong shape is told well by torch alone
        traceback.print_exception(type(root), root, theirs[0], chain=False)
        if root is error:
            return
    elif not isinstance(error, TypeError | ValueError | OSError | MissingExtra):  # a fault of this package
        traceback.print_exception(error)
        return
    print(f"initviz: {error}", file=sys.stderr)


def _frames(frame: TracebackType | None) -> Iterator[TracebackType]:
    while frame is not None:
        yield frame
        frame = frame.tb_next


_OURS = tuple(os.path.dirname(os.path.abspath(str(package.__file__))) + os.sep for package in (initviz, torch))
_PYTHON = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


def _is_users(frame: TracebackType) -> bool:
    """Whether the code is neither this package's nor torch's nor Python's own."""
    path = frame.tb_frame.f_code.co_filename
    pythons = path.startswith("<") or (path.startswith(_PYTHON) and "site-packages" not in path)
    return not pythons and not path.startswith(_OURS)


if __name__ == "__main__":
    sys.exit(main())
