"""The weights of a model that a scheme draws, each with its layer and the biases that belong to it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.utils import parametrize

from initviz._core.layers import is_drawn, own_weight
from initviz._core.torch_internals import own_buffers, own_parameters

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


class Weight(NamedTuple):
    """A weight to draw: the layer that it belongs to, and the biases to set with it. A shared weight belongs to the first of its layers,
    and has the biases of all."""

    layer: nn.Module
    parameter: nn.Parameter
    biases: list[nn.Parameter]


class Left(NamedTuple):
    """A weight that no scheme draws: its path in the model, the module that it belongs to, and why."""

    name: str
    owner: nn.Module
    why: str


def weights_and_biases(model: nn.Module) -> tuple[list[Weight], list[Left]]:
    """Each `Weight` to draw, in the order of the modules (a shared one comes once), and what is `Left`.

    Drawn are parameters of two or more dimensions of linear, convolution, recurrent and attention layers. What an embedding owns
    is left: a language model's head often has the same weight. Of an embedding itself, and of a normalization, it goes without saying.

    Raises:
        TypeError: not an nn.Module.
        ValueError: a weight that can't be drawn: computed from others, lazy, on the meta device, complex.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}; it takes a torch.nn.Module")
    modules = list(model.named_modules())
    embedded = {
        id(p): (name, m)
        for name, m in reversed(modules)
        if isinstance(m, EMBEDDINGS)
        for p in own_parameters(m).values()
    }
    seen: dict[int, list[nn.Parameter]] = {}  # a weight's id -> its biases
    weights: list[Weight] = []
    left: list[Left] = []
    for path, module in modules:
        if not is_drawn(module):
            continue
        own, kind = dict(module.named_parameters(recurse=False)), type(module).__name__
        if _computes_a_weight(module):
            raise ValueError(
                f"model: {kind} computes its weight from others (weight normalization and the like); initialize it before that"
            )
        for name, parameter in own.items():
            if isinstance(parameter, nn.parameter.UninitializedParameter):
                raise ValueError(f"model: {kind} is lazy; run one batch through it before initializing it")
            if parameter.is_meta or parameter.is_complex():
                what = "is on the meta device and has no values" if parameter.is_meta else "is complex"
                raise ValueError(
                    f"model: {name} of a {kind} {what}; a scheme draws real numbers into a weight that is there"
                )
            if parameter.dim() < 2 or name in ("bias_k", "bias_v"):
                continue
            # of attention whose keys and values have sizes of their own, three weights have one bias
            key = "in_proj_bias" if name == "q_proj_weight" else name.replace("weight", "bias")
            names = (key, key.removesuffix("_orig"), f"{key}_orig")  # torch's prune renames one of the two, or both
            bias = next((own[each] for each in names if each in own), None)
            biases = seen.get(id(parameter), [])
            if bias is not None and bias is not parameter and all(bias is not other for other in biases):
                biases.append(bias)
            if id(parameter) in seen:
                continue
            seen[id(parameter)] = biases
            if id(parameter) in embedded:
                table, owner = embedded[id(parameter)]
                left.append(Left(_joined(path, name), owner, f"it is the weight of the embedding {table}"))
                continue
            weights.append(Weight(module, parameter, biases))
    for path, module in modules:
        weight = None if is_drawn(module) or isinstance(module, EMBEDDINGS) else own_weight(module)
        if weight is not None and id(weight) not in seen and weight.requires_grad and id(weight) not in embedded:
            why = f"a {type(module).__name__} is no layer that a scheme draws"
            left.append(Left(_joined(path, _name_of(weight, module)), module, why))
    return weights, left


def _computes_a_weight(module: nn.Module) -> bool:
    """Whether parametrizations, or torch.nn.utils' weight_norm or spectral_norm, make one of its weights from other parameters."""
    own, buffers = own_parameters(module), own_buffers(module)
    return parametrize.is_parametrized(module) or any(
        name.removesuffix("_v") + "_g" in own or name.removesuffix("_orig") + "_u" in buffers for name in own
    )


def _name_of(parameter: Tensor, module: nn.Module) -> str:
    return next((name for name, own in module.named_parameters() if own is parameter), "weight")


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
