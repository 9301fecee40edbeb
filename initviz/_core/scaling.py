"""How a network's parameters grow with its width, read from two widths of it, and what muP makes of that.

muP, the maximal update parametrization, is table 3 of Yang et al. 2021 (Tensor Programs V, arXiv 2203.03466). In brackets, where it
differs, is the standard parametrization:

                            input weights, biases, gains    hidden weights          output weights
    fans that grow          fan_out                         fan_in and fan_out      fan_in
    variance of a weight    1/fan_in                        1/fan_in                1/fan_in^2  (1/fan_in)
    learning rate of SGD    fan_out  (1)                    1                       1/fan_in    (1)
    learning rate of Adam   1                               1/fan_in  (1)           1/fan_in    (1)

A bias's fan_in is 1 and its fan_out its length. As powers of the growth of the fans the rates are one line each: SGD's goes as
fan_out/fan_in, Adam's as 1/fan_in. The package `mup` has another form of the same (table 8): it divides the output by the width, with other
powers for its weights, and trains in the same way.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from initviz._core.fans import by_groups, fans
from initviz._core.layers import bare, is_drawn, own_weight
from initviz._core.parameters import EMBEDDINGS
from initviz._core.torch_internals import own_parameters


class Scaling(NamedTuple):
    """A parameter's fans over those of the same parameter in a base network."""

    fan_in: float
    fan_out: float

    @property
    def role(self) -> str:
        """ "input" if only its fan_out grows (biases and gains too), "hidden" if both do, "output" if only its fan_in does, or "fixed"."""
        if self.fan_in == 1:
            return "fixed" if self.fan_out == 1 else "input"
        return "output" if self.fan_out == 1 else "hidden"

    @property
    def std(self) -> float:
        """muP's standard deviation of a weight over that in the base."""
        return float(self.fan_in ** (-1.0 if self.role == "output" else -0.5))

    def rate(self, optimizer: str) -> float:
        """muP's learning rate over that in the base, for "sgd" or "adam"."""
        return self.fan_out / self.fan_in if optimizer == "sgd" else 1 / self.fan_in


def scalings(model: nn.Module, base: nn.Module, argument: str = "base") -> dict[nn.Parameter, Scaling]:
    """Each parameter of `model` that trains -> its `Scaling` over the parameter of that name in `base`; `argument` is what that is called.

    Raises:
        TypeError: `base` is no module.
        ValueError: other parameters in `base`; a parameter whose fans can't be told: of a layer of a kind that no scheme draws, or an
            embedding's that is the head's too.
    """
    if not isinstance(base, nn.Module):
        raise TypeError(f"{argument}: got {type(base).__name__}; it takes the same network at another width")
    model, base = bare(model), bare(base)
    ours, theirs = dict(model.named_modules()), dict(base.named_modules())
    names = {name: p.dim() for name, p in model.named_parameters()}
    other = {name: p.dim() for name, p in base.named_parameters()}
    if names != other or ours.keys() != theirs.keys():
        odd = sorted(names.items() ^ other.items())
        where = f" (see {odd[0][0]})" if odd else ""
        raise ValueError(
            f"{argument}: is another network than the model{where}; it takes the same one at another width"
        )
    found: dict[nn.Parameter, Scaling] = {}
    embedded = {
        p for module in ours.values() if isinstance(module, EMBEDDINGS) for p in module.parameters(recurse=False)
    }
    for path, module in ours.items():
        for name, parameter in own_parameters(module).items():
            if parameter is None or not parameter.requires_grad:
                continue
            where = f"{path}.{name}" if path else name
            if parameter in embedded and not isinstance(module, EMBEDDINGS):
                raise ValueError(
                    f"model: {where} is the weight of an embedding too, whose learning rate in muP is another than a head's; untie them"
                )
            if parameter not in found:
                found[parameter] = _scaling(module, theirs[path], name, where)
    return found


def role_of(layer: nn.Module, other: nn.Module) -> str:
    """`Scaling.role` of a layer's weight, from the same layer at another width; "unknown" where its fans can't be told."""
    weight = own_weight(layer)
    name = next((name for name, p in own_parameters(layer).items() if p is weight), None)
    try:
        return "unknown" if name is None else _scaling(layer, other, name, name).role
    except ValueError:
        return "unknown"


def _scaling(module: nn.Module, other: nn.Module, name: str, where: str) -> Scaling:
    ours, theirs = own_parameters(module)[name], own_parameters(other)[name]
    assert ours is not None and theirs is not None  # they have the same names
    vector = Scaling(1.0, ours.shape[-1] / theirs.shape[-1] if ours.dim() else 1.0)
    grown = [axis for axis, (a, b) in enumerate(zip(ours.shape, theirs.shape)) if a != b]
    if not grown:
        return Scaling(1.0, 1.0)
    if ours.dim() == 1 or isinstance(module, EMBEDDINGS):
        return vector
    if is_drawn(module) and name not in ("bias_k", "bias_v"):
        return Scaling(fans(ours, module)[0] / fans(theirs, other)[0], _outputs(ours, module) / _outputs(theirs, other))
    if grown == [ours.dim() - 1] and own_weight(module) is not ours:
        return vector  # a table of positions, a token: added to what a layer gives
    raise ValueError(
        f"model: {where}, of a {type(module).__name__}, is of no layer whose fans are known here; freeze it to leave it out"
    )


def _outputs(weight: nn.Parameter, layer: nn.Module) -> int:
    groups, outputs, *_ = by_groups(weight, layer).shape
    return groups * outputs
