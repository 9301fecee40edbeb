"""Notebook 01: questions and exercises on what the start of training decides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from initviz.course._kit import Choice, Exercise, Question, Wrong, call, close, number
from initviz.training import RaceResult, race

QUESTIONS = {
    "scale": Question(
        "Each of these five starts is trained for 600 steps of plain gradient descent, all at the learning rate 0.02. How many of the "
        "five will name at least 80 % of the test digits correctly?",
        (
            Choice(
                "all five: training sorts it out",
                "Not these two: the smallest start has almost no gradient, and the largest such a large one that the numbers overflow "
                "after three steps.",
            ),
            Choice(
                "three: the smallest and the largest fail",
                "And the three that get there do so after very different times. The upper edge is sharp: He × 1.3 works, He × 1.5 does "
                "not.",
                right=True,
            ),
            Choice(
                "four: only the smallest fails", "The largest fails as well, and at once: ten layers turn 1.5 into 58."
            ),
            Choice(
                "four: only the largest fails",
                "Small weights look harmless, but the signal has to come through ten layers of them.",
            ),
            Choice(
                "one",
                "There is some room below the best one: with 0.7 times its weights a network learns, only more slowly.",
            ),
        ),
    ),
    "quality": Question(
        "In this race (SGD, rate 0.02, 600 steps) He and He × 1.3 both fit over 99 % of their training digits. How many times as many "
        "errors does He × 1.3 make on test digits?",
        (
            Choice(
                "as many: they fit the data equally well",
                "They fit the training data about equally well. There are many ways to do so.",
            ),
            Choice(
                "about twice as many",
                "What gradient descent finds depends on where it starts, even if it fits the training digits from every start.",
                right=True,
            ),
            Choice(
                "about ten times as many",
                "It is worse, but not by so much: look again at the right end of the picture.",
            ),
        ),
    ),
    "rate": Question(
        "Xavier needed five times as long as He, and He × 1.5 diverged. Now the learning rate is 0.05 instead of 0.02. "
        "Which starts have over 90 % of the test digits right after 600 steps?",
        (
            Choice("He alone", "Xavier's gradients are 32 times smaller than He's. What does a larger rate do for it?"),
            Choice(
                "He and Xavier",
                "Xavier's steps were too short, and the larger rate mends that: it ends where He does. He × 1.3 now diverges as "
                "He × 1.5 did. No rate lifts the smallest one's gradient of $10^{-14}$.",
                right=True,
            ),
            Choice(
                "He, Xavier and He × 1.3",
                "The first step of He × 1.3 was already a tenth as long, per layer, as the weights. Now it is a quarter: too far.",
            ),
            Choice("none: 0.05 is too large for ten layers", "It depends on the gradients, and He's are small enough."),
        ),
    ),
    "adam": Question(
        "Adam divides each gradient by its own recent size plus $10^{-8}$. Which of the five starts reach 90 % of the test digits with it, "
        "on average, in 600 steps at the rate 0.001?",
        (
            Choice(
                "all five",
                "One of them has gradients of about $10^{-14}$. Beside the $10^{-8}$ they are nothing.",
            ),
            Choice(
                "all but std 0.01",
                "These four do learn, and none diverges. But the length of the step was not the only trouble of the two large ones: "
                "they end below 90 %.",
            ),
            Choice(
                "He and Xavier",
                "Xavier becomes fast, since the size of its gradients no longer counts. The two large starts survive, and end worse.",
                right=True,
            ),
            Choice("He alone", "Xavier's gradients are 32 times smaller than He's, but Adam divides by their size."),
        ),
    ),
}


# Exercises ---------------------------------------------------------------------------------------------------------------


def _judge_guess(answer: Any) -> None:
    for classes in (10, 2, 1000):
        got = number(call(answer, classes))
        right = math.log(classes)
        if close(got, right):
            continue
        reason = f"for {classes} classes it gives {got:.4g}."
        if close(got, -right):
            reason += " The sign: a probability is below 1, so its logarithm is negative and the loss is minus that."
        elif close(got, math.log2(classes)) or close(got, math.log10(classes)):
            reason += " PyTorch's cross-entropy uses the natural logarithm."
        elif close(got, 1 / classes) or close(got, 1 - 1 / classes):
            reason += " That is a probability; the loss is minus the logarithm of the right class's."
        elif close(got, math.log(10)):
            reason += " That is right for ten classes only."
        else:
            reason += f" A network that gives each class 1/{classes} has the loss -ln(1/{classes}) = {right:.4g}."
        raise Wrong(reason)


SCALES = {5: (1.0, 4.0, 1.5, 2.0, 0.5, 3.0), 25: (1.4, 0.5, 1.0, 2.0, 1.2)}
"""Depth -> the scales to try, out of order."""


@lru_cache(maxsize=4)
def _raced(depth: int) -> RaceResult:
    return race({str(s): {"scale": s} for s in SCALES[depth]}, depth=depth, seeds=3, steps=20, lr=0.02)


def _judge_stable(answer: Any) -> None:
    for depth, scales in SCALES.items():
        got = number(call(answer, list(scales), depth))
        diverged = {s: _raced(depth).diverged(str(s)) for s in scales}
        stable = [s for s in scales if not diverged[s]]
        if got == max(stable):
            continue
        reason = f"for {list(scales)} at depth {depth} it gives {got:g}."
        if got not in diverged:
            reason += " That is not one of the scales."
        elif got == min(stable):
            reason += " That is the smallest that is stable; the largest is asked for."
        elif not diverged[got]:
            reason += f" No run diverges there, but none does at {max(stable):g} either: try every scale, at the depth that is asked for."
        elif got == min(s for s in scales if diverged[s]):
            reason += " That is the first that diverges; the one below it is asked for."
        else:
            reason += f" There {diverged[got]} of 3 runs diverge."
            reason += " Do you use the depth?" if depth == 25 else ""
        raise Wrong(reason)


RUNS: tuple[tuple[Sequence[float], int, str], ...] = (
    ((2.4, 1.1, 0.3), 10, "learning"),
    ((2.3, 2.3, 2.29), 10, "stuck"),
    ((40.0, math.nan), 10, "diverged"),
    ((3.0, math.inf, 0.2), 10, "diverged"),
    ((4.6, 4.5, 4.0), 100, "learning"),
    ((0.69, 0.69, 0.68), 2, "stuck"),
    ((43.0, 5.0, 0.4), 10, "learning"),
    ((2.31, 0.5, 2.3), 10, "stuck"),
    ((22.0, 6.1, 2.3), 10, "stuck"),
    ((2.05, 2.03, 2.0), 10, "learning"),
)


def _judge_health(answer: Any) -> None:
    for losses, classes, right in RUNS:
        got = call(answer, list(losses), classes)
        if not isinstance(got, str) or got not in ("diverged", "stuck", "learning"):
            raise Wrong(f'got {got!r}; the answer is "diverged", "stuck" or "learning".')
        if got == right:
            continue
        reason = f"losses {list(losses)} with {classes} classes are {right!r}, and it says {got!r}."
        if right == "diverged" and any(math.isnan(loss) for loss in losses):
            reason += " Every comparison with NaN is false, also NaN == NaN: ask math.isfinite first."
        elif right == "diverged":
            reason += " Infinity is not a finite number, wherever in the list it stands."
        elif close(losses[0], 22.0) or close(losses[0], 2.05):
            reason += (
                " Its first loss says how it began, not whether it has learned: compare the last one with that of guessing, "
                f"ln({classes}) = {math.log(classes):.2f}."
            )
        elif classes != 10:
            reason += f" The loss of guessing among {classes} classes is ln({classes}) = {math.log(classes):.2f}."
        elif right == "stuck":
            reason += f" Its last loss is not 10 % below ln(10) = {math.log(10):.2f}."
        else:
            reason += " The last loss counts, however it began."
        raise Wrong(reason)


EXERCISES = {
    "loss_of_guessing": Exercise(
        _judge_guess,
        "ln(classes). A first loss of ten times that says: the start is too large. A first loss of just that proves nothing: "
        "std 0.01 has it too.",
    ),
    "largest_stable_scale": Exercise(
        _judge_stable,
        "five layers stand much more than twenty-five: a factor c on each becomes c to the power of the depth.",
    ),
    "health": Exercise(_judge_health, "three numbers of a training log that tell most failures apart."),
}
"""The exercises by name."""
