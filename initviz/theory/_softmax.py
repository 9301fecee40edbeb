"""The softmax of independent normal logits: the first loss of a network that knows nothing, and how attention's weights are spread.

With l_i ~ N(0, s^2), i = 1 ... n, and Z = sum_i exp(l_i), the random energy model (Derrida 1981) has for large n

    E[ln Z] = ln n + s^2/2    while s^2 < 2 ln n,    and    s sqrt(2 ln n)    beyond.

At finite n the mean is one integral, of phi(t) = E[exp(-t exp(s z))] with z ~ N(0, 1) and Euler's gamma, since an exponential variable
over Z exceeds t with probability phi(t)^n:

    E[ln Z] = -gamma + integral over u of ([u < 0] - phi(exp(u))^n)

Its derivative gives the rest (Gaussian integration by parts): with weights p = softmax(l),

    E[sum p_i l_i] = s dE[ln Z]/ds = s^2 (1 - E[sum p_i^2]),    E[entropy of p] = E[ln Z] - E[sum p_i l_i]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from initviz._core.arguments import real_number, switch, whole_number

WIDEST = 100.0
"""Beyond this standard deviation the largest logit has all the weight, but for a part in proportion to 1/std."""


@dataclass(frozen=True)
class NormalSoftmax:
    """Means over the draws of `number` independent logits of mean 0 and standard deviation `std`.

    Attributes:
        log_sum: of ln Z, in nats: the cross-entropy of a target that the logits know nothing of.
        entropy: of the weights' entropy, in nats: ln(number) where all are alike, 0 where one has all the weight.
        squares: of the sum of the weights' squares, from 1/number to 1.
    """

    std: float
    number: int
    log_sum: float
    entropy: float
    squares: float


def normal_softmax(std: float, number: int) -> NormalSoftmax:
    """The softmax of `number` independent normal logits, exact at any number but for quadrature (to 1e-3 of each mean).

    Raises:
        TypeError, ValueError: a standard deviation below 0 or a number below 1.
    """
    return _normal_softmax(real_number("std", std), whole_number("number", number))


@lru_cache(maxsize=4096)
def _normal_softmax(std: float, number: int) -> NormalSoftmax:
    if std < 1e-6 or number == 1:
        return NormalSoftmax(std, number, math.log(number), math.log(number), 1 / number)
    if std > WIDEST:
        at, share = _normal_softmax(WIDEST, number), WIDEST / std
        entropy, spread = at.entropy * share, 1 - at.squares
        return NormalSoftmax(std, number, entropy + std * WIDEST * spread, entropy, 1 - spread * share)
    z = np.arange(-8.5, 8.5, min(0.05, 0.4 / std))
    weight = np.exp(-(z**2) / 2)
    weight /= weight.sum()
    step = 0.25 * max(1.0, std / 4)
    u = np.arange(-(8.5 * std + math.log(number) + 20), 8.5 * std + 4, step)
    e = np.exp(np.minimum(u[:, None] + std * z, 50.0))  # beyond, exp(-e) is 0 in any case
    missing = np.minimum(-np.expm1(-e) @ weight, 1 - 1e-16)  # 1 - phi
    log_phi = np.log1p(-missing)
    log_sum = -float(u[0]) - np.euler_gamma - step * float(np.exp(number * log_phi).sum() - 0.5)
    slope = step * float((number * np.exp((number - 1) * log_phi) * ((e * np.exp(-e)) @ (weight * z))).sum())
    return NormalSoftmax(std, number, log_sum, max(log_sum - std * slope, 0.0), 1 - slope / std)


def predict_first_loss(variance: float, classes: int, *, wide: bool = False) -> float:
    """The mean cross-entropy of normal logits of this variance against targets that they know nothing of, in nats.

    Args:
        variance: of a logit; of a head with weights of standard deviation s on d inputs of mean square 1 it is d s^2.
        classes: how many there are.
        wide: the limit of many classes, ln V + v/2 while v < 2 ln V and sqrt(2 v ln V) beyond, in place of the exact mean.
    Raises:
        TypeError, ValueError: a variance below 0 or fewer than one class.
    """
    variance, classes = real_number("variance", variance), whole_number("classes", classes)
    if not switch("wide", wide):
        return normal_softmax(math.sqrt(variance), classes).log_sum
    log = math.log(classes)
    return log + variance / 2 if variance < 2 * log else math.sqrt(2 * variance * log)
