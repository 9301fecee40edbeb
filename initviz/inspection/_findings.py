"""What a probe finds beside the numbers of layers: which parameters learn, where NaN begins, the first loss, what happens over time,
how attention is spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class OverTime:
    """What an nn.RNN, nn.LSTM or nn.GRU does over the steps of its sequence.

    Attributes:
        output: shape (steps,), rms of the output at each step.
        gradient: shape (steps,), norm of the gradient of the input at each step (over the batch and all features); empty where the
            backward pass did not get there or was not asked for.
        both_ways: whether it is bidirectional.
    """

    output: np.ndarray
    gradient: np.ndarray
    both_ways: bool = False


@dataclass(frozen=True)
class Reach:
    """Parameters that do not learn, or not at once, by name: those whose gradient is None or exactly 0 in the first pass, and what becomes
    of them; and what the model uses but does not list.

    Attributes:
        later: gets a gradient once others have moved, such as what lies before an output layer of zeros.
        never: used, and its gradient stays 0 however the others move; zeros: those of them whose values are all 0.
        cut_off: used, and no path leads to it from the loss (detach, no_grad, an integer in between).
        unused: not used in this pass.
        unlisted: not in `model.parameters()`, though the outputs depend on it and it takes a gradient: of a layer in a plain list, say.
    """

    later: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    zeros: tuple[str, ...] = ()
    cut_off: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """Where values that are not finite begin.

    Attributes:
        kind: "parameter", "buffer", "input", "target", "operation" (of the forward pass or the loss) or "gradient" (an operation's
            backward).
        name: of the parameter, the buffer or the operation; "x" of the input, "y" of the target.
        module: the module within which an operation runs, "" else; line: its "file.py:12", "" where that is torch's own.
        what: "NaN" or "infinite"; share: of its values that are so.
        inputs: what an operation got: its largest finite magnitude, or "a row of -inf".
    """

    kind: str
    name: str
    module: str = ""
    line: str = ""
    what: str = "NaN"
    share: float = 0.0
    inputs: str = ""


@dataclass(frozen=True)
class FirstLoss:
    """The first loss beside that of a guess which knows nothing, and the sizes of output and target.

    Attributes:
        loss: cross-entropy for classes, mean squared error for real targets.
        chance: of a uniform guess over the classes, ln(classes); for real targets of the best constant, their variance.
        classes: their number, or None.
        labels: entropy of the shares that the classes have in this batch: what a guess that knows them comes to. NaN without classes.
        output_rms, target_rms: root mean squares; the target's is NaN where there are classes.
    """

    loss: float
    chance: float
    classes: int | None
    labels: float
    output_rms: float
    target_rms: float


@dataclass(frozen=True)
class Attention:
    """One softmax attention of the pass, measured on a sample of batch entries, heads and queries.

    Attributes:
        layers: numbers (from 1) of the reached layers that made its queries and keys, as far as they are known.
        places: how many places (keys) there are.
        width: of a head's queries and keys, None where that is not known.
        entropy: mean over the queries of their weights' entropy over ln T, T being the places that the query may look at: 1 where they
            are all looked at alike, 0 where it is one alone. NaN where no query has a choice.
        logit_std: standard deviation of a query's logits, the numbers that softmax is taken of, over its places; the mean over queries.
        similarity: mean cosine between two places of what is attended to (the value, or the key where the softmax is written out), NaN
            where that is not known. Padding is left out.
    """

    layers: tuple[int, ...]
    places: int
    width: int | None
    entropy: float
    logit_std: float
    similarity: float
