"""An update of the explorer, from the new value of a control to the bytes for the page, against the bare pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, cycle

import initviz as iv
from benchmarks.common import (
    ACTIVATION,
    BATCH,
    DEPTH,
    SCHEME,
    WIDTH,
    Table,
    bare,
    interleaved,
    median,
    network,
    run_alone,
    verdict,
)

ACTIVATIONS = "softsign", ACTIVATION
"""What the activation is moved through. The bare pass is that of the network on screen."""
MORE_MS = 15
"""What an update may cost beyond the bare pass."""


def moves() -> dict[str, Iterator[dict]]:
    """A control -> the values that it is moved through, a new one for every update."""
    return {
        "scale": ({"scale": 10 ** (0.01 * (n % 40) - 0.2)} for n in count()),
        "depth": ({"depth": DEPTH - n % 2} for n in count(1)),
        "seed": ({"seed": n} for n in count(1)),
        "activation": ({"activation": ACTIVATIONS[n % 2]} for n in count()),
        "scheme": ({"scheme": ("orthogonal", SCHEME, "he_uniform")[n % 3]} for n in count()),
    }


def explorer() -> iv.widgets.Explorer:
    return iv.explore(depth=DEPTH, width=WIDTH, activation=ACTIVATION, scheme=SCHEME)


def mover(app: iv.widgets.Explorer, values: Iterator[dict]) -> Callable[[], None]:
    def move() -> None:
        before = app.picture.value
        app.set(**next(values))
        assert app.picture.value != before

    return move


def tables(quick: bool = False) -> list[Table]:
    net, x, y = network()
    others = [iv.mlp(DEPTH, WIDTH, phi, SCHEME, n_in=x.shape[1], n_out=10) for phi in ACTIVATIONS]
    rows = []
    for name, values in moves().items():
        for idle in (True, False) if name == "seed" else (True,):
            app = explorer()
            shown = cycle(others if name == "activation" else [net])
            ways = {"bare": lambda shown=shown: bare(next(shown), x, y), "update": mover(app, values)}
            ahead = (
                (lambda app=app: [*(app.ahead() or ())]) if idle else (lambda: None)
            )  # as in a kernel that no one is waiting for
            times = interleaved(ways, repeats=5 if quick else 31, before=ahead)
            beyond = median([u - b for u, b in zip(times["update"], times["bare"])])
            target = (f"<= bare + {MORE_MS} ms", verdict(beyond, MORE_MS)) if idle else ("-", "-")
            rows.append(
                (
                    f"{name} is moved" + ("" if idle else " with no pause before"),
                    f"{median(times['bare']):.0f}",
                    f"{median(times['update']):.0f}",
                    f"bare {beyond:+.1f} ms",
                    *target,
                )
            )
    title = f"Explorer update, from new value to the page's bytes (depth {DEPTH}, width {WIDTH}, batch {BATCH})"
    return [Table(title, ("control", "bare ms", "update ms", "that is", "target", ""), tuple(rows))]


if __name__ == "__main__":
    run_alone(tables)
