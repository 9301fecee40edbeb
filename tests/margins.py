"""`python tests/margins.py notebook ... [-- machine ...]`: how near the outputs and claims of notebooks are to failing.

On one machine a notebook passes or fails. This runs it on several (without names: ulp-4 to ulp-7, beside those of the checks) and says

- of each cell: the largest part of its tolerance by which a number differs from the stored one; above 1 it fails;
- of each comparison in an `assert`: how far the two sides are apart, in spreads over the machines; below 0 it fails somewhere.

What is near 1, or below four spreads, is decided by rounding on some machine that nobody tried: see "Other machines" in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from itertools import zip_longest
from pathlib import Path
from typing import Any

import machines

LEAST_PART, MOST_SPREADS = 0.5, 6
"""What is printed: cells that use more of their tolerance than that, and claims with less room than that."""


class _Claims(ast.NodeTransformer):
    """An assert becomes its test alone, assigned to a name so that the end of a cell does not show it."""

    def __init__(self, cell: int) -> None:
        self.cell = cell

    def visit_Assert(self, node: ast.Assert) -> ast.Assign:
        return ast.copy_location(
            ast.Assign([ast.Name("_claim", ast.Store())], _Compared(self.cell).visit(node.test)), node
        )


class _Compared(ast.NodeTransformer):
    """Each comparison of sizes goes through `claim`."""

    def __init__(self, cell: int) -> None:
        self.cell = cell

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        signs = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
        if not all(type(sign) in signs for sign in node.ops):
            return node
        sides = [node.left, *node.comparators]
        calls: list[ast.expr] = [
            ast.Call(
                ast.Attribute(
                    ast.Call(ast.Name("__import__", ast.Load()), [ast.Constant("margins")], []), "claim", ast.Load()
                ),
                [ast.Constant(self.cell), ast.Constant(node.lineno), ast.Constant(signs[type(sign)]), left, right],
                [],
            )
            for sign, left, right in zip(node.ops, sides, sides[1:])
        ]
        return ast.copy_location(calls[0] if len(calls) == 1 else ast.BoolOp(ast.And(), calls), node)


def rewritten(source: str, cell: int) -> str:
    """The cell's code with its asserts measured and not raised; as it is where it has none, or is no plain Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    if not any(isinstance(node, ast.Assert) for node in ast.walk(tree)):
        return source
    return ast.unparse(ast.fix_missing_locations(_Claims(cell).visit(tree)))


def claim(cell: int, line: int, sign: str, left: Any, right: Any) -> Any:
    """What `left sign right` gives; the least distance of the two sides, positive where it holds, is written to the file MARGINS."""
    import numpy as np

    sides = [
        np.asarray(side.detach().cpu() if hasattr(side, "detach") else side, dtype=float) for side in (left, right)
    ]
    low, high = sides if sign.startswith("<") else sides[::-1]
    distance = high - low
    if distance.size:
        with open(os.environ["MARGINS"], "a", encoding="utf-8") as file:
            file.write(json.dumps([cell, line, float(distance.min())]) + "\n")
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[sign]


def measure(path: Path) -> dict[str, dict[str, float]]:
    """On the machine that this process is: the part of its tolerance that each cell uses, and how far apart the sides of its claims are."""
    import nbformat

    from initviz.tools import _execute
    from initviz.tools._same_outputs import is_resampled, part_used, tolerance

    notebook = nbformat.read(path, as_version=4)
    stored = [_execute.text_outputs(cell) for cell in notebook.cells]
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            cell.outputs, cell.source = [], rewritten(cell.source, number)
    log = Path(os.environ["MARGINS"])
    log.write_text("", encoding="utf-8")
    _execute.run(notebook, path.parent)
    parts: dict[str, float] = {}
    for number, (cell, before) in enumerate(zip(notebook.cells, stored, strict=True), start=1):
        tags = cell.metadata.get("tags", [])
        for one, other in zip_longest(before, _execute.text_outputs(cell), fillvalue=""):
            html = one.startswith("text/html")
            part = part_used(one, other, tolerance(tags), resampled=is_resampled(tags), html=html)
            parts[f"cell {number}"] = max(part, parts.get(f"cell {number}", 0))
    seen: Counter[int] = Counter()
    claims: dict[str, float] = {}
    for cell, line, distance in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
        seen[cell] += 1
        claims[f"cell {cell}, line {line}, comparison {seen[cell]}"] = distance
    return {"parts": parts, "claims": claims}


def main(arguments: list[str]) -> int:
    """The command; returns its exit status, 1 where a cell or a claim fails on one of the machines."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    paths, names = arguments[:split], arguments[split + 1 :] or [f"ulp-{seed}" for seed in range(4, 8)]
    if machines.unknown(names):
        return 2
    failed = False
    for path in paths:
        parts, claims = defaultdict(list), defaultdict(list)
        for name in names:
            with machines.environment(name) as environment, tempfile.TemporaryDirectory() as folder:
                environment["MARGINS"] = str(Path(folder, "claims"))
                command = [sys.executable, __file__, "--measure", path]
                found = json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)
            for cell, part in found["parts"].items():
                parts[cell].append(part)
            for place, distance in found["claims"].items():
                claims[place].append(distance)
        failed = _report(path, parts, claims) or failed
    return int(failed)


def _report(path: str, parts: dict[str, list[float]], claims: dict[str, list[float]]) -> bool:
    """Print what has little room; whether any of it fails."""
    import numpy as np

    print(path)
    for cell, used in parts.items():
        if max(used) > LEAST_PART:
            print(f"  {cell}: up to {max(used):.2f} of its tolerance")
    for place, distances in claims.items():
        mean, spread = np.mean(distances), np.std(distances, ddof=1) if len(distances) > 1 else 0.0
        if min(distances) < 0 or mean < MOST_SPREADS * spread:
            print(f"  {place}: apart by {mean:.3g} ± {spread:.2g}, at least {min(distances):.3g}")
    return max(map(max, parts.values()), default=0) > 1 or min(map(min, claims.values()), default=0) < 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(Path(sys.argv[2]))))
    else:
        sys.exit(main(sys.argv[1:]))
