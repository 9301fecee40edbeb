"""Notebook 14: questions, and the cures of eight patients."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from initviz.course._kit import Choice, Exercise, Question, Wrong, call, tensor
from initviz.diagnosis import diagnose
from initviz.experiments import _patients as patients

QUESTIONS = {
    "default": Question(
        "Thirty layers of nn.Linear(64, 64), each followed by nn.ReLU(), as PyTorch makes them. What will the verdict be?",
        (
            Choice(
                "stable: frameworks choose sound defaults",
                "For shallow networks they do. Its weights have variance 1/(3 n).",
            ),
            Choice(
                "vanishing: gradients shrink on the way back",
                "By 6 per layer in second moment, since ReLU wants 2/n and the default is 1/(3 n). The activations do not die: the biases "
                "hold them.",
                right=True,
            ),
            Choice("exploding", "The variance 1/(3 n) is too small for ReLU, not too large."),
            Choice(
                "dead units",
                "In the upper layers all images come out alike, so about half of the units there are zero for every image. The "
                "other half still pass the gradient on; the verdict says dead from 90 % of a layer on.",
            ),
        ),
    ),
    "pixels": Question(
        "A tanh network is initialized with Xavier, and gets pixels from 0 to 255. Which layer is at fault, and how?",
        (
            Choice("all layers explode", "tanh cannot pass on more than 1, whatever comes in."),
            Choice(
                "the first layer is saturated, the others look sound",
                "Its sums are a hundred times too large, so its tanh is on the flat part. What it passes on is ±1, which suits the next "
                "layer well.",
                right=True,
            ),
            Choice(
                "the last layer vanishes", "The forward signal is large everywhere. Look at where the slope is small."
            ),
        ),
    ),
    "first_loss": Question(
        "A token model tells 17 tokens apart. Its output layer shares the weight of nn.Embedding(17, 128), which PyTorch draws with "
        "standard deviation 1; a LayerNorm of rms 1 comes before it. What is the first loss (cross-entropy)?",
        (
            Choice(
                "about ln 17 = 2.8, because the weights are random",
                "That is the loss of equal logits. Random weights give random logits, and these are large.",
            ),
            Choice(
                "about 3.3: a sound network starts a little above ln 17",
                "For a head that shares nothing and has weights of variance 1/n, yes: its logits have a variance of about 1, which "
                "adds 1/2 to ln 17. These weights have variance 1.",
            ),
            Choice(
                "about 80",
                "A logit is a sum over 128 products of order 1. For a wrong token it is about √128 = 11; the logit of the token that "
                "was just read is far larger, because its own vector is in the sum: up to 128. The model is sure that the next token "
                "is the one it has just read.",
                right=True,
            ),
        ),
    ),
    "float16": Question(
        "A ReLU network is sound in float32. In float16 the same weights give NaN. Which remedy keeps the weights as they are?",
        (
            Choice("smaller weights", "That changes the weights, and they were sound."),
            Choice(
                "bfloat16",
                "It has float32's range with fewer digits: nothing overflows that did not overflow before.",
                right=True,
            ),
            Choice("a smaller learning rate", "The NaN is there before the first step."),
        ),
    ),
}


def _cured(
    make: Callable[[], tuple[Any, ...]], answer: Any, remark: Callable[[nn.Module, nn.Module], str] | None = None
) -> nn.Module:
    """Run the student's cure on a patient and judge it; `remark` looks for a typical mistake in (the patient as it was, as it is)."""
    model, x, *y = make()
    before = copy.deepcopy(model)
    result = call(lambda model, x: _or_true(answer, model, x, before), model, x)
    model = result if isinstance(result, nn.Module) else model
    if sum(p.numel() for p in model.parameters()) != sum(p.numel() for p in before.parameters()):
        raise Wrong("that is another network: it has another number of parameters. Change the weights of this one.")
    words = remark(before, model) if remark else ""
    if words:
        raise Wrong(words)
    page = diagnose(model, x, *y)
    if not page.stable:
        raise Wrong(f"it is still {page.verdict.kind}. {page.verdict.why} {page.cause}")
    return model


def _or_true(answer: Any, model: nn.Module, x: Tensor, before: nn.Module) -> Any:
    """A cure works in place and may return nothing: it is unanswered only if nothing was returned and nothing changed."""
    if not callable(answer):
        raise TypeError("the answer is a function")
    result = answer(model, x)
    if result is None or result is ...:
        now, was = list(model.parameters()), list(before.parameters())
        same = len(now) == len(was) and all(torch.equal(a, b) for a, b in zip(now, was))
        return None if same else True
    return result


def _judge_cure_std(answer: Any) -> None:
    _cured(patients.one_std_for_all, answer)


def _judge_cure_pixels(answer: Any) -> None:
    model, x = patients.raw_pixels()
    given = tensor(call(answer, x.clone()), tuple(x.shape))
    if torch.equal(given, x):
        raise Wrong("that is the batch as it came.")
    if abs(float(given.mean())) > 0.3 * float(given.std()) and float(given.min()) >= 0:
        raise Wrong(
            "the values are all positive: their mean is left in, and it pushes every unit of the first layer to one side."
        )
    if not bool(given.isfinite().all()):
        raise Wrong(
            "it has NaN or infinite values: some pixels are the same in every image, so their standard deviation is 0."
        )
    if float(torch.corrcoef(torch.stack([given.flatten(), x.flatten()]))[0, 1]) < 0.5:
        raise Wrong("that shows other images: shift and scale the ones that came.")
    page = diagnose(model, given)
    rms = float(given.square().mean().sqrt())
    if not page.stable:
        raise Wrong(
            f"the network is still {page.verdict.kind} on it: the rms of this batch is {rms:.3g}, and Xavier assumes 1."
        )
    if not 0.5 < rms < 2:
        raise Wrong(f"the rms of this batch is {rms:.3g}; Xavier's derivation assumes a second moment of 1.")


def _judge_cure_zeros(answer: Any) -> None:
    def remark(before: nn.Module, model: nn.Module) -> str:
        weights = [p.detach() for p in model.parameters() if p.dim() >= 2]
        if any(float(p.min()) == float(p.max()) for p in weights[:-1]):  # zeros are sound in the last one
            return "a weight matrix has the same number everywhere: its units still compute the same (notebook 02)."
        if any(bool(p.any()) for p in model.parameters() if p.dim() < 2):
            return "the biases are no longer zero; they were right."
        stds = [float(p.std()) * p.shape[1] ** 0.5 for p in weights[:-1]]
        if min(stds) < 0.9:
            return (
                f"the symmetry is broken, but the standard deviation is {min(stds):.2g}/√n_in, and ReLU wants √2/√n_in: each layer "
                "shrinks the signal."
            )
        return ""

    _cured(patients.zeros_like_the_biases, answer, remark)


def _judge_cure_gates(answer: Any) -> None:
    _cured(patients.stuck_gates, answer)


def _judge_cure_tied(answer: Any) -> None:
    model = _cured(patients.tied_at_std_one, answer)
    _, tokens, target = patients.tied_at_std_one()
    with torch.no_grad():
        loss = float(nn.functional.cross_entropy(model(tokens).flatten(0, 1), target.flatten()))
    if loss > math.log(17) + 1:
        raise Wrong(
            f"it is stable, but the first loss is {loss:.1f}, and a guess costs ln 17 = 2.8. In the logit of the token that "
            "was just read its vector is multiplied with itself: at a standard deviation of σ that logit is up to 128 σ."
        )


def _judge_cure_adapter(answer: Any) -> None:
    def remark(before: nn.Module, model: nn.Module) -> str:
        now = dict(model.named_parameters())
        if any(not torch.equal(p, now[name]) for name, p in before.named_parameters() if not p.requires_grad):
            return "frozen weights have changed: the adapter is there to leave them alone."
        if bool((now["2.up"] @ now["2.down"]).any()):
            return (
                "both factors are random now: it would learn, but the adapter already changes what the frozen network says. "
                "Leave one factor at zero."
            )
        return ""

    _cured(patients.adapter_of_zeros, answer, remark)


def _judge_cure_default(answer: Any) -> None:
    model = _cured(patients.left_at_the_default, answer)
    x = patients.left_at_the_default()[1]
    with torch.no_grad():
        for number, layer in enumerate(model if isinstance(model, nn.Sequential) else (), start=1):
            x = layer(x)
            spread = float(x.var()) if isinstance(layer, nn.Linear) else 1.0
            if not 0.85 < spread < 1.15:
                raise Wrong(
                    f"it is stable, but by a formula: the output of layer {(number + 1) // 2} has variance {spread:.2g}. Let the "
                    "data set it to 1."
                )


def _judge_cure_memory(answer: Any) -> None:
    _cured(patients.answer_after_200_steps, answer)


EXERCISES = {
    "cure_std": Exercise(
        _judge_cure_std,
        "right. The scale follows from activation and fan-in: for ReLU √(2/9) = 0.47 in the first layer, √(2/288) = 0.08 in those of 32 "
        "channels.",
    ),
    "cure_pixels": Exercise(
        _judge_cure_pixels,
        "right. Every formula of this course assumes inputs of mean 0 and second moment 1; standardizing is part of the initialization.",
    ),
    "cure_zeros": Exercise(
        _judge_cure_zeros, "right. Random weights break the symmetry, zero biases do no harm, and the scale is ReLU's."
    ),
    "cure_gates": Exercise(
        _judge_cure_gates, "right. The gates are back where a sigmoid has a slope, and can learn when to open."
    ),
    "cure_tied": Exercise(
        _judge_cure_tied,
        "right. At GPT-2's 0.02 even the logit of the token that was just read is small, and the first loss is near ln 17.",
    ),
    "cure_adapter": Exercise(
        _judge_cure_adapter,
        "right. The factor that is still zero gets a gradient at once, and opens the way to the other one.",
    ),
    "cure_default": Exercise(
        _judge_cure_default,
        "right. One forward pass, and every layer's output has variance 1, whatever the activation.",
    ),
    "cure_memory": Exercise(
        _judge_cure_memory,
        "right. An orthogonal matrix keeps every direction, however often it is applied; what still fades is tanh's doing.",
    ),
}
