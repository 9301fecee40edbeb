"""Notebook 08: questions and exercises on pretrained weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from initviz._core.statistics import sample_std
from initviz.course._kit import Choice, Exercise, Question, Unanswered, Wrong, call, number, seeded
from initviz.experiments import transfer_study
from initviz.models import signal_cnn
from initviz.training import TransferResult

QUESTIONS = {
    "five_labels": Question(
        "From random weights, with 5 labels per class, our network reaches about 43 % on the ten digits of MNIST-1D. Now its "
        "body comes from a network that can tell apart 100 random curves, and has never seen a digit. This body is frozen, and a new head, "
        "which starts at zero, is trained on the same 5 labels per class. What does it reach?",
        (
            Choice(
                "about 43 % again: curves are not digits",
                "The shapes differ. But shifts, stretches, shears and noise are the same, and to "
                "ignore them is probably much of what the body has learned.",
            ),
            Choice(
                "less: it knows curves, and can't learn digits",
                "That would be so if what it learned were of no use for digits. Its filters "
                "find bends and slopes wherever they are; digits have these too.",
            ),
            Choice(
                "about 10 points more",
                "It is far more: both tasks have the same distortions, and the body has learned features that bear them.",
            ),
            Choice(
                "more than 30 points more",
                "Five labels are too few to learn what a shift or a stretch is. They are enough to say "
                "which bends make a 3. (How the new head starts matters; see below.)",
                right=True,
            ),
        ),
    ),
    "five_hundred": Question(
        "The pretrained network is fine-tuned from a zero head. With 5 labels per class it ends about 35 points above random weights. "
        "And with 500 labels per class?",
        (
            Choice(
                "the same gain in points", "The gain is what the labels alone can't teach. 5,000 of them teach a lot."
            ),
            Choice(
                "a gain of a few points, or none",
                "5,000 labels teach shifts and stretches by themselves; the start is then worth a few points, and steps.",
                right=True,
            ),
            Choice(
                "a loss",
                "For a frozen body, yes (92 % against 95 %): it can't use all that the labels say. One that trains goes where random "
                "weights go.",
            ),
        ),
    ),
    "unrelated": Question(
        "Same network, but pretrained on noise: tell apart ten frequencies of it, with no shape anywhere. Its body is frozen, and a new "
        "head is trained on 50 labels per class. Compared with training everything from random weights, it is ...",
        (
            Choice(
                "better: pretrained weights beat random ones",
                "Not by being trained, but by what they were trained for.",
            ),
            Choice(
                "about as good",
                "That is the fate of the one that is fine-tuned. A frozen body can't leave what it knows behind.",
            ),
            Choice(
                "worse",
                "The textures taught next to nothing that digits need, and a frozen body can't learn it: it is only 3 to 4 points above a "
                "body that was never trained.",
                right=True,
            ),
        ),
    ),
    "shape": Question(
        "He's scheme drew the weights from a normal distribution. What do those of the two middle convolutions look like after 4,000 steps "
        "on the curves?",
        (
            Choice(
                "as drawn, nearly",
                "That is what very wide networks do: each weight hardly moves. Ours has 32 channels, and half of these weights have moved "
                "by more than a standard deviation of their draw.",
            ),
            Choice("still normal, but wider", "Wider, yes. Look at the tails."),
            Choice(
                "wider, with heavier tails than a normal distribution",
                "More than twice as wide as drawn, and the largest 1 % of the weights hold 12 % of the sum of squares, where a normal "
                "distribution gives them about 8 %.",
                right=True,
            ),
        ),
    ),
    "head": Question(
        "The body is pretrained, all weights train, and there are 5 labels per class. Which start of the new head ends with the best test "
        "accuracy?",
        (
            Choice(
                "He's: its variance suits a layer that follows a ReLU",
                "It keeps a signal's size in a deep network. In a last layer it makes large random logits. Training "
                "does not take them away, and bends the body to make up for them.",
            ),
            Choice(
                "PyTorch's default: it is what everybody uses",
                "It has a sixth of He's variance. On features of this size the first loss is still twice that of a guess.",
            ),
            Choice(
                "zeros",
                "The first step moves the head alone, towards what the labels say. From the second on the body gets errors through a head "
                "that means something.",
                right=True,
            ),
            Choice(
                "it makes no difference: the head is learned anyway",
                "In the end it fits the labels in every case. But what was random in it stays, and the body behind it is another one.",
            ),
        ),
    ),
}


def _freeze(function: Any) -> None:
    for seed, classes in enumerate((10, 3)):
        net = signal_cnn(classes, seed=seed)
        try:
            answer = int(number(call(function, net)))
        except Unanswered:
            if all(p.requires_grad for p in net.parameters()):
                raise
            raise Wrong("it changed the network, but returns nothing: return how many numbers still train.") from None
        trains = {name for name, p in net.named_parameters() if p.requires_grad}
        head, everything = {"head.weight", "head.bias"}, sum(p.numel() for p in net.parameters())
        if trains == {name for name, _ in net.named_parameters()}:
            raise Wrong(
                "after the call everything still trains: set requires_grad to False for each parameter of the body."
            )
        if not trains:
            raise Wrong("after the call nothing trains any more: the head has to.")
        if trains != head:
            extra = ", ".join(sorted(trains - head)) or "none of the body"
            raise Wrong(
                f"what trains should be head.weight and head.bias; it is {', '.join(sorted(trains & head)) or 'neither'} and {extra}."
            )
        expected = 32 * classes + classes
        if answer == 32 * classes:
            raise Wrong("the returned number leaves out the head's biases.")
        if answer == everything:
            raise Wrong("the returned number counts all parameters; count those that train.")
        if answer == 2:
            raise Wrong("the returned number counts tensors; count the numbers in them (numel).")
        if answer != expected:
            raise Wrong(f"with {classes} classes it returned {answer}; {expected} numbers train.")


def _new_head(function: Any) -> None:
    for n_in, n_out in ((32, 10), (7, 3)):
        head = call(function, n_in, n_out)
        if not isinstance(head, nn.Linear):
            raise Wrong(f"it returned {type(head).__name__}; the head is an nn.Linear.")
        if (head.in_features, head.out_features) != (n_in, n_out):
            raise Wrong(f"for ({n_in}, {n_out}) the head goes from {head.in_features} to {head.out_features}.")
        if not all(p.requires_grad for p in head.parameters()):
            raise Wrong("a parameter of the head is frozen; it must be able to train.")
        generator = seeded(0)
        features = torch.rand(16, n_in, generator=generator).requires_grad_()
        y = torch.arange(16) % n_out
        nn.functional.cross_entropy(head(features), y).backward()
        assert features.grad is not None
        # Equal rows leave rounding alone: the errors of the classes sum to 0.
        if features.grad.abs().max() > 1e-5 * head.weight.abs().max():
            raise Wrong(
                f"the body gets a gradient of up to {features.grad.abs().max().item():.2g}. It is V^T (ŷ - y): what V makes it zero?"
            )
        if head.weight.grad is None or not head.weight.grad.abs().max() > 0:
            raise Wrong("the head's own weights get no gradient, so it will never learn.")


def _pilot(final: dict[str, list[float]]) -> TransferResult:
    """Made-up accuracies after the last step, a list over seeds for each strategy, at 50 labels. At 5 labels and half-way the order is
    the other way round."""
    last = np.array(list(final.values()))[:, None, :, None]
    other = 1 - last
    accuracy = np.concatenate([other, last], axis=1)
    accuracy = np.concatenate([0.1 + 0 * accuracy, np.concatenate([other, other], axis=1), accuracy], axis=3)
    return TransferResult(
        "made up", "made up", tuple(final), (5, 50), tuple(range(last.shape[2])), np.array([0, 300, 600]), accuracy
    )


PILOTS = [
    ({"frozen": [0.60, 0.61, 0.59, 0.60, 0.60], "head_first": [0.70, 0.71, 0.72, 0.69, 0.70], "fine_tuned": [0.80, 0.81, 0.79, 0.80, 0.82],
      "random": [0.55, 0.54, 0.56, 0.55, 0.55]}, "fine_tuned"),
    ({"frozen": [0.70, 0.78, 0.74, 0.72, 0.75], "head_first": [0.70, 0.81, 0.73, 0.74, 0.75], "fine_tuned": [0.60, 0.61, 0.62, 0.60, 0.62],
      "random": [0.55, 0.54, 0.56, 0.55, 0.55]}, "frozen"),
    ({"frozen": [0.60, 0.80, 0.70, 0.65, 0.75], "head_first": [0.62, 0.82, 0.72, 0.67, 0.78], "fine_tuned": [0.50, 0.51, 0.52, 0.50, 0.52],
      "random": [0.55, 0.54, 0.56, 0.55, 0.55]}, "head_first"),
    ({"frozen": [0.40, 0.41, 0.40, 0.42, 0.41], "head_first": [0.50, 0.52, 0.51, 0.50, 0.52], "fine_tuned": [0.60, 0.62, 0.61, 0.60, 0.63],
      "random": [0.75, 0.74, 0.77, 0.75, 0.76]}, "random"),
]  # fmt: skip
"""Finals of a pilot, cheapest strategy first, and what to choose: a clear winner; one within the error of the best; one that is behind
by little, but in every seed; an unrelated source."""


def _choose(function: Any) -> None:
    for number_of, (final, right) in enumerate(PILOTS, start=1):
        pilot = _pilot(final)
        name = call(function, pilot, 50)
        if not isinstance(name, str) or name not in pilot.strategies:
            raise Wrong(f"it returned {name!r}; a strategy of the pilot is one of {', '.join(pilot.strategies)}.")
        if name == right:
            continue
        best = max(pilot.strategies, key=lambda s: pilot.final(s, 50).mean())
        behind = 100 * (pilot.final(best, 50) - pilot.final(name, 50))
        error = sample_std(behind) / len(behind) ** 0.5
        where = f"in pilot {number_of} it chose {name}"
        if name == best:
            raise Wrong(
                f"{where}, the best; but {right} is within two standard errors of it and comes first, so it is as good and costs less."
            )
        if behind.mean() > 2 * error and behind.min() > 0 and behind.mean() < 5:
            raise Wrong(
                f"{where}, which is behind {best} by {behind.mean():.1f} ± {error:.1f} points: pair the accuracies by seed before you take "
                "the standard error."
            )
        reversed_ = min(pilot.strategies, key=lambda s: pilot.final(s, 50).mean())
        hint = (
            " Look at the end of training, and at the number of labels that is asked for." if name == reversed_ else ""
        )
        raise Wrong(f"{where}, which is behind {best} by {behind.mean():.0f} ± {error:.1f} points.{hint}")


def _margin(answer: Any) -> None:
    if answer is None or answer is ...:
        raise Unanswered
    study = transfer_study("curves-cnn")
    values = study.margin("fine_tuned", 50)
    answer = answer.tolist() if isinstance(answer, np.ndarray) else answer
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Wrong("the answer is two numbers: the mean margin and its spread.")
    mean, std = number(answer[0]), number(answer[1])
    if abs(mean - study.final("fine_tuned", 50).mean()) < 1e-3:
        raise Wrong("the first number is the accuracy itself; the margin is what is above random's.")
    if abs(mean + values.mean()) < 1e-3:
        raise Wrong("the margin has the wrong sign: fine-tuned minus random.")
    if abs(mean - 100 * values.mean()) < 1e-1:
        raise Wrong("the first number is in points; give shares between 0 and 1.")
    if abs(mean - values.mean()) > 1e-3:
        raise Wrong(f"the mean margin is not {mean:.3f}: take the difference seed by seed, then its mean.")
    unpaired = (study.final("fine_tuned", 50).var(ddof=1) + study.final("random", 50).var(ddof=1)) ** 0.5
    if abs(std - unpaired) < 1e-4 and abs(unpaired - sample_std(values)) > 2e-4:
        raise Wrong(
            "the spread treats the two as independent; runs of one seed share their labels, so take the spread of the differences."
        )
    if abs(std - values.std()) < 1e-5:
        raise Wrong("the spread divides by the number of seeds; a sample's divides by one less (ddof=1).")
    if abs(std - sample_std(values)) > 1e-4:
        raise Wrong(
            f"the mean is right; the spread is not {std:.4f}: the sample standard deviation of the differences."
        )


EXERCISES = {
    "freeze": Exercise(
        _freeze,
        "a few hundred numbers train instead of ten thousand. That alone does not help: a frozen random body leaves as few, "
        "and reaches 37 % with 5 labels per class.",
    ),
    "new_head": Exercise(
        _new_head,
        "zero is the right start here: the last layer alone is a convex problem, so there is no symmetry to break. The first step leaves "
        "the body as it was, and with a zero bias the first loss is ln k, as of a guess.",
    ),
    "margin": Exercise(
        _margin,
        "paired by seed, since both runs saw the same labels. Pairing removes what the two share; here that is next to nothing: their "
        "variances added give nearly the same spread.",
    ),
    "choose": Exercise(
        _choose,
        "a small measurement of your own decides, with its error, and the cheaper strategy where nothing can be told apart. It finds an "
        "unrelated source by itself: there random weights win.",
    ),
}
