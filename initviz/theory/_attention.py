"""What becomes of tokens in a stack of attention layers at its start: how sharp the weights are, and how alike the tokens.

Of T tokens of mean square 1 let rho be the cosine of any two. The keys of a query have a part in common, which softmax does not see; what
is left makes its logits independent, with the standard deviation s = beta sqrt(1 - rho), beta being that of tokens at right angles.
Let P = E[sum_a p_a^2] for one query's weights, and Q = E[sum_a p_a p'_a] for those of two. Then a branch that averages the tokens by
these weights (values and outputs of variance 1/d) has mean square g and mean product c of two tokens

    g = rho + (1 - rho) P        c = rho + (1 - rho) Q

P is exact for T independent normal logits (`normal_softmax`). Two queries have the correlation rho: Q = (T P)^rho / T is exact at
rho = 0 and 1 and for small s, and was found within a sixth of simulations for T = 8 and 32 and s up to 4.
The branch is uncorrelated with the stream, which has mean square q: q' = r^2 q + g, and rho' q' = r^2 rho q + c.

Uniform attention has P = Q = 1/T: without a stream beside it (r = 0) one layer makes all tokens one. Dong et al. 2021 bound how fast
attention without skip connections makes tokens alike; Giorlandino & Goldt 2025 (arXiv 2505.24333) treat both failures by the random energy
model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from initviz._core.arguments import DEEPEST, look_up, real_number, whole_number
from initviz.theory._averages import numbers_from_0, quiet
from initviz.theory._softmax import normal_softmax

STACK_NORMS = {"pre": "before each branch", "post": "behind each sum"}
"""Where a stack normalizes its tokens: what a branch reads, or each sum of stream and branch."""


@dataclass(frozen=True)
class AttentionPlane:
    """A stack of attention layers at each place of the plane of logit scale and residual strength.

    Attributes:
        logit_std: shape (columns,), beta. residual: shape (rows,), r.
        entropy: shape (columns,), of the first attention's weights over ln T.
        similarity: shape (rows, columns), cosine of two tokens behind the last layer.
        layers, places, norm: of the stack.
    """

    logit_std: np.ndarray
    residual: np.ndarray
    entropy: np.ndarray
    similarity: np.ndarray
    layers: int
    places: int
    norm: str


@quiet
def predict_attention(
    logit_std: float | np.ndarray,
    residual: float | np.ndarray,
    *,
    layers: int,
    places: int,
    norm: str = "post",
    cosine: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Entropy and likeness of tokens by layer, in wide networks.

    Args:
        logit_std: beta, standard deviation of a query's logits over tokens at right angles; numbers of any shape.
        residual: r, factor on the stream beside each attention; of a shape that fits.
        layers, places: of the stack; places (tokens) at least 2.
        norm: a key of STACK_NORMS.
        cosine: of two tokens at the start, from 0 to 1.
    Returns:
        Two arrays: shape (layers, ...), entropy of the weights over ln T in each attention; shape (layers + 1, ...), the cosine of two
        tokens before the first layer and behind each.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    layers, places = whole_number("layers", layers, most=DEEPEST), whole_number("places", places, least=2)
    look_up("norm", norm, STACK_NORMS)
    beta, r = numbers_from_0("logit_std", logit_std), numbers_from_0("residual", residual)
    stds, entropies, squares = _table(places)
    if (cosine := real_number("cosine", cosine)) > 1:
        raise ValueError(f"cosine: got {cosine:g}; it takes a number from 0 to 1")
    rho = np.full(np.broadcast_shapes(beta.shape, r.shape), cosine)
    q = np.ones_like(rho)
    found, alike = [], [rho]
    for _ in range(layers):
        std = beta * np.sqrt(np.maximum(1 - rho, 0))
        p = np.exp(np.interp(std, stds, np.log(squares)))
        g, c = rho + (1 - rho) * p, rho + (1 - rho) * (places * p) ** rho / places
        found.append(np.interp(std, stds, entropies))
        stream = np.minimum(r**2 * q, 1e300)
        rho, q = (stream * rho + c) / (stream + g), stream + g
        q = np.ones_like(q) if norm == "post" else q
        alike.append(rho)
    return np.array(found), np.array(alike)


def attention_plane(layers: int = 12, places: int = 32, norm: str = "post") -> AttentionPlane:
    """The plane: logits of standard deviation 0.1 to 30, a stream of strength 0.1 to 10.

    Raises:
        TypeError, ValueError: as `predict_attention`.
    """
    beta, r = np.geomspace(0.1, 30, 61), np.geomspace(0.1, 10, 41)
    entropy, alike = predict_attention(beta, r[:, None], layers=layers, places=places, norm=norm)
    return AttentionPlane(beta, r, entropy[0, 0], alike[-1], layers, places, norm)


@lru_cache(maxsize=64)
def _table(places: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standard deviations of logits, and for each the entropy over ln T and the sum of squares of the weights."""
    stds = np.concatenate([[0.0], np.geomspace(0.05, 60, 72)])
    found = [normal_softmax(float(std), places) for std in stds]
    return stds, np.array([one.entropy for one in found]) / np.log(places), np.array([one.squares for one in found])
