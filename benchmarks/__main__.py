"""`python -m benchmarks [--markdown | --readme] [--quick] [NAME ...]`: run the benchmarks, all or the named ones, and print their tables.

`--readme` also puts the ways compared and each target into README.md, between its two marks.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from benchmarks.common import Table, arguments, machine

NAMES = (
    "probe_cost",
    "gpu",
    "update",
    "page",
    "peers",
    "growth",
    "memory",
    "leaks",
    "lsuv",
    "race",
    "classroom",
    "theory_agreement",
)
QUOTED = ("probe_cost", "gpu", "update", "peers", "growth", "memory", "leaks", "classroom")
README = Path(__file__).resolve().parent.parent / "README.md"
MARKS = re.compile(r"(<!-- benchmarks -->\n)(.*?)(<!-- end of benchmarks -->)", re.S)
BLOCKS = re.compile(r"^(?=Measured on )", re.M)
"""Between the marks each machine has a block that begins with its name."""


def main() -> int:
    parser = arguments()
    parser.add_argument("--readme", action="store_true", help=f"run {', '.join(QUOTED)} and quote them in README.md")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; default: all")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"{unknown[0]!r} is unknown; it takes some of {', '.join(NAMES)}")
    if options.readme and options.names:
        parser.error("--readme runs its own benchmarks; leave the names out")
    print(how_measured() + "\n")
    tables: dict[str, list[Table]] = {}
    for name in options.names or (QUOTED if options.readme else NAMES):
        tables[name] = importlib.import_module(f"benchmarks.{name}").tables(options.quick)
        for table in tables[name]:
            print(table.text(options.markdown), flush=True)
    if options.readme:
        README.write_text(quoted(README.read_text(encoding="utf-8"), tables), encoding="utf-8", newline="\n")
    missed = sum("MISSED" in row for some in tables.values() for table in some for row in table.rows)
    if missed:
        print(f"{missed} of the targets missed", file=sys.stderr)
    return int(missed > 0)


def how_measured() -> str:
    return f"Measured on {machine()}. Times are medians; ratios are medians over interleaved rounds."


def quoted(readme: str, tables: dict[str, list[Table]]) -> str:
    """The README with the tables of this machine between its marks: the ways compared in full, and of the others each row that has a
    target. Those of other machines stay.

    A row that has one ends in (what was measured, the target, whether it is met).
    """
    aims = [
        (f"{table.title.split(' (')[0].split(':')[0]}: {row[0]}", *row[-3:])
        for name, some in tables.items() if name != "peers"
        for table in some
        for row in table.rows if row[-1] in ("met", "MISSED")
    ]  # fmt: skip
    targets = Table("Targets", ("what", "measured", "target", ""), tuple(aims))
    parts = [how_measured(), *(table.text(markdown=True) for table in [*tables["peers"], targets])]
    found = MARKS.search(readme)
    if not found:
        raise ValueError("README.md: its two marks for the benchmarks are missing")
    here = "\n\n".join(part.strip() for part in parts) + "\n"
    blocks = [block for block in BLOCKS.split(found[2]) if block.startswith("Measured on ")]
    others = [block.strip() + "\n" for block in blocks if not block.startswith(f"Measured on {machine()}.")]
    return readme[: found.start()] + found[1] + "\n".join([here, *others]) + found[3] + readme[found.end() :]


if __name__ == "__main__":
    sys.exit(main())
