"""Notebook 09: questions and exercises on the comparison. What is right is read from the shipped runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from initviz.course._kit import Choice, Exercise, Question, Unanswered, Wrong, call, number
from initviz.experiments import GRID, cells, compare
from initviz.initializers import ACTIVATIONS, get_scheme

QUESTIONS = {
    "sigmoid": Question(
        "The lecture recommends Xavier for sigmoid. How deep do plain sigmoid networks train with it, in 200 steps of SGD at the best of "
        "seven rates up to 3?",
        (
            Choice(
                "30 layers, like tanh with Xavier",
                "A sigmoid's slope is at most 1/4, and Xavier's weights do not make up for it (notebook 05).",
            ),
            Choice(
                "5 layers",
                "Each layer leaves a sixteenth of the gradient's second moment, or less. Five leave too little for SGD.",
            ),
            Choice(
                "2 layers",
                "At a rate of 3 two layers reach 97 %. Five are a guess under SGD, whatever the rate. Adam, which divides by the "
                "gradient's size, still trains them.",
                right=True,
            ),
        ),
    ),
    "default": Question(
        "“Most frameworks default to appropriate initialization.” PyTorch's default, ReLU, SGD at the best of its rates: what becomes of "
        "2, 5 and 30 layers?",
        (
            Choice(
                "2 are as good as any, 5 fall behind, 30 learn nothing",
                "It has a sixth of the variance that ReLU wants. Two layers do not mind; five are at 80 % on average after 200 "
                "steps, where He's are at 97 %; and of 30 nothing arrives.",
                right=True,
            ),
            Choice(
                "all are as good as with He",
                "Six to the power of 30: that much of the gradient's second moment is lost.",
            ),
            Choice(
                "even 2 learn nothing",
                "A factor of six is no hindrance to two layers at a larger rate: a rate makes up for the size of a gradient.",
            ),
        ),
    ),
    "depth": Question(
        "He keeps the scale of a ReLU network at any depth. Is a network of 30 ReLU layers, 64 units each, then as easy to train as "
        "one of 5?",
        (
            Choice(
                "yes: the scale is what matters", "On average it is kept. In one draw of a narrow network it strays."
            ),
            Choice(
                "no: narrow and deep, a single draw strays far",
                "The logarithm of the second moment has variance 5 L/n: at 30 layers of 64 units a standard deviation of 1.5, a factor of "
                "4.6. And all images come out nearly alike.",
                right=True,
            ),
            Choice("no: He makes it explode", "Not on average: the factor per layer is 1."),
        ),
    ),
}

SCHEMES, DEPTHS = GRID["scheme"], GRID["depth"]
RECOMMENDED = {"sigmoid": "xavier_normal", "tanh": "xavier_normal", "relu": "he_normal", "sine": "lecun_normal"}


def _judge_map(answer: Any) -> None:
    if not isinstance(answer, Mapping):
        raise Wrong("the answer is a dictionary, activation -> depth.")
    if any(answer.get(name, ...) in (..., None) for name in RECOMMENDED):
        raise Unanswered
    table, words = compare(), []
    for name, scheme in RECOMMENDED.items():
        given, right = number(answer[name]), int(table.loc[scheme, name])
        if given not in (0, *DEPTHS):
            raise Wrong(f"{name}: {given:g} is none of 0, {', '.join(map(str, DEPTHS))}.")
        if given != right:
            words.append(
                f"{ACTIVATIONS[name].label} trains {'deeper' if given < right else 'less deep'} than {given:g}"
            )
    if words:
        raise Wrong("; ".join(words) + ".")


def _judge_deepest(answer: Any) -> None:
    made = pd.DataFrame(
        [("he_normal", "relu", 2, 0.95), ("he_normal", "relu", 5, 0.9), ("he_normal", "relu", 10, 0.5), ("he_normal", "tanh", 30, 0.99),
         ("zeros", "relu", 30, 0.9), ("zeros", "tanh", 2, 0.1)],
        columns=["scheme", "activation", "depth", "accuracy"],
    )  # fmt: skip
    cases: list[tuple[tuple[str, str], dict[str, float], int]] = [
        (("he_normal", "relu"), {}, 5), (("he_normal", "relu"), {"accuracy": 0.4}, 10), (("zeros", "tanh"), {}, 0),
        (("he_normal", "relu"), {"accuracy": 0.9}, 5),
    ]  # fmt: skip
    for arguments, options, right in cases:
        given = number(call(answer, made.copy(), *arguments, **options))
        if given == right:
            continue
        if math.isnan(given):
            raise Wrong("it gives NaN where no depth reaches the accuracy; that should be 0.")
        if given == 30:
            raise Wrong("it finds a depth of another scheme or activation: both must match.")
        if options.get("accuracy") == 0.4:
            raise Wrong("it does not look at the argument `accuracy`: 0.4 was asked for.")
        if options.get("accuracy") == 0.9:
            raise Wrong("an accuracy of exactly the bound counts: at least, not more than.")
        if given == 10:
            raise Wrong("it counts depths that were run, not those that reached the accuracy.")
        raise Wrong(f"for {arguments} it gives {given:g}; in this table the answer is {right}.")


def _judge_choose(answer: Any) -> None:
    table, misses, pairs = cells(), [], 0
    table = table[(table.scheme != "lsuv") & (table.optimizer == "sgd")]
    for (name, depth), here in table.groupby(["activation", "depth"], sort=False):
        chosen = call(answer, name, int(depth))
        try:
            scheme = get_scheme(chosen).name
        except (TypeError, ValueError) as error:
            raise Wrong(f"for {name} and {depth} layers it gives {chosen!r}: {error}") from None
        if scheme == "lsuv":
            raise Wrong(
                "LSUV is left out here: it needs a batch, and it would win nearly everywhere. Find the best formula."
            )
        own = here[here.scheme == scheme].accuracy
        if own.empty:
            raise Wrong(f"{scheme} is not on the map; choose among {', '.join(SCHEMES)}.")
        if not here.trained.any():
            continue
        pairs += 1
        if here.accuracy.max() - own.iloc[0] > 0.05:
            best = here.loc[here.accuracy.idxmax()]
            misses.append(
                (
                    best.accuracy - own.iloc[0],
                    f"{name}, {depth} layers: {scheme} {own.iloc[0]:.0%}, {best.scheme} {best.accuracy:.0%}",
                )
            )
    if misses:
        raise Wrong(f"it comes near the best in {pairs - len(misses)} of {pairs}; it misses most at {max(misses)[1]}.")


EXERCISES = {
    "map": Exercise(
        _judge_map, "right. Depth is what tells schemes apart; at two layers and the best rate, nearly all do."
    ),
    "deepest": Exercise(_judge_deepest, "right. That is how iv.compare() fills its columns."),
    "choose": Exercise(
        _judge_choose, "right. A rule that holds nearly everywhere is what a table of recommendations can be."
    ),
}
