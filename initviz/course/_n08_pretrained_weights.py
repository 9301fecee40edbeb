"""Notebook 08: questions and exercises on pretrained weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from initviz._core.statistics import sample_std
from initviz.course._kit import Choice, Exercise, Question, Unanswered, Wrong, call, number, seeded
from initviz.experiments import transfer_study
from initviz.models import signal_cnn
from initviz.training import STRATEGIES

ALLOWED_GAP = 0.035
"""How far below the best measured accuracy a chosen strategy may be: somewhat more than the spreads of the study."""

QUESTIONS = {
    "five_labels": Question(
        "From random weights, with 5 labels a class, our network reaches about 43 % on the ten digits of MNIST-1D. Now it starts from "
        "weights that can tell apart 100 random curves, and have never seen a digit. What does it reach with the same 5 labels?",
        (
            Choice(
                "about 43 % again: curves are not digits",
                "The shapes differ. But shifts, stretches, shears and noise are the same, and "
                "most of the work is in not being fooled by them.",
            ),
            Choice(
                "less: it first has to unlearn the curves",
                "That would be so if what it learned were of no use for digits. Its filters "
                "find bends and slopes wherever they are; digits have these too.",
            ),
            Choice(
                "15 points more, or better",
                "Five labels are too few to learn what a shift or a stretch is. They are enough to say "
                "which bends make a 3.",
                right=True,
            ),
        ),
    ),
    "five_hundred": Question(
        "And with 500 labels a class?",
        (
            Choice(
                "the same gain in points", "The gain is what the labels alone can't teach. 5,000 of them teach a lot."
            ),
            Choice(
                "a gain of a few points, or none",
                "5,000 labels teach shifts and stretches by themselves. What is left of the gain is mostly speed.",
                right=True,
            ),
            Choice(
                "a loss",
                "For a frozen body, yes: it can't use what the labels say. One that trains can go where random weights go.",
            ),
        ),
    ),
    "unrelated": Question(
        "Same network, but pretrained on noise: tell apart ten colours of it, with no shape anywhere. Its body is frozen, and a new "
        "head is trained on 50 labels a class. Compared with training everything from random weights, it is ...",
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
                "It looks for frequencies and throws away where they are, so no head can find a shape in what is left.",
                right=True,
            ),
        ),
    ),
    "shape": Question(
        "He's scheme drew the weights of every layer from a normal distribution. What do they look like after 4,000 steps on the curves?",
        (
            Choice(
                "still normal, with the same width",
                "That is what very wide networks do: each weight hardly moves. Ours has 32 channels.",
            ),
            Choice("still normal, but wider", "Wider, yes. Look at the tails."),
            Choice(
                "wider, with heavy tails",
                "Most weights stay near where they were drawn, and a few grow to many times the rest.",
                right=True,
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
        if features.grad.abs().max() > 0:
            same = bool((head.weight == head.weight.flatten()[0]).all())
            hint = "; equal weights are not enough, since errors of different classes still come back" if same else ""
            raise Wrong(
                f"the body gets a gradient of up to {features.grad.abs().max().item():.2g}{hint}. It is V^T (ŷ - y): what V makes it zero?"
            )
        if head.weight.grad is None or not head.weight.grad.abs().max() > 0:
            raise Wrong("the head's own weights get no gradient, so it will never learn.")


def _strategy(function: Any, labels: int, related: bool) -> str:
    name = call(function, labels, related)
    if not isinstance(name, str) or name not in STRATEGIES:
        raise Wrong(f"it returned {name!r}; a strategy is one of {', '.join(STRATEGIES)}.")
    return name


def _choose(function: Any) -> None:
    for related, source in ((True, "curves-cnn"), (False, "textures-cnn")):
        study = transfer_study(source)
        for labels in study.labels:
            name = _strategy(function, labels, related)
            best = max(study.strategies, key=lambda s: study.final(s, labels).mean())
            gap = study.final(best, labels).mean() - study.final(name, labels).mean()
            if gap > ALLOWED_GAP:
                words = "a related" if related else "an unrelated"
                raise Wrong(
                    f"with {labels} labels a class and {words} source you chose {name}, which reached "
                    f"{study.final(name, labels).mean():.0%}; {best} reached {study.final(best, labels).mean():.0%}."
                )


def _margin(answer: Any) -> None:
    if answer is None or answer is ...:
        raise Unanswered
    study = transfer_study("curves-cnn")
    values = study.margin("fine_tuned", 50)
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
        "a few hundred numbers train instead of ten thousand. That is why a frozen body can be trusted with 5 labels a class.",
    ),
    "new_head": Exercise(
        _new_head,
        "zero is the right start here: the last layer alone is a convex problem, so there is no symmetry to break, and the first step "
        "leaves the body as it was. It protects for that step only; head_first protects for as long as you like.",
    ),
    "margin": Exercise(
        _margin,
        "paired by seed, since both runs saw the same labels. That takes out the luck of the draw which they share.",
    ),
    "choose": Exercise(
        _choose,
        "related source: train the head first, then everything. Unrelated: don't, or at least don't freeze. Relatedness decides more than "
        "the number of labels does.",
    ),
}
