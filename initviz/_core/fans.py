"""How many inputs a unit sums over, and how many units an input feeds: the one place for fans.

A weight W with independent entries of mean 0 gives E[h^2] = fan_in Var(W) E[x^2] on the way forward and
E[(dL/dx)^2] = fan_out Var(W) E[(dL/dh)^2] on the way back, as averages over units, inputs and places (a border apart):

    layer                   weight                       fan_in                    fan_out
    linear                  (out, in)                    in                        out
    convolution             (out, in/groups, *kernel)    in/groups area            out/groups area / stride
    transposed convolution  (in, out/groups, *kernel)    in/groups area / stride   out/groups area

where area is the number of the kernel's places and stride the product of the strides: a convolution looks at an input from one place
in `stride` only, and a transposed one spreads as many inputs over `stride` times as many outputs. Dilation changes neither. So a fan
need not be a whole number.

torch.nn.init counts a weight's shape alone, fan_in = shape[1] area and fan_out = shape[0] area. That is the same for a linear layer and
for a convolution of stride 1 without groups. It differs in the fan_out of a grouped or strided convolution (`groups` and `stride` times too
large: pytorch issue 23854), and in both fans of a transposed one, which it takes for each other, without groups and stride. (A weight
that holds several matrices, such as an LSTM's or attention's in_proj_weight, is counted by its shape, as torch does.)
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from initviz._core.arguments import got
from initviz._core.torch_internals import Convolution


def fans(weight: Tensor, layer: nn.Module | None = None) -> tuple[float, float]:
    """(fan_in, fan_out) of a weight of two or more dimensions in `layer`; without one as in a linear layer or a plain convolution.

    Raises:
        ValueError: fewer than two dimensions.
    """
    if not isinstance(weight, Tensor):
        raise TypeError(f"weight: got {got(weight)}; it takes a tensor")
    if weight.dim() < 2:
        raise ValueError(f"weight: got shape {tuple(weight.shape)}; fans take two or more dimensions")
    if isinstance(layer, nn.Linear):
        return weight.shape[1], weight.shape[0]  # the usual case, at a fifth of the cost
    _, n_out, n_in, *kernel = by_groups(weight, layer).shape
    area, stride = math.prod(kernel), stride_of(layer)
    fan_in, fan_out = n_in * area, n_out * area
    if is_transposed(layer):
        return _ratio(fan_in, stride), fan_out
    return fan_in, _ratio(fan_out, stride)


def by_groups(weight: Tensor, layer: nn.Module | None = None) -> Tensor:
    """A view of the layer's weight, shape (groups, outputs, inputs, *kernel), the outputs and inputs of one group each."""
    if is_conv1d(layer):
        return weight.T[None]
    if not isinstance(layer, Convolution):
        return weight[None]
    groups = weight.unflatten(0, (layer.groups, -1))
    return groups.transpose(1, 2) if layer.transposed else groups


def is_plain(layer: nn.Module | None) -> bool:
    """Whether its weight is (outputs, inputs, *kernel) for all of its units at once."""
    return not (is_conv1d(layer) or is_transposed(layer) or getattr(layer, "groups", 1) != 1)


def is_transposed(layer: nn.Module | None) -> bool:
    """Whether it is a transposed convolution, whose weight is (in, out/groups, *kernel)."""
    return isinstance(layer, Convolution) and layer.transposed


def is_conv1d(layer: nn.Module | None) -> bool:
    """Whether it is Hugging Face's Conv1D, of GPT-2: a linear layer whose weight is (in, out)."""
    return type(layer).__name__ == "Conv1D" and hasattr(layer, "nf")


def stride_of(layer: nn.Module | None) -> int:
    """The product of a convolution's strides, 1 for any other layer."""
    return math.prod(layer.stride) if isinstance(layer, Convolution) else 1


def _ratio(fan: int, stride: int) -> float:
    return fan // stride if fan % stride == 0 else fan / stride
