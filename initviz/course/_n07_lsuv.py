"""Notebook 07: questions and exercises on layer-sequential unit variance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from initviz.course._kit import Choice, Exercise, Question, Wrong, call, close, listed, number, seeded

QUESTIONS = {
    "one_division": Question(
        "A layer without a bias has an output of variance v on a batch. You divide its weight by √v and pass the same batch again. "
        "What variance does its output have now?",
        (
            Choice("1, up to rounding", "W x / √v is the old output divided by √v: its variance is v/v.", right=True),
            Choice(
                "nearer to 1; it takes rounds", "Only if a part did not scale with the weight: a bias, or a new batch."
            ),
            Choice("that depends on the activation", "The output is taken before the activation."),
            Choice("1/v", "That is what dividing by v gives; the variance goes with the square of the weight."),
        ),
    ),
    "all_at_once": Question(
        "Why layer by layer? Pass the batch once, write down the variance of every layer, and divide all weights at once, each by its "
        "own root. Ten ReLU layers, orthonormal at the start. What is the variance of the last layer's output afterwards?",
        (
            Choice("1: each was divided by its own root", "Each was, but by what it was before the others changed."),
            Choice("far below 1", "The signal shrinks from layer to layer, so each division makes something larger."),
            Choice(
                "far above 1",
                "Layer 10 was small because nine layers before it were small. They are repaired now, and it is repaired for all nine "
                "of them once more.",
                right=True,
            ),
        ),
    ),
    "samples": Question(
        "Twenty sigmoid layers after LSUV: every layer's output has variance 1 over samples and units. Two different digits go in. How "
        "far apart are their outputs in layer 20?",
        (
            Choice("about √2 in each unit: two draws of variance 1", "Only if the variance is between samples."),
            Choice("about as far as in layer 1", "LSUV holds the total at 1, not the part that is between samples."),
            Choice(
                "so near that float32 can hardly tell them apart",
                "The variance of 1 is between units: each has its own constant, the same for every sample. What differs between "
                "samples shrinks by a factor in every layer.",
                right=True,
            ),
        ),
    ),
    "backward": Question(
        "LSUV makes every layer's output a signal of variance 1, under any activation. Which of these networks, 20 layers deep, then also "
        "keeps its gradient's scale, within a factor of 2 from the last layer to the first?",
        (
            Choice(
                "ReLU", "E[φ'²] and E[φ²] are both 1/2 at variance 1: the gradient's factor is 1 per layer.", right=True
            ),
            Choice("tanh", "Near, but not: its factor is 1.09 per layer, and 1.09 to the 19th is 5."),
            Choice("sigmoid", "Its slope is at most 1/4. The gradient's factor is 0.39 per layer."),
            Choice("sin(3z)", "A slope of up to 3: its factor is 3 per layer, and 3 to the 19th is a billion."),
        ),
    ),
}


# Exercise 1: the inner loop ----------------------------------------------------------------------------------------------


class _TooLong(BaseException):
    """No Exception, so that it passes through `call` and through an answer's own `except`."""


class _Limit(TorchFunctionMode):
    """Ends a loop that would never end: no answer needs so many operations."""

    left = 3000

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.left -= 1
        if self.left == -1:  # once: leaving torch.no_grad() comes by here too
            raise _TooLong
        return func(*args, **(kwargs or {}))


def _layer(spread: float, bias: float, seed: int) -> tuple[nn.Linear, Tensor]:
    """A layer of 30 inputs and 400 outputs with a bias of this variance, and inputs on which W h has the variance `spread`."""
    generator = seeded(seed)
    layer = nn.utils.skip_init(nn.Linear, 30, 400, device=generator.device)
    h = torch.randn(200, 30, generator=generator) + torch.randn(30, generator=generator)
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
        layer.weight.mul_(math.sqrt(spread) / (h @ layer.weight.T).std(correction=0))
        layer.bias.normal_(generator=generator)
        layer.bias.sub_(layer.bias.mean()).mul_(math.sqrt(bias) / layer.bias.std(correction=0))
    return layer, h


def _reference(layer: nn.Linear, h: Tensor, tol: float, max_iter: int) -> tuple[int, Tensor]:
    """The number of tries, and the weight after them."""
    tries, weight = 0, layer.weight.detach().clone()
    while abs((spread := (h @ weight.T + layer.bias.detach()).var(correction=0)) - 1) >= tol and tries < max_iter:
        weight /= spread.sqrt()
        tries += 1
    return tries, weight


def _judge_inner_loop(answer: Any) -> None:
    for spread, bias, tol, max_iter, words in (
        (9.0, 0.0, 0.1, 10, "a layer without a bias whose output has variance 9"),
        (1.05, 0.0, 0.1, 10, "a layer whose output has variance 1.05, with tol=0.1"),
        (0.3, 0.5, 0.01, 20, "a layer whose bias has variance 0.5, with tol=0.01"),
        (1.0, 2.0, 0.1, 3, "a layer whose bias alone has variance 2, with max_iter=3"),
    ):
        layer, h = _layer(spread, bias, seed=round(10 * spread))
        before, bias_before, first = layer.weight.detach().clone(), layer.bias.detach().clone(), layer(h).detach()
        expected, right = _reference(layer, h, tol, max_iter)
        try:
            with _Limit(), torch.no_grad():
                result = call(answer, layer, h, tol, max_iter)
        except _TooLong:
            raise Wrong(
                f"on {words} the loop does not end. Compute the output again after each division, and stop after max_iter tries."
            ) from None
        if not isinstance(result, tuple | list) or len(result) != 2 or not isinstance(result[0], Tensor):
            raise Wrong("it returns two things: the layer's output, a tensor, and the number of tries.")
        tries = number(result[1])
        if not torch.equal(layer.bias.detach(), bias_before):
            raise Wrong("the bias was changed; LSUV divides the weight alone.")
        if reason := _weight_mistake(layer, before, right, layer(h).detach(), expected, tol, max_iter):
            if torch.equal(result[0].detach(), first) and not torch.equal(layer.weight.detach(), before):
                reason = "the output is never computed again, so the loop looks at the old one. output = layer(a) after each division."
            raise Wrong(f"on {words}: {reason}")
        if tries != expected:
            raise Wrong(
                f"on {words} it says {tries:g} tries; a try is one division of the weight, and {expected} are needed."
            )
        if not torch.allclose(result[0].detach(), layer(h).detach(), atol=1e-5):
            raise Wrong(
                f"on {words}: the output it returns is not the layer's output now. Compute it again after the last division: the "
                "next layer needs it."
            )


def _weight_mistake(
    layer: nn.Linear, before: Tensor, right: Tensor, output: Tensor, expected: int, tol: float, max_iter: int
) -> str:
    """What is wrong with the weight that is there now, or an empty string."""
    weight = layer.weight.detach()
    factor, wanted = float((weight / before).median()), float((right / before).median())
    variance = output.var(correction=0).item()
    if torch.equal(weight, before):
        return "the weight is the same as before; change it in place: layer.weight.data /= ..." if expected else ""
    if expected == 0:
        return "its variance is within tol of 1 already, so its weight stays; look before the first division."
    if expected == max_iter:
        many = f"with max_iter={max_iter} the weight is divided {max_iter} times, no more and no less."
        return "" if close(factor, wanted, 0.02) else many
    if abs(variance - 1) < tol:
        return ""
    if expected == 1 and any(close(factor, f, 0.05) for f in (wanted**2, 1)):  # 1: to and fro an even number of times
        return "the weight was divided by the variance; divide by its root, since the variance goes with the square."
    if expected == 1 and factor > 1:
        return "the weight was multiplied by the standard deviation; divide by it."
    if close(output.var(dim=0).mean().item(), 1, tol / 2):
        return "the variance was taken over the samples of each unit; it is over all values of the output."
    return f"its output has variance {variance:.3g} at the end, which is not within {tol:g} of 1; go on until it is."


# The other exercises -----------------------------------------------------------------------------------------------------

SAVING_MISTAKES: list[tuple[Callable[[list[int]], tuple[float, float]], str]] = [
    (
        lambda t: (sum(t) + len(t), sum(t) + len(t)),
        "those are the passes if it is done literally; a pass of the network computes all its layers.",
    ),
    (
        lambda t: (len(t) * sum(t), sum(t)),
        "each layer is looked at once more than it is divided: the last look sees that it is done.",
    ),
    (
        lambda t: (len(t) * (sum(t) + 1), sum(t) + len(t)),
        "literally every layer has a last look of its own, and that is a pass too.",
    ),
    (
        lambda t: (len(t) * (sum(t) + len(t)), sum(t) + 1),
        "with stops, too, each layer is computed once before its first division.",
    ),
    (
        lambda t: (sum(number * (tries + 1) for number, tries in enumerate(t, start=1)), sum(t) + len(t)),
        "that is right if a pass ends at the layer that is looked at; literally it runs to the end of the network.",
    ),
    (
        lambda t: (sum(t) + len(t), len(t) * (sum(t) + len(t))),
        "the two are the wrong way round: the literal count comes first, and it is the larger.",
    ),
]


def _judge_saving(answer: Any) -> None:
    for tries in ([1, 2, 0, 4], [0, 1, 1, 1, 1, 1], [3]):
        looks = len(tries) + sum(tries)
        right = len(tries) * looks, looks
        given = listed(call(answer, list(tries)))
        if not (isinstance(given, tuple | list) and len(given) == 2):
            raise Wrong(f"for {tries} it gives {given!r}; the answer is two numbers: literally, and with stops.")
        pair = number(given[0]), number(given[1])
        if _same(pair, right):
            continue
        default = "count how often each layer is computed, one way and the other."
        why = next((words for mistake, words in SAVING_MISTAKES if _same(pair, mistake(tries))), default)
        raise Wrong(
            f"for layers divided {tries} times it gives {pair[0]:g} literally and {pair[1]:g} with stops: {why}"
        )


def _same(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return close(a[0], b[0]) and close(a[1], b[1])


def _judge_between(answer: Any) -> None:
    generator = seeded(7)
    for own, constant in ((0.4, 2.0), (1.0, 0.0), (0.01, 1.0)):
        noise = own * torch.randn(500, 60, generator=generator)
        output = noise + constant * torch.randn(60, generator=generator) + 3 * constant
        share = (output.var(dim=0, correction=0).mean() / output.var(correction=0)).item()
        given = number(call(answer, output))
        if close(given, share, 0.01):
            continue
        words = f"samples of standard deviation {own:g} about each unit's own constant: it gives {given:.3g}, not {share:.3g}"
        for mistaken, why in (
            (output.var(dim=1).mean() / output.var(), "dim=1 is the units of one sample; the samples are dim=0."),
            (
                output.var(dim=0).mean(),
                "That is the variance between samples; divide it by the variance of all values.",
            ),
            (1 - share, "That is what is between units; the rest is asked for."),
            (
                1 - output.mean(dim=0).var() / output.var(),
                "The idea is right, but .var() divides by n - 1, and 1/60 is much beside a small share: correction=0.",
            ),
            (1 / share, "The two variances are the wrong way up."),
            (
                output.mean(dim=0).var() / output.var(),
                "That is the variance of the units' means: what is between units.",
            ),
            (
                output.std(dim=0).mean() / output.std(),
                "That is a ratio of standard deviations; variances add up, they do not.",
            ),
            (output.square().mean(0).mean() / output.var(), "A mean of squares holds the mean too; take a variance."),
        ):
            if close(given, float(mistaken), 0.01):
                raise Wrong(f"{words}. {why}")
        raise Wrong(f"{words}.")


def _judge_factor(answer: Any) -> None:
    z = torch.linspace(-9, 9, 20001, dtype=torch.float64)
    weight = torch.exp(-z * z / 2)
    weight /= weight.sum()
    for name, phi in (
        ("torch.tanh", torch.tanh),
        ("torch.relu", torch.relu),
        ("torch.sigmoid", torch.sigmoid),
        ("sin(2z)", _sin2),
    ):
        at = z.clone().requires_grad_()
        value = phi(at)
        (slope,) = torch.autograd.grad(value.sum(), at)
        value = value.detach()
        signal, gradient, mean, tilt = ((weight * v).sum().item() for v in (value**2, slope**2, value, slope))
        right = math.sqrt(gradient / signal)
        given = number(call(answer, phi))
        if close(given, right, 0.02):
            continue
        words = f"for {name} it gives {given:.3g}, not {right:.3g}"
        for mistaken, why in (
            (gradient / signal, "that is the factor of the second moment; a gradient's scale goes with its root."),
            (math.sqrt(signal / gradient), "upside down: slopes above, values below."),
            (math.sqrt(gradient), "the weight is missing: LSUV has divided it by the root of E[φ²]."),
            (gradient, "the weight is missing: LSUV has divided it by the root of E[φ²]."),
            (
                math.sqrt(gradient / (signal - mean**2)),
                "that divides by a variance. A random weight passes the mean of φ on too: E[φ²] is needed.",
            ),
            (
                math.sqrt((gradient - tilt**2) / (signal - mean**2)),
                "std() takes the mean away; E[φ'²] and E[φ²] are means of squares.",
            ),
            (tilt / math.sqrt(signal), "average the squares of the slopes, not the slopes."),
            (right / 1e6, "the slope of a mean over a million draws is a millionth; differentiate the sum."),
        ):
            if close(given, mistaken, 0.02):
                raise Wrong(f"{words}: {why}")
        raise Wrong(f"{words}.")


def _sin2(z: Tensor) -> Tensor:
    return torch.sin(2 * z)


EXERCISES = {
    "inner_loop": Exercise(
        _judge_inner_loop,
        "the whole of LSUV in a few lines. A layer without a bias takes one try; a bias, which does not shrink with the weight, takes "
        "more; and a bias with a variance of its own above 1 can't be helped, which is why there is a max_iter.",
    ),
    "saving": Exercise(
        _judge_saving,
        "as many looks either way, and each costs the whole network literally, one layer with stops. So the saving is the number of "
        "layers, however the tries are spread.",
    ),
    "between_samples": Exercise(
        _judge_between,
        "near 1 the layer tells samples apart, near 0 it says the same of every sample, and the total variance shows neither.",
    ),
    "factor": Exercise(
        _judge_factor,
        "the gradient's factor per layer after LSUV. It is 1 for ReLU alone among these: unit variance forward is no promise for the way "
        "back.",
    ),
}
