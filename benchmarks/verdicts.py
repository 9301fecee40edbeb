"""How often is the verdict right? Some 400 networks, each judged before its first step and then trained with SGD and with Adam.

    python -m benchmarks.verdicts [--processes N] [--first N] [--table]
    python -m benchmarks.verdicts --constants

Each finished network is a line of docs/verdicts.csv, at once; what is there is not trained again, so a run that was stopped goes on
where it was. At the end all verdicts are made anew (which is cheap) and docs/verdicts.md is written; `--table` does that alone. The
grid is in the order of a hash of its settings, so that any first part of it (`--first`) is a fair sample.

`--constants` is by itself: it prints what FAINT and ODD rest on, which the grid does not decide, within a minute.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap

import initviz as iv
from benchmarks.common import Table
from initviz._core.threads import one_thread
from initviz.diagnosis._remedies import most_frequent, times_suited
from initviz.training import OPTIMIZERS, batch_index

DOCS = Path(__file__).resolve().parent.parent / "docs"
RATES = {"sgd": (0.01, 0.1, 0.5), "adam": (0.001, 0.003, 0.01)}
STEPS, BATCH, WIDTH, CHANNELS = 200, 64, 64, 16
BAR = 0.8
"""Share of the best accuracy of any start of the same family and activation from which a network counts as trained."""
LEAST = 0.5
"""And no network with less counts as trained, however bad the others are."""


class Reader(nn.Module):
    """A recurrent layer that reads an image in `steps` pieces, and a classifier on its last state."""

    def __init__(self, cell: str, steps: int) -> None:
        super().__init__()
        kinds: dict[str, Callable[..., nn.Module]] = {"lstm": nn.LSTM, "gru": nn.GRU}
        more = {} if cell in kinds else {"nonlinearity": cell}
        self.cell = kinds.get(cell, nn.RNN)(64 // steps, WIDTH // 2, batch_first=True, **more)
        self.output = nn.Linear(WIDTH // 2, 10)
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.cell(x.unflatten(1, (self.steps, -1)))[0][:, -1])


@dataclass(frozen=True)
class Network:
    """One network of the grid: the arguments of its builder, and what was done to it afterwards (a key of FAULTS).

    `depth` counts hidden layers, blocks, or the steps of a recurrent layer; `variant` is the normalization or the remedy of a branch.
    """

    family: str
    activation: str
    scheme: str
    scale: float
    depth: int
    variant: str = "none"
    fault: str = "none"

    def __str__(self) -> str:
        rest = [word for word in (self.variant, self.fault) if word != "none"]
        return ", ".join([f"{self.family} {self.activation} {self.depth}, {self.scheme} x {self.scale:g}", *rest])

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(str(self).encode()).digest()

    @property
    def held_out(self) -> bool:
        """Whether it is in the quarter that no threshold may be chosen by."""
        return self.digest[-1] < 64

    def build(self) -> nn.Module:
        draw: dict[str, Any] = {"scale": self.scale, "seed": int.from_bytes(self.digest[-4:-1], "big")}
        start = (self.activation, self.scheme)
        if self.family == "rnn":
            net: nn.Module = iv.init_(Reader(self.activation, self.depth), self.scheme, **draw)
        elif self.family == "transformer":
            net = iv.transformer(self.depth, WIDTH // 2, 4, *start, norm=self.variant, **draw)
        elif self.family == "residual":
            net = iv.residual(self.depth, WIDTH, *start, remedy=self.variant, **draw)
        elif self.family == "cnn":
            net = iv.cnn(self.depth, CHANNELS, *start, normalization=self.variant, **draw)
        else:
            net = iv.mlp(self.depth, WIDTH, *start, normalization=self.variant, **draw)
        matrices = [name for name, p in net.named_parameters() if p.dim() > 1 and name != "positions"]
        middle = net.get_submodule(matrices[len(matrices) // 2 - (self.family == "rnn")].rpartition(".")[0])
        with torch.no_grad():
            FAULTS[self.fault](net, middle)
        return net


def _matrix(layer: Any) -> Tensor:
    return layer.weight if hasattr(layer, "weight") else layer.weight_hh_l0


def _every(net: nn.Module, change: Callable[[Tensor], Any]) -> None:
    for p in net.parameters():
        if p.dim() > 1:
            change(p)


def _cut(layer: nn.Module, args: Any, out: Any) -> Any:
    return out.detach() if isinstance(out, Tensor) else (out[0].detach(), out[1])


FAULTS: dict[str, Callable[[Any, nn.Module], Any]] = {
    "none": lambda net, middle: None,
    "output of zeros": lambda net, middle: net.output.weight.zero_(),
    "output x 300": lambda net, middle: net.output.weight.mul_(300),
    "pixels 0 to 255": lambda net, middle: net.register_forward_pre_hook(lambda m, args: (255 / 3.7 * (args[0] + 0.8),)),
    "all weights zero": lambda net, middle: _every(net, torch.zero_),
    "all weights of std 1": lambda net, middle: _every(net, partial(Tensor.normal_, generator=torch.Generator().manual_seed(0))),
    "a layer of equal units": lambda net, middle: _matrix(middle).copy_(_matrix(middle)[:1].clone()),
    "a layer x 0.0001": lambda net, middle: _matrix(middle).mul_(1e-4),
    "a layer x 1000": lambda net, middle: _matrix(middle).mul_(1e3),
    "a layer's biases -10": lambda net, middle: next(p for p in middle.parameters() if p.dim() == 1).fill_(-10),
    "a layer detached": lambda net, middle: middle.register_forward_hook(_cut),
    "a NaN": lambda net, middle: _matrix(middle)[0, 0].fill_(math.nan),
}  # fmt: skip
"""What is done to (network, a layer in its middle). The first two are sound."""


def grid() -> list[Network]:
    """All networks, in the order of their hashes."""
    dense = ("he_normal", "xavier_normal", "lecun_normal", "pytorch_default", "small_normal", "orthogonal")
    conv = ("he_normal", "xavier_normal", "pytorch_default", "delta_orthogonal")
    blocks = [
        product(["mlp"], ["relu", "tanh", "sigmoid", "gelu"], dense, [1, 2], [5, 15, 30]),
        product(["mlp"], ["relu"], ["he_normal", "small_normal"], [1, 2], [15, 30], ["layer"]),
        product(["cnn"], ["relu", "tanh"], conv, [1, 2], [4, 12]),
        product(["residual"], ["relu", "tanh"], ["he_normal"], [1, 2], [4, 12, 24], ["none", "branch_scale", "zero_last", "fixup"]),
        product(["transformer"], ["gelu", "relu"], ["truncated_normal", "small_normal"], [1, 4], [2, 6], ["pre", "post", "none"]),
        product(["rnn"], ["tanh", "relu", "lstm", "gru"], ["pytorch_default", "orthogonal", "small_normal"], [1, 3], [8, 16, 32]),
        ((*sound, fault) for sound in SOUND for fault in FAULTS if fault != "none"),
    ]  # fmt: skip
    return sorted((Network(*settings) for block in blocks for settings in block), key=lambda n: n.digest)


SOUND: list[tuple] = [
    ("mlp", "relu", "he_normal", 1, 5, "none"),
    ("mlp", "tanh", "xavier_normal", 1, 5, "none"),
    ("cnn", "relu", "he_normal", 1, 4, "none"),
    ("residual", "relu", "he_normal", 1, 4, "branch_scale"),
    ("transformer", "gelu", "truncated_normal", 1, 2, "pre"),
    ("rnn", "lstm", "pytorch_default", 1, 8, "none"),
]
"""What each of FAULTS is done to."""


# One network ---------------------------------------------------------------------------------------------------------------


def judged(network: Network) -> dict[str, Any]:
    """The verdict before the first step, and what it is made of: the changes of scale are log10 of last over first."""
    x, y = iv.digits().batch(128, seed=0)
    report = iv.probe(network.build(), x, y)
    found = iv.verdict(report)
    hidden = [s for s in report.reached if s.activation_name] or report.reached[:-1]
    forward = [s.activation or s.preactivation for s in hidden]
    backward = [s.preactivation_gradient for s in hidden[::-1] if s.preactivation_gradient]
    return {
        "verdict": found.kind,
        "slow": float("plain SGD will hardly" in found.why),
        "forward": _change([s.rms for s in forward if s]),
        "backward": _change([s.rms * math.sqrt(s.count) for s in backward]),
        "saturated": float(np.nan_to_num(report.values("activation", "saturated")).max()),
        "dead": max(s.dead_units or 0.0 for s in report.reached),
        "loss": report.loss,
    }


def _change(values: list[float]) -> float:
    if not values or not all(map(math.isfinite, values)):
        return math.nan
    return -math.inf if 0 in (values[0], values[-1]) else math.log10(values[-1]) - math.log10(values[0])


def trained(network: Network, steps: int = STEPS) -> dict[str, float]:
    """Test accuracy after training, for each optimizer and rate: all six as one computation, each a row of `flat`."""
    data, net = iv.digits(), network.build()
    named = dict(net.named_parameters())
    sizes = [p.numel() for p in named.values()]
    runs = [(name, lr) for name, rates in RATES.items() for lr in rates]
    flat = nn.utils.parameters_to_vector(named.values()).detach().repeat(len(runs), 1).requires_grad_()
    rows = [row.clone() for row in flat.detach()]
    optimizers = [OPTIMIZERS[name]([row], lr=lr) for row, (name, lr) in zip(rows, runs)]

    def logits(row: Tensor, x: Tensor) -> Tensor:
        parts = {n: part.view(p.shape) for (n, p), part in zip(named.items(), row.split(sizes))}
        return functional_call(net, parts, (x,))

    def all_logits(x: Tensor) -> Tensor:
        if network.family == "rnn":  # vmap has no rule for torch's recurrent layers
            return torch.stack([logits(row, x) for row in flat])
        return vmap(logits, (0, None))(flat, x)

    for step in range(steps):
        index = batch_index(len(data.x_train), BATCH, 0, step)
        out = all_logits(data.x_train[index])
        losses = F.cross_entropy(out.flatten(0, 1), data.y_train[index].repeat(len(runs)), reduction="none")
        (gradient,) = torch.autograd.grad(losses.sum() / BATCH, flat)
        for row, own, optimizer in zip(rows, gradient, optimizers):
            row.grad = own
            optimizer.step()
        with torch.no_grad():
            flat.copy_(torch.stack(rows))
    with torch.no_grad():
        out = all_logits(data.x_test)
    right = (out.argmax(-1) == data.y_test) & out.isfinite().all(-1)
    return {f"{name} {lr:g}": float(share) for (name, lr), share in zip(runs, right.double().mean(1))}


def score(network: Network, steps: int = STEPS) -> dict[str, Any]:
    """A row of the file: the settings, the verdict and what training did. A function of the settings alone, on one thread."""
    with one_thread():
        row = asdict(network) | judged(network)
        torch.set_flush_denormal(True)  # a signal that has vanished is slow to train otherwise
        try:
            return row | trained(network, steps)
        finally:
            torch.set_flush_denormal(False)


# All of them ---------------------------------------------------------------------------------------------------------------


def results(
    networks: Sequence[Network], path: Path, executor: Executor | None = None, steps: int = STEPS
) -> list[dict]:
    """The rows of these networks, trained on any executor (None: here) unless they are in `path` already, where each goes as it ends."""
    done = read(path)
    todo = [network for network in networks if network not in done]
    for row in _scores(todo, executor, steps):
        with path.open("a", encoding="utf-8", newline="\n") as out:
            writer = csv.DictWriter(out, row, lineterminator="\n")
            if not out.tell():
                writer.writeheader()
            writer.writerow(row)
        done[settings_of(row)] = row
    return [done[network] for network in networks]


def _scores(todo: Sequence[Network], executor: Executor | None, steps: int) -> Iterator[dict]:
    if executor is None:
        yield from (score(network, steps) for network in todo)
    else:
        futures = [executor.submit(score, network, steps) for network in todo]
        try:
            yield from (future.result() for future in as_completed(futures))
        finally:
            for future in futures:
                future.cancel()


def read(path: Path) -> dict[Network, dict]:
    """The rows of a file. A last line that was cut off while it was written is taken out of it."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8", newline="\n")
    words = {"family", "activation", "scheme", "variant", "fault", "verdict"}
    rows = [{k: v if k in words else float(v) for k, v in row.items()} for row in csv.DictReader(whole.splitlines())]
    return {settings_of(row): row for row in rows}


def settings_of(row: dict) -> Network:
    settings = {field.name: row[field.name] for field in fields(Network)}
    return Network(**settings | {"depth": int(row["depth"])})


# The table -----------------------------------------------------------------------------------------------------------------


def best(row: dict, optimizer: str) -> float:
    return max(row[f"{optimizer} {lr:g}"] for lr in RATES[optimizer])


def with_outcomes(rows: Sequence[dict]) -> list[dict]:
    """The rows, each with its network, whether that is held out, whether it was judged sick, whether its sentence warned of "sgd" and of
    "adam", and whether these trained it."""
    bars: dict[tuple, float] = {}
    for row in rows:
        alike = row["family"], row["activation"]
        bars[alike] = max(bars.get(alike, LEAST), *(BAR * best(row, name) for name in RATES))
    return [
        row
        | {
            "network": (n := settings_of(row)),
            "held out": n.held_out,
            "sick": (sick := row["verdict"] != "stable"),
            "warned": {"sgd": sick or bool(row["slow"]), "adam": sick},
            "words": row["verdict"] + ", SGD is slow" * bool(row["slow"]),
        }
        | {name: best(row, name) >= bars[row["family"], row["activation"]] for name in RATES}
        for row in rows
    ]


WORDS = {"hits": (True, False), "false alarms": (True, True), "misses": (False, False), "sound, trained": (False, True)}
"""What to call a network that was (judged sick, trained)."""


def _end_to_end(row: dict) -> float:
    """The larger change of scale, as a ratio; NaN where the ends do not say it: over time, or where a branch or the output is shut."""
    if row["family"] == "rnn" or row["backward"] == -math.inf:
        return math.nan
    return 10 ** min(max(abs(row["forward"]), abs(row["backward"])), 300)


THRESHOLDS: dict[str, tuple[tuple[str, ...], Callable[[dict], float], tuple[float, ...]]] = {
    "RATIO": (("vanishing", "exploding"), _end_to_end, (30, 100, 300, 1000, 3000, 10_000)),
    "OFF_CHANCE": (("off-scale",), lambda row: (row["loss"] - 1) / math.log(10), (3, 5, 10, 20, 50, 100)),
    "SATURATED": (("saturated",), lambda row: row["saturated"], (0.1, 0.25, 0.5, 0.75, 0.9)),
    "DEAD": (("dead",), lambda row: row["dead"], (0.5, 0.7, 0.9, 0.99)),
}
"""A threshold of the verdict -> the kinds that it decides, what is compared with it, and values to try."""


def tables(rows: Sequence[dict], total: int) -> list[Table]:
    rows = with_outcomes(rows)
    heads = ("networks", *(f"{word} ({name})" for name in RATES for word in WORDS))

    def line(what: str, some: Sequence[dict], sick: Sequence[bool] | None = None) -> tuple:
        warned = {name: [row["warned"][name] for row in some] if sick is None else sick for name in RATES}
        pairs = [list(zip(warned[name], (row[name] for row in some), strict=True)) for name in RATES]
        return (what, len(some), *(found.count(pair) for found in pairs for pair in WORDS.values()))

    def by(column: str) -> tuple:
        return tuple(
            line(value, [r for r in rows if r[column] == value]) for value in sorted({r[column] for r in rows})
        )

    parts = {"to choose by": [r for r in rows if not r["held out"]], "held out": [r for r in rows if r["held out"]]}
    others = []
    for name, (kinds, measure, values) in THRESHOLDS.items():
        for part, some in parts.items():
            own = [(r, measure(r)) for r in some if r["verdict"] in ("stable", *kinds) and not math.isnan(measure(r))]
            others += [
                line(f"{name} {v:,}, {part}", [r for r, _ in own], [found > v for _, found in own]) for v in values
            ]
    adam = [r["words"] for r in rows if r["adam"] and not r["sgd"]]
    wrong = sorted(
        (r for r in rows if any(r["warned"][name] == r[name] for name in RATES)),
        key=lambda r: (r["sick"], str(r["network"])),
    )
    named = tuple(
        (r["network"], r["words"], f"10^{r['forward']:.1f}", f"10^{r['backward']:.1f}", f"{r['loss']:.3g}",
         f"{best(r, 'sgd'):.0%}", f"{best(r, 'adam'):.0%}", " and ".join(name for name in RATES if r["warned"][name] == r[name]))
        for r in wrong
    )  # fmt: skip
    whole = (line("all", rows), *(line(part, some) for part, some in parts.items()))
    by_verdict = tuple((*row, adam.count(row[0])) for row in by("words"))
    return [
        Table(f"All verdicts ({len(rows)} of {total} networks)", ("", *heads), whole),
        Table("By verdict", ("verdict", *heads, "trained by Adam alone"), by_verdict),
        Table("By family", ("family", *heads), by("family")),
        Table("If a threshold were another (networks that are stable or of its kinds)", ("threshold", *heads), tuple(others)),
        Table("Where the verdict and training differ", ("network", "verdict", "forward", "backward", "first loss", "SGD", "Adam",
              "wrong for"), named),
    ]  # fmt: skip


def page(rows: Sequence[dict], total: int) -> str:
    """docs/verdicts.md."""
    rates = {name: ", ".join(f"{lr:g}" for lr in some) for name, some in RATES.items()}
    about = f"""# How often is the verdict right?

    python -m benchmarks.verdicts

{len(rows)} of the {total} networks of the grid were run, in the order of a hash of their settings. Each was judged on 128 digits
before its first step (`iv.verdict(iv.probe(net, x, y))`), and then trained for {STEPS} steps of batches of {BATCH} on `iv.digits()`, with
plain SGD (learning rates {rates["sgd"]}) and with Adam ({rates["adam"]}). The best of the three rates counts. Networks have {WIDTH}
units a layer (MLP, residual), {CHANNELS} channels (CNN), or {WIDTH // 2} units (transformer, recurrent).

**Trained** means a test accuracy of at least {LEAST:.0%}, and of at least {BAR:.0%} of the best that any start of the same family and
activation reached, whatever its depth, with either optimizer. A **hit** is a network that was judged sick and did not train; a
**false alarm** was judged sick and trained; a **miss** was judged stable and did not train; **sound,
trained** was judged stable and trained.
A quarter of the networks, chosen by
a hash, is **held out**: no threshold may be chosen by them. Changes of scale are last layer over first for activations (forward)
and first over last for gradients (backward).

**SGD is slow** marks a verdict whose sentence says that plain SGD will hardly move some layers, or hardly train the network, and that
Adam can. In the columns of SGD a stable network of that kind counts as one that was warned of: a hit if SGD did not train it, a false
alarm if it did.

What a start does is not all that training depends on: a miss can be a network that these rates and {STEPS} steps are too few for. And
"untrainable" and "symmetric" say that some parameters or units will not learn; where the others do without them, that counts as a
false alarm here.

**The thresholds** follow from the table of other thresholds. OFF_CHANCE went from 3 to 5: up to 10 no hit is lost and false alarms fall,
and a tied embedding of std 1, which this grid does not hold, starts at six times chance or more. RATIO stays at 1,000, where Adam's hits
and false alarms balance; where the scale changes by more than about 30, plain SGD often fails and Adam does not, and the sentence says
so ("SGD is slow"). SATURATED stays at 0.5: its false alarms are residual networks, whose signal passes by;
plain tanh networks of 10 layers with that share do not train (Xavier times 4:
SGD 31%, Adam 57% at the best of these rates). DEAD stays at 0.9.

All rows are in [verdicts.csv](verdicts.csv): the settings, the verdict, what it is made of, and the accuracy at each rate.

"""
    return about + "\n".join(table.text(markdown=True) for table in tables(rows, total))


# FAINT and ODD -------------------------------------------------------------------------------------------------------------

SEEDS = 3
CONSTANT_RATES = (("sgd", 0.1), ("sgd", 1.0), ("adam", 0.001), ("adam", 0.01))


def accuracies(racers: dict[str, Any], data: Any, steps: int) -> dict[str, list[str]]:
    """Label -> test accuracy after so many steps, mean ± std over seeds, at each of CONSTANT_RATES."""
    found: dict[str, list[str]] = {label: [] for label in racers}
    for optimizer, lr in CONSTANT_RATES:
        run = iv.race(
            racers, data, width=WIDTH, seeds=SEEDS, steps=steps, every=steps, lr=lr, optimizer=optimizer, vectorize=True
        )
        for label, own in found.items():
            ends = 100 * run.final_accuracy(label)
            own.append(f"{ends.mean():.0f} ± {ends.std(ddof=1):.0f} %")
    return found


def faint_inputs(steps: int = 300) -> Table:
    """What training does with inputs of a small rms, and what the verdict says of the networks."""
    racers: dict[str, Any] = {
        "ReLU, 2 hidden layers, He": {"depth": 2, "activation": "relu", "scheme": "he_normal"},
        "tanh, 4 hidden layers, Xavier": {"depth": 4, "activation": "tanh", "scheme": "xavier_normal"},
    }
    data, rows = iv.digits(), []
    for rms in (1.0, 0.03, 0.01, 0.005, 0.002, 0.001, 0.0003):
        small = replace(data, x_train=rms * data.x_train, x_test=rms * data.x_test)
        x, y = small.batch(128)
        ends = accuracies(racers, small, steps)
        for label, how in racers.items():
            kinds = {iv.verdict(iv.probe(iv.mlp(width=WIDTH, seed=seed, **how), x, y)).kind for seed in range(SEEDS)}
            rows.append((f"rms {rms:g}, {label}", " or ".join(sorted(kinds)), *ends[label]))
    return Table(
        f"FAINT: inputs that are small ({SEEDS} seeds, {steps} steps)",
        ("inputs", "verdict", *(f"{name} {lr:g}" for name, lr in CONSTANT_RATES)),
        tuple(rows),
    )


def odd_weights() -> Table:
    """From how many times the variance on, in so many layers of ten, the whole is judged exploding (or from what part of it on vanishing),
    and in how many of the networks that are the remedy names the layers."""
    x, y = iv.digits().batch(128)
    rows = []
    for (activation, scheme), (kind, sign) in product(
        (("relu", "he_normal"), ("tanh", "xavier_normal")), (("exploding", 1), ("vanishing", -1))
    ):
        cells = []
        for odd in (1, 2, 3, 4):
            for times in (10.0, 30.0, 100.0, 300.0, 1e3, 1e4, 1e5, 1e6, 1e7):
                found = [_with_odd(activation, scheme, odd, times**sign, seed, x, y) for seed in range(SEEDS)]
                if all(one.kind == kind for one in found):
                    break
            named = sum("by the scheme of the others" in one.remedy for one in found)
            cells.append(f"{times:.0e}, {named} of {SEEDS}" if found[0].kind == kind else f"never ({found[0].kind})")
        rows.append((f"{activation}, {kind}", *cells))
    return Table("ODD: factor on the variance, and named", ("layers of ten", "1", "2", "3", "4"), tuple(rows))


def _with_odd(activation: str, scheme: str, odd: int, times: float, seed: int, x: Tensor, y: Tensor) -> iv.Verdict:
    net = iv.mlp(10, WIDTH, activation, scheme, seed=seed)
    with torch.no_grad():
        for layer in net.hidden[4 : 4 + odd]:
            layer.weight.mul_(math.sqrt(times))
    return iv.verdict(iv.probe(net, x, y))


def spread_of_weights() -> Table:
    """How far a layer's variance, over what suits its fans, is from the median of its network, where nothing was done to it."""
    x, y = iv.digits().batch(64)
    far: dict[str, tuple[float, Network]] = {}
    for network in grid():
        if network.fault != "none" or network.family == "rnn" or network.scheme == "small_normal":
            continue
        if not network.held_out:  # a quarter of the grid is enough
            continue
        layers = iv.probe(network.build(), x, y, quantities=()).reached
        name = most_frequent(layers)
        ratios = [r for s in layers if name and s.activation_name == name and (r := times_suited(s, name))]
        if ratios:
            middle = float(np.median(ratios))
            furthest = max(max(ratios) / middle, middle / min(ratios))
            far[network.family] = max(
                far.get(network.family, (0.0, network)), (furthest, network), key=lambda pair: pair[0]
            )
    rows = tuple((family, f"{ratio:.1f}", str(network)) for family, (ratio, network) in sorted(far.items()))
    return Table("ODD: the oddest layer of sound weights", ("family", "times the median", "network"), rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="0: here; default: one a core")
    parser.add_argument("--first", type=int, help="only so many networks of the grid")
    parser.add_argument("--table", action="store_true", help="train nothing: judge the networks in the file anew")
    parser.add_argument("--steps", type=int, default=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--docs", type=Path, default=DOCS, help="the folder of verdicts.csv and verdicts.md")
    parser.add_argument("--constants", action="store_true", help="print what FAINT and ODD rest on, and no more")
    options = parser.parse_args(arguments)
    if options.constants:
        with one_thread():
            for make in (spread_of_weights, odd_weights, faint_inputs):
                print(make().text(), flush=True)
        return
    networks, path = grid(), options.docs / "verdicts.csv"
    processes = 0 if options.table else options.processes
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) if processes else nullcontext() as executor:
        results([] if options.table else networks[: options.first], path, executor, options.steps)
    done = read(path)
    with one_thread():
        rows = [done[network] | judged(network) for network in networks if network in done]
    with path.open("w", encoding="utf-8", newline="\n") as out:
        writer = csv.DictWriter(out, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (options.docs / "verdicts.md").write_text(page(rows, len(networks)), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
