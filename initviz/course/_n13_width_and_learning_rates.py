"""Notebook 13: questions and exercises on width and learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from initviz.course._kit import Choice, Exercise, Question, Unanswered, Wrong, call, close, listed, number

QUESTIONS = {
    "tuned": Question(
        "You have tuned Adam's learning rate on a network of width 32, and now train one of width 512 with the default start. Which "
        "rate is best there?",
        (
            Choice("the same: Adam divides by the gradient's size", "It does. What it can't see is how many weights move at once."),
            Choice(
                "a much smaller one",
                "Adam moves every weight by about the rate. A unit of the wide layer sums over 16 times as many of them, and they all move "
                "in the direction that helps, so their changes add up.",
                right=True,
            ),
            Choice("a larger one: a wide network is easier to train", "It is, but each of its units moves further for the same rate."),
        ),
    ),
    "first_layer": Question(
        "Standard start, plain SGD, one learning rate for all layers. The network is made 16 times as wide. One small step is taken: in "
        "which layer do the outputs change less than in the narrow network?",
        (
            Choice("in every layer: there are more weights to move", "The more there are, the more their changes add up."),
            Choice(
                "in the first",
                "Its gradient comes through the output weights, which are 4 times as small. Its inputs are as many as before, so nothing "
                "makes up for that: it changes by a quarter of what it did.",
                right=True,
            ),
            Choice(
                "in the hidden layers",
                "Their gradient is a quarter as well, but each unit sums over 16 times as many inputs: 4 times as much.",
            ),
            Choice("in the last", "Nothing damps its gradient, and it sums over 16 times as many inputs: it changes 16 times as much."),
        ),
    ),
}  # fmt: skip


# Exercise 1: muP's table -------------------------------------------------------------------------------------------------

COLUMNS = ("std of a weight", "SGD's rate", "Adam's rate")
TABLE = {"input": (0.0, 1.0, 0.0), "hidden": (-0.5, 0.0, -1.0), "output": (-1.0, -1.0, -1.0)}
REASONS = {
    ("input", 0): "it sums over as many inputs at every width, so its weights stay as large.",
    (
        "input",
        1,
    ): "its gradient comes through the output weights, which are of order 1/n, and the rate has to make up for that.",
    ("input", 2): "Adam has divided the size of the gradient out, and there are as many inputs at every width.",
    ("hidden", 0): "it sums over n random products, and signs cancel: (power of the std) + 1/2 has to be 0.",
    (
        "hidden",
        1,
    ): "its gradient is of order 1/n through the output weights, and the step's sum over n inputs makes up for that.",
    ("hidden", 2): "each weight moves by the rate, and a unit sums over n of them that do not cancel.",
    (
        "output",
        0,
    ): "training makes its inputs lie along its weights. Then nothing cancels in the sum over n: (power of the std) + 1 has to be 0.",
    ("output", 1): "its gradient is of order 1, and a step's change is summed over n inputs.",
    ("output", 2): "each weight moves by the rate, and the output sums over n of them that do not cancel.",
}


def _judge_table(answer: Any) -> None:
    if not isinstance(answer, Mapping) or set(answer) != set(TABLE):
        raise Wrong(f"the answer is a dict with the keys {', '.join(TABLE)}.")
    if any(row is None or row is ... for row in answer.values()):
        raise Unanswered
    for role, powers in answer.items():
        row = listed(powers)
        if not isinstance(row, tuple | list) or len(row) != len(COLUMNS):
            raise Wrong(f"{role}: a row has three powers of n: {', '.join(COLUMNS)}.")
        for column, (value, right) in enumerate(zip(row, TABLE[role])):
            given = number(value)
            if close(given, right):
                continue
            words = f"{role}, {COLUMNS[column]}: n to the power {given:g} is not right"
            if column == 0 and right and close(given, 2 * right):
                raise Wrong(f"{words}: that is the power of the variance.")
            raise Wrong(f"{words}: {REASONS[role, column]}")


# Exercise 3: the size of an update ---------------------------------------------------------------------------------------

UPDATE_MISTAKES: list[tuple[Callable[[int, int], float], str]] = [
    (lambda i, o: 1 / math.sqrt(i * o), "with that the largest singular value is 1 for every shape; it has to be the root of n_out/n_in."),
    (lambda i, o: math.sqrt(o / i), "that is the largest singular value to reach; the matrix of 1s and -1s has sqrt(n_in n_out) already."),
    (lambda i, o: 1 / o, "the fans are the wrong way round."),
    (lambda i, o: 1 / math.sqrt(i), "that would do for random signs, whose largest singular value is about sqrt(n_in) + sqrt(n_out)."),
    (lambda i, o: o / i, "that is SGD's power, whose updates are not of one size; solve eta sqrt(n_in n_out) = sqrt(n_out/n_in)."),
]  # fmt: skip


def _judge_update(answer: Any) -> None:
    for n_in, n_out in ((50, 400), (100, 100), (1000, 10)):
        given = number(call(answer, n_in, n_out))
        if close(given, 1 / n_in):
            continue
        words = f"for n_in = {n_in} and n_out = {n_out} it gives {given:.4g}: "
        for mistake, why in UPDATE_MISTAKES:
            if close(given, mistake(n_in, n_out)):
                raise Wrong(words + why)
        norm, wanted = given * math.sqrt(n_in * n_out), math.sqrt(n_out / n_in)
        raise Wrong(words + f"the update's largest singular value is then {norm:.3g}; it should be {wanted:.3g}.")


# Exercise 2: heads that grow ---------------------------------------------------------------------------------------------


def _judge_heads(answer: Any) -> None:
    for d, base in ((64, 64), (256, 64), (32, 16)):
        given, right = number(call(answer, d, base)), math.sqrt(base) / d
        if close(given, right):
            continue
        words = f"for heads of {d}, and a base of {base}, it gives {given:.4g}: "
        if close(given, 1 / math.sqrt(d)):
            raise Wrong(
                words
                + "that is for random q and k, whose products cancel. Once they are trained they do not: q·k is of order d."
            )
        if close(given, 1 / d):
            raise Wrong(words + f"the power is right, but at the base it must be the usual 1/sqrt({base}).")
        if d == base:
            raise Wrong(words + f"at the base it must be the usual 1/sqrt({base}).")
        raise Wrong(words + f"it has to fall as 1/d from 1/sqrt({base}) at d = {base}.")


EXERCISES = {
    "table": Exercise(
        _judge_table,
        "with these powers one step changes every layer by n^0, under SGD and under Adam. This is table 3 of Yang et al. 2021.",
    ),
    "update": Exercise(
        _judge_update,
        "a rate of 1/n_in gives such an update the norm that the spectral condition asks for: it is Adam's column of the table.",
    ),
    "heads": Exercise(
        _judge_heads,
        "as the package mup has it: at the base nothing changes, and beyond it the logits stay of order 1.",
    ),
}
