"""Notebook 03: questions and exercises on random initialization and its scale."""

from __future__ import annotations

import math
from typing import Any

from initviz.course._kit import Choice, Exercise, Question, Wrong, call, close, number

QUESTIONS = {
    "groups": Question(
        "A hidden layer has 32 neurons, but they start as 4 different ones, each 8 times over, outgoing weights too. It is trained on the "
        "ten digits. Which layer comes nearest to it in accuracy?",
        (
            Choice("a layer of 32", "Copies stay copies, as notebook 02 showed: they get the same gradients."),
            Choice(
                "a layer of 4",
                "It has four features, however many copies of each. (Copies learn at other rates, so it ends a few points ahead of "
                "a layer of 4.)",
                right=True,
            ),
            Choice("a layer of 1", "One would be left if all 32 were the same. Here there are four kinds."),
        ),
    ),
    "shape": Question(
        "Two deep networks are drawn with the same standard deviation, one from a normal distribution, one from a uniform. After ten "
        "layers, what do their activations look like?",
        (
            Choice(
                "the normal one's spread more, it has tails",
                "A single weight has tails. But a neuron sums hundreds of them, and how a sum spreads depends on their variance alone.",
            ),
            Choice(
                "the uniform one's look uniform",
                "Already the first sum looks like a bell: the central limit theorem.",
            ),
            Choice(
                "the same",
                "The spread of a sum depends on the variance of its terms alone, and its shape hardly on theirs.",
                right=True,
            ),
        ),
    ),
    "width": Question(
        "You found by trial that a std of 0.177 keeps the activations of a ReLU network steady at width 64. You take it to "
        "width 1024, which is 16 times as wide. What does each layer now do to the spread of the activations?",
        (
            Choice("keeps it: the std is the same", "Each neuron now sums 16 times as many terms."),
            Choice(
                "multiplies it by 4",
                "16 times as many terms, each of the same variance: 16 times the variance, 4 times the spread. After "
                "ten layers that is a factor of a million.",
                right=True,
            ),
            Choice("multiplies it by 16", "Its variance, yes. The spread is the root of that."),
            Choice(
                "divides it by 4",
                "That would be so if a neuron averaged its inputs: a mean of 16 times as many has a quarter of the spread. It sums them.",
            ),
        ),
    ),
}


# Exercises ---------------------------------------------------------------------------------------------------------------


def _judge_std(answer: Any) -> None:
    for n in (100, 64, 7):
        got = number(call(answer, n))
        right = 1 / math.sqrt(n)
        if close(got, right):
            continue
        reason = f"for n = {n} it gives {got:.4g}."
        if got < 0:
            reason += " A standard deviation is not negative."
        elif close(got, 1 / n):
            reason += " That is the variance; the standard deviation is its root."
        elif close(got, math.sqrt(2 / n)):
            reason += (
                " That is right for a ReLU layer, which lets half of the second moment through; this one is linear."
            )
        elif close(got, math.sqrt(n)) or close(got, n):
            reason += " It grows with n; but the more terms a neuron sums, the smaller each must be."
        elif close(got, math.sqrt(3 / n)):
            reason += " That is the bound of a uniform draw; its standard deviation is asked for."
        elif close(got, math.sqrt(1 / (3 * n))):
            reason += " A uniform draw from [-1/sqrt(n), 1/sqrt(n)] has that one: 1/sqrt(n) is its bound, not its standard deviation."
        else:
            reason += f" Then a layer multiplies the variance by n std^2 = {n * got**2:.3g}; it should be 1."
        raise Wrong(reason)


def _judge_bound(answer: Any) -> None:
    for std in (0.05, 0.4):
        got = number(call(answer, std))
        if close(got, std * math.sqrt(3)):
            continue
        reason = f"for a std of {std:g} it gives {got:.4g}."
        if got < 0:
            reason += " A bound is a length: it is not negative."
        elif close(got, std):
            reason += " A uniform draw from [-b, b] has a smaller std than b: most of it lies nearer to 0."
        elif close(got, std / math.sqrt(3)):
            reason += " That is the std of a draw from [-std, std]: the other way round."
        elif close(got, 3 * std):
            reason += " The variance is b^2 / 3; take the root of both sides."
        elif close(got, std * math.sqrt(12)):
            reason += " That is the whole width of the interval, 2 b."
        elif close(got, std**2 * 3):
            reason += " That is b^2; take its root."
        else:
            reason += f" The std of a uniform draw from [-b, b] is b / sqrt(3), here {abs(got) / math.sqrt(3):.4g}."
        raise Wrong(reason)


def _judge_carry(answer: Any) -> None:
    for std, n_from, n_to in ((0.2, 64, 1024), (0.03, 500, 125), (0.1, 10, 10)):
        got = number(call(answer, std, n_from, n_to))
        right = std * math.sqrt(n_from / n_to)
        if close(got, right):
            continue
        reason = f"a std of {std:g} from width {n_from} to width {n_to} comes out as {got:.4g}."
        if got < 0:
            reason += " A standard deviation is not negative."
        elif close(got, std):
            reason += " It must change with the width."
        elif close(got, std * math.sqrt(n_to / n_from)) or close(got, std * n_to / n_from):
            reason += " The wrong way: more inputs need smaller weights."
        elif close(got, std * n_from / n_to):
            reason += " That is how the variance goes; the std goes with its root."
        else:
            reason += " What must stay the same is n std^2."
        raise Wrong(reason)


def _judge_layers(answer: Any) -> None:
    # The second is at `least` exactly after two layers (0.5 * 0.5 = 0.25, exact in binary too), and below it after three.
    for std, n, least in (
        (0.05, 100, 1e-3),
        (0.05, 100, 0.25),
        (0.01, 400, 1e-6),
        (0.03, 1000, 0.5),
        (0.1, 100, 1e-3),
        (0.2, 100, 1e-3),
    ):
        got = number(call(answer, std, n, least))
        factor = std * math.sqrt(n)
        if factor > 0.999:
            if not math.isinf(got):
                raise Wrong(
                    f"with std {std:g} and n = {n} a layer multiplies the rms by {factor:.3g}, so it never falls below "
                    f"{least:g}: the answer is math.inf, not {got:g}."
                )
            continue
        exact = math.log(least) / math.log(factor)
        right = math.floor(exact) + 1
        if got == right:
            continue
        reason = f"with std {std:g} and n = {n} a layer multiplies the rms by {factor:.3g}; "
        reason += f"you say that it is below {least:g} after {got:g} layers."
        half = exact / 2
        if abs(got - right) <= 1:
            reason += f" After {right - 1} it is {factor ** (right - 1):.3g}, after {right} it is {factor**right:.3g}: mind the rounding."
        elif abs(got - half) <= 1:
            reason += " You have multiplied by the factor of the variance, n std^2; the rms changes by its root."
        else:
            reason += f" After k layers the rms is (std sqrt(n))^k; for k = {right} that is {factor**right:.3g}."
        raise Wrong(reason)


EXERCISES = {
    "std_for_width": Exercise(_judge_std, "1/sqrt(n): a sum of n terms of variance 1/n has variance 1."),
    "uniform_bound": Exercise(
        _judge_bound,
        "b = sqrt(3) std. The bounds sqrt(6 / ...) that you will meet in notebooks 05 and 06 are this, with the std put in.",
    ),
    "carry_over": Exercise(_judge_carry, "n std^2 stays the same, so the std goes with 1/sqrt(n)."),
    "layers_left": Exercise(
        _judge_layers,
        "the rms falls by the factor std sqrt(n) per layer. Even if that is only a little below 1, a deep network loses the signal.",
    ),
}
