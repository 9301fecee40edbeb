"""Notebook 02: questions and exercises on zero initialization and symmetry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from initviz.course._kit import Choice, Exercise, Question, Wrong, call, close, listed, number, seeded, tensor
from initviz.experiments import distinct_neurons

QUESTIONS = {
    "zero": Question(
        "A network of two hidden ReLU layers starts with every weight and bias at zero. Which parameters have a gradient other than 0?",
        (
            Choice(
                "all of them",
                "The gradient of a weight is (signal in) times (error coming back). Look for a layer where one of the two "
                "is not zero.",
            ),
            Choice(
                "the weights and biases of the output layer",
                "Its bias, yes. But its weights multiply the last activations, and these are all zero.",
            ),
            Choice(
                "the bias of the output layer",
                "Every activation is zero, so no weight gets a gradient; every weight is zero, so no error "
                "comes back to the hidden biases. Only the last bias stands next to the loss.",
                right=True,
            ),
            Choice(
                "none",
                "Nearly. The loss can still be lowered by moving one vector that needs no signal and no weights.",
            ),
        ),
    ),
    "constant": Question(
        "All weights start at the same value instead, 1/fan_in: signals flow, and so do gradients. Sixteen tanh neurons per layer are "
        "trained for 500 steps. How many different neurons does a layer then have?",
        (
            Choice(
                "1",
                "Same weights, same output, same gradient, same update: the sixteen stay one, whatever the data.",
                right=True,
            ),
            Choice(
                "about 4",
                "What would make two of them differ? They get the same input and, as their outgoing weights are the same too, "
                "the same error.",
            ),
            Choice("16", "Each gets a gradient that is not zero, but all sixteen get the same one."),
        ),
    ),
    "noise": Question(
        "Now each weight is changed by a random 0.000001 % (a share of $10^{-8}$) before training with SGD at a rate of 0.1. What "
        "happens to the sixteen neurons of a layer?",
        (
            Choice("nothing: the difference is too small to matter", "It would be, if it stayed that small."),
            Choice(
                "they part within the first few steps", "The difference must first grow by a factor of ten million."
            ),
            Choice(
                "they part after some hundred steps",
                "The symmetric network is like a pencil on its tip: a difference grows by a constant "
                "factor per step, so even $10^{-8}$ needs only a few hundred.",
                right=True,
            ),
            Choice(
                "they part after millions of steps",
                "That would be right for a difference that adds up. This one multiplies.",
            ),
        ),
    ),
    "random_part": Question(
        "Two hidden ReLU layers of 32, 300 steps of SGD at a rate of 0.1. Which of these starts reach more than 90 % on the digits? "
        "(More than one.)",
        (
            Choice(
                "random weights, zero biases",
                "Different weights make different neurons; the biases follow.",
                right=True,
            ),
            Choice(
                "equal weights, random biases",
                "The symmetry is broken, but only along one direction: all neurons look at the same sum of "
                "the inputs, each with another threshold.",
            ),
            Choice(
                "zero weights, random biases",
                "The symmetry is broken, but no input gets through until the weights have grown.",
            ),
            Choice(
                "random hidden weights, zero output weights",
                "The output layer moves first, since the activations differ; after one step "
                "errors flow back. Zeros there are fine.",
                right=True,
            ),
        ),
    ),
}


# Exercises ---------------------------------------------------------------------------------------------------------------


def _rows(count: int, rows: Sequence[int], noise: float = 0.0, seed: int = 0) -> Tensor:
    """Rows out of `count` different ones of length about 1."""
    draw = torch.randn(count, 8, generator=seeded(seed), dtype=torch.float64) / 8**0.5
    weight = draw[list(rows)]
    generator = seeded(seed + 1)
    return weight + noise * torch.randn(weight.shape, generator=generator, dtype=torch.float64)


def _judge_distinct(answer: Any) -> None:
    cases = [
        (_rows(1, [0] * 5), "five equal rows"),
        (_rows(5, range(5)), "five rows that all differ"),
        (_rows(3, [0, 1, 0, 2, 1, 0]), "six rows, of which equal ones do not stand side by side"),
        (_rows(3, [0, 0, 1, 1, 2, 2], noise=1e-4), "six rows in pairs that differ by a ten-thousandth"),
        (-_rows(2, [0, 1, 0]), "three rows, of which the first and the last are equal"),
        (0.01 * _rows(5, range(5)), "five small rows that all differ"),
        (
            torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64),
            "two rows with the same entries in another order",
        ),
    ]
    e = torch.eye(9, 20, dtype=torch.float64)
    more = [
        (
            torch.tensor([[3.0, 0.0], [0.0, 0.2], [0.2, 0.0]], dtype=torch.float64),
            "three rows, two of them small and near each other",
            0.1,
        ),
        (torch.cat([e, e[:1] + 0.2 * e[1:2]]), "ten rows, two of which differ by a fifth of their length", 0.1),
        (_rows(5, range(5)), "five different rows, at a tolerance of 2,", 2.0),
    ]
    for weight, words, tolerance in [(*case, 0.1) for case in cases] + more:
        expected = distinct_neurons(weight, tolerance=tolerance)
        got = number(call(answer, weight, tolerance))
        if got == expected:
            continue
        reason = f"of {words} it counts {got:g} as distinct; they are {expected}."
        if got == weight.unique().numel() != expected:
            reason += " It counts different entries; a neuron is a row."
        elif got == distinct_neurons(weight.mT) and weight.shape[0] != weight.shape[1]:
            reason += " It compares columns; a neuron's incoming weights are a row."
        elif "small" in words:
            reason += " The tolerance is a share of the longest row's length."
        elif "ten-thousandth" in words:
            reason += " Rows that differ by less than the tolerance count as one."
        elif "side by side" in words:
            reason += " A row is new if it differs from each of the rows before it, not only from its neighbour."
        raise Wrong(reason)


def _network(seed: int, constant: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = seeded(seed)
    make = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    W, V = (
        (torch.full((4, 6), 0.3).double(), torch.full((3, 4), 0.2).double()) if constant else (make(4, 6), make(3, 4))
    )
    return W, V, make(6, 10), make(3, 10)


def _judge_tanh(answer: Any) -> None:
    for seed, constant in ((0, False), (1, False), (2, True)):
        W, V, x, y = _network(seed, constant)
        got = tensor(call(answer, W.clone(), V.clone(), x.clone(), y.clone()), (4, 6)).double()
        a = torch.tanh(W @ x)
        error, slope = V @ a - y, 1 - a**2
        right = (V.mT @ error * slope) @ x.mT / 10
        if torch.allclose(got, right, rtol=1e-4, atol=1e-8):
            continue
        mistakes = {
            "the slope of tanh is missing: an error passes back through a neuron times 1 - a^2.": (V.mT @ error)
            @ x.mT
            / 10,
            "the slope of tanh at z is 1 - tanh(z)^2, with the activation a, not the pre-activation z.": (
                V.mT @ error * (1 - (W @ x) ** 2)
            )
            @ x.mT
            / 10,
            "the slope of tanh is 1 - a^2, not 1 - a.": (V.mT @ error * (1 - a)) @ x.mT / 10,
            "it is ten times as large, for a batch of ten: the loss is a mean over the batch.": right * 10,
            "divide by the number of samples, the columns of X, not by the number of inputs.": right * 10 / 6,
            "it is twice as large: the loss has a factor 1/2.": right * 2,
            "it has the wrong sign: the error is output minus target.": -right,
            "y is left out: the error is output minus target.": (V.mT @ (V @ a) * slope) @ x.mT / 10,
        }
        for words, value in mistakes.items():
            if torch.allclose(got, value, rtol=1e-4, atol=1e-8):
                raise Wrong(words)
        raise Wrong(
            "it differs from what autograd finds for a random network of 4 neurons, 6 inputs and a batch of 10."
        )


def _judge_rates(answer: Any) -> None:
    names = (
        "the input layer's weights",
        "the hidden biases",
        "the hidden weights",
        "the output layer's weights",
        "the output bias",
    )
    for n, lr in ((16, 0.1), (5, 0.02)):
        got = listed(call(answer, n, lr))
        if not isinstance(got, Sequence) or isinstance(got, str) or len(got) != 5:
            raise Wrong("it must return five numbers, in the order in which the exercise names them.")
        for name, value, right in zip(names, got, (lr / n, lr / n, lr, n * lr, lr)):
            value = number(value)
            if close(value, right):
                continue
            reason = f"for n = {n} and eta = {lr} the rate of {name} comes out as {value:g}."
            if close(value, lr):
                reason += " The same as the wide network's"
                reason += (
                    ": but is the gradient the same?"
                    if right < lr
                    else ". So is the gradient, but V = n v moves by n updates."
                )
            elif close(value * right, lr**2):
                reason += " The wrong way round: multiplied by n where it should be divided, or the reverse."
            else:
                reason += " Compare the gradient of this parameter in both networks, then the update of u = n w."
            raise Wrong(reason)


def _judge_extrapolate(answer: Any) -> None:
    got = number(answer)
    if 300 <= got <= 360:
        return
    if 45 <= got <= 55:
        raise Wrong("that is the slope, steps per decade of noise; the question is at which step the neurons part.")
    if got < 235:
        raise Wrong("less noise takes longer, so it must be more than the 235 steps of 1e-6.")
    if got < 300:
        raise Wrong("a little too soon: from 1e-2 to 1e-6 are four decades, from 1e-6 to 1e-8 two more.")
    if got > 1000:
        raise Wrong("far too late: the step does not grow with 1/noise, but with its logarithm.")
    raise Wrong("too late: from 1e-2 to 1e-6 are four decades and 185 steps; add what two more decades take.")


EXERCISES = {
    "distinct": Exercise(
        _judge_distinct, "it counts rows that differ by more than the tolerance, wherever they stand."
    ),
    "tanh": Exercise(
        _judge_tanh,
        "it is what autograd finds. Row i of the gradient depends on i through V[:, i] and a_i alone, so equal neurons get equal rows.",
    ),
    "rates": Exercise(
        _judge_rates, "with these rates one neuron per layer retraces the whole constant network, step by step."
    ),
    "extrapolate": Exercise(
        _judge_extrapolate,
        "the step grows with the logarithm of 1/noise. (Measured below the figure: a little over 300.)",
    ),
}
