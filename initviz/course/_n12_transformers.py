"""Notebook 12: questions and exercises on attention at its start, pre- and post-norm, the first loss, and the rules of code."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from initviz.course._kit import Choice, Exercise, Question, Wrong, call, close, number
from initviz.experiments import language_model
from initviz.theory import predict_first_loss

QUESTIONS = {
    "entropy": Question(
        r"A query's logits over 32 tokens are normal with standard deviation $\beta$. At which $\beta$ is the entropy of its weights down "
        r"to half of $\ln 32$?",
        (
            Choice("about 0.3", "There the weights differ by factors of e^0.3 = 1.35: nearly all tokens count alike."),
            Choice("about 1", "That is the usual start of attention. The entropy is at 0.87 of ln 32 there."),
            Choice(
                "between 2 and 3",
                "ln T - β²/2 is half of ln T at β = 1.9; with 32 tokens, which are not many, it is 2.6.",
                right=True,
            ),
            Choice("about 10", "There the entropy is 0.11 of ln 32: hardly more than one token counts."),
        ),
    ),
    "skip": Question(
        r"Twelve layers $x' = \text{LN}(x + \text{Attention}(x))$ on tokens at right angles, logits with $\beta = 1$. What is the "
        "cosine of two tokens that the last layer gets?",
        (
            Choice(
                "near 0: the skip connection keeps the tokens apart",
                "It keeps one half of each layer's sum apart. What is the other half?",
            ),
            Choice("about 0.5", "It passes 0.5 in the middle of the stack. Does anything stop it there?"),
            Choice(
                "about 0.98",
                "Once tokens are somewhat alike, attention's half of the sum is nearly the same for all: each layer halves what tells them "
                "apart.",
                right=True,
            ),
        ),
    ),
    "gradient": Question(
        "Tokens that are all alike, and weights that learn. Which matrices of an attention layer get next to no gradient?",
        (
            Choice("those of the values and the output", "They act on the mean token, and the mean is there. The loss feels them."),
            Choice(
                "those of queries and keys",
                "They decide which token is looked at. Where all tokens are alike, that changes nothing.",
                right=True,
            ),
            Choice("all four alike", "Does it matter for the output what the values' matrix does to a token? And where a query looks?"),
        ),
    ),
    "qk_norm": Question(
        "QK-norm layer-normalizes each query and each key. Which of the two failures does it cure?",
        (
            Choice("both", "It sets β to 1, whatever the weights. Look at the plane: does a stack with β = 1 never collapse?"),
            Choice("rank collapse", "At β = 1 a weak residual stream collapses all the same: the cure is more of the stream."),
            Choice(
                "entropy collapse",
                "It moves a network along the plane to β = 1. Rank collapse lies there too, if the stream is weak.",
                right=True,
            ),
        ),
    ),
    "prenorm": Question(
        "In a pre-norm transformer every branch reads a normalized copy of the stream. How does the stream's second moment depend on "
        "the number $l$ of blocks that it has passed?",
        (
            Choice(
                "it stays: normalization holds it",
                "The copy that a branch reads is normalized. The stream itself never is, until the output.",
            ),
            Choice(
                "it grows in proportion to $l$",
                "Each branch reads a signal of size 1, so it adds an amount that does not depend on the stream's size.",
                right=True,
            ),
            Choice(
                "it doubles in each block, as $2^l$",
                "That took branches that grow with the stream. These read a signal of size 1, always.",
            ),
        ),
    ),
    "first_loss": Question(
        "A language model of 32,128 tokens. Its head, with weights of standard deviation 1, reads 768 normalized numbers. What is the "
        "first loss, in nats?",
        (
            Choice(
                "about 10.4, the loss of a guess",
                "ln V = 10.4 is for logits that are all alike. These have a standard deviation of √768 = 28.",
            ),
            Choice("about 11", "So it would be with a standard deviation of 1/√768, where the logits have variance 1."),
            Choice(
                "about 115",
                "β² = 768 is far beyond 2 ln V = 21: the largest of the logits counts alone, and the target's is 0 on average.",
                right=True,
            ),
            Choice("about 394", "ln V + β²/2 is that large, but it holds while β² < 2 ln V only."),
        ),
    ),
    "tied": Question(
        "Now the head is tied: its rows are the tokens' embeddings. Before the first step, which token does the model hold for the "
        "most likely next one?",
        (
            Choice("none in particular", "So it is with an untied head. This one has seen the embedding of one token before."),
            Choice(
                "the one that it has just read",
                "Its embedding is a part of the stream, and the head asks how much of each embedding is there.",
                right=True,
            ),
            Choice("the most frequent one", "No weight has seen the data yet."),
        ),
    ),
    "mitchell": Question(
        r"Mitchell's rule, for pre-norm: in block $l = 1, 2, \ldots$ the last matrices are divided by $\sqrt{2 l}$. How does the "
        "stream's second moment grow with the number $N$ of blocks?",
        (
            Choice("not at all", "Each block adds something; it adds less and less."),
            Choice(
                r"as $\ln N$",
                "Block l adds in proportion to 1/l, and 1 + 1/2 + ... + 1/N is near ln N.",
                right=True,
            ),
            Choice("as $N$", "That is pre-norm without a rule: each block adds as much as the one before it."),
        ),
    ),
}  # fmt: skip


# Exercises ---------------------------------------------------------------------------------------------------------------

QK_MISTAKES: list[tuple[Callable[[int, float], float], str]] = [
    (lambda d, b: b / d, "that is the variance of the weights, β/d; the answer is their standard deviation."),
    (lambda d, b: d**-0.5, "that is right for β = 1 alone."),
    (lambda d, b: math.sqrt(b / math.sqrt(d)), "queries and keys have d inputs each: each of them has variance d σ²."),
    (lambda d, b: b / math.sqrt(d), "both matrices have the factor σ: the logits go with σ², not with σ."),
    (lambda d, b: b**0.25 / math.sqrt(d), "β is the standard deviation of the logits already, not their variance."),
]


def _judge_qk_std(answer: Any) -> None:
    for width, beta in ((768, 1.0), (64, 4.0), (4096, 0.25)):
        given = number(call(answer, width, beta))
        if close(given, math.sqrt(beta / width), rel=1e-3):
            continue
        words = f"for d = {width} and β = {beta:g} it gives {given:.4g}: "
        for mistake, why in QK_MISTAKES:
            if close(given, mistake(width, beta), rel=1e-6):
                raise Wrong(words + why)
        raise Wrong(words + f"with it the logits have a standard deviation of {width * given**2:.3g}.")


RESIDUAL_MISTAKES: list[tuple[Callable[[int, float], float], str]] = [
    (lambda n, f: f ** (1 / n) / (1 - f ** (1 / n)), "that is r²; take the root."),
    (lambda n, f: f ** (1 / n), "that is what one layer multiplies by, r²/(r² + 1); solve it for r."),
    (lambda n, f: math.sqrt(f ** (1 / n)), "a layer multiplies by r²/(r² + 1), not by r²: LN divides by the size of the sum."),
    (lambda n, f: math.sqrt(n / math.log(1 / f)), "that is right for many layers only."),
    (lambda n, f: math.sqrt(n), "that is right for many layers and f = 1/e alone; f is left out."),
    (lambda n, f: math.sqrt(f / (1 - f)), "that is right for one layer: what L layers multiply by is its L-th power."),
]  # fmt: skip


def _judge_residual(answer: Any) -> None:
    for layers, share in ((12, 0.5), (3, 0.1), (100, 0.9)):
        given = number(call(answer, layers, share))
        kept = share ** (1 / layers)
        if close(given, math.sqrt(kept / (1 - kept)), rel=1e-4):
            continue
        words = f"for L = {layers} and f = {share:g} it gives {given:.4g}: "
        for mistake, why in RESIDUAL_MISTAKES:
            if close(given, mistake(layers, share), rel=1e-6):
                raise Wrong(words + why)
        left = (given**2 / (given**2 + 1)) ** layers
        raise Wrong(words + f"with it {left:.3g} of the difference is left after all layers.")


def _judge_mend(answer: Any) -> None:
    net = language_model("neox", blocks=2, width=64, heads=2, vocabulary=2000)
    tokens = torch.arange(16 * 16, device="cpu").reshape(16, 16) * 7 % 2000
    with torch.no_grad():
        net.output.weight.div_(net.output.weight.std())
        before = [weight.clone() for weight in net.parameters()]
        mended = call(answer, net)
        if mended is not net:
            raise Wrong(
                f"it returns {type(mended).__name__} that is not the network it got; mend that one and return it."
            )
        output = [net.output.weight, net.output.bias]
        others = [(p, was) for p, was in zip(net.parameters(), before) if all(p is not one for one in output)]
        if any(not torch.equal(p, was) for p, was in others):
            raise Wrong("it changes other weights than the head's; the first loss is the head's matter alone.")
        *_, stream = net.streams(tokens)
        variance = net.output(net.final(stream)).var().item()
    if 0.8 < variance < 1.2:
        return
    words = f"the logits have variance {variance:.2g}, and the first loss is about {predict_first_loss(variance, 2000):.3g}: "
    if variance == 0:
        raise Wrong(
            words
            + "a head of zeros is at ln V, but passes no gradient to the blocks below it in the first step. The task says 1."
        )
    for expected, why in (
        (64.0, "the head is as it was."),
        (1 / 64, "1/d is the variance of its weights; their standard deviation is the root of it."),
        (64 * 0.02**2, "0.02 is GPT-2's choice for width 768; here d is 64, and the task says variance 1."),
        (1 / 3, "that is torch's own start, U(-1/√d, 1/√d), whose variance is 1/(3d)."),
        (2.0, "that is He's variance, 2/d; no ReLU is in front of the head."),
        (2 * 64 / 2064, "that is Xavier's, 2/(d + V); the logits' variance goes with d alone."),
    ):
        if close(variance, expected, rel=0.2):
            raise Wrong(words + why)
    raise Wrong(words + "a logit is a sum of d products with numbers of mean square 1.")


EXERCISES = {
    "qk_std": Exercise(
        _judge_qk_std,
        "σ = √(β/d). GPT-2's 0.02 at width 768 gives β = 0.31: attention starts nearly uniform.",
    ),
    "residual": Exercise(
        _judge_residual,
        "r²/(r² + 1) per layer, f after L layers. For many layers r is near √(L/ln(1/f)): the branch over √L once more.",
    ),
    "mend": Exercise(
        _judge_mend,
        "the logits have variance 1 and the first loss is about ln V + 1/2.",
    ),
}
