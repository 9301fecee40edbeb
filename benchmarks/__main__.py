"""`python -m benchmarks [--markdown] [--quick] [NAME ...]`: run the benchmarks, all or the named ones, and print their tables."""

from __future__ import annotations

import importlib
import sys

from benchmarks.common import arguments, machine

NAMES = ("probe_cost", "update", "peers", "growth", "memory", "leaks", "theory_agreement")


def main() -> int:
    parser = arguments()
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; default: all")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"{unknown[0]!r} is unknown; it takes some of {', '.join(NAMES)}")
    print(f"Measured on {machine()}. Times are medians; ratios are medians over interleaved rounds.\n")
    missed = 0
    for name in options.names or NAMES:
        for table in importlib.import_module(f"benchmarks.{name}").tables(options.quick):
            print(table.text(options.markdown), flush=True)
            missed += sum("MISSED" in row for row in table.rows)
    if missed:
        print(f"{missed} of the targets missed", file=sys.stderr)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
