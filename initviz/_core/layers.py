"""The layers of a model, here and nowhere else: those that a probe measures, those that a scheme draws, those that LSUV divides.

A layer is a module that owns a weight of two or more dimensions. A probe measures all of them (`layers_of`), embeddings too; a scheme
draws some kinds (`is_drawn`); LSUV and the comparison of weights take linear ones alone (`is_linear`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from initviz._core.fans import is_conv1d
from initviz._core.torch_internals import Convolution, compiled_from, own_buffers, own_parameters, within_torch_func

_LAZY = (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)
_SCRIPTED = (
    torch.jit.ScriptModule,
    torch.jit.RecursiveScriptModule,
    torch.jit.TopLevelTracedModule,
    torch.jit.TracedModule,
)
_NO_LAYERS = parametrize.ParametrizationList, nn.ParameterList, nn.ParameterDict, nn.LayerNorm, nn.RMSNorm
"""The parameters of the first three belong to the module that they are a part of; the norms have a factor for each input, no matter how
many axes it has."""
_BEHIND = ("weight", "weight_v", "weight_orig")
"""What the parameter that makes a layer's weight is called: plain, and by torch.nn.utils' weight_norm, spectral_norm and prune."""


def bare(model: nn.Module) -> nn.Module:
    """The module within torch.compile's and data parallelism's wrappers: its layers, not fused kernels or copies."""
    while True:
        inner = compiled_from(model)
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = model.module
        if inner is None:
            return model
        model = inner


class Unmeasurable(ValueError):
    """Found during a pass: why a model can't be measured. It is not the batch's fault."""


def refuse_unreadable(tensor: Tensor, name: str) -> None:
    """Raises `Unmeasurable` if the output of the layer called `name` has no values that can be read."""
    if within_torch_func(tensor):
        raise Unmeasurable(f"model: calls {name} within torch.func (vmap, grad), where no value can be read")
    if tensor.is_nested:
        raise Unmeasurable(f"model: the output of {name} is a nested tensor, whose values have no common shape; pad it")


def refuse_meta_device() -> None:
    """Raises ValueError within `torch.device("meta")`: there no new tensor has values, and nothing can be drawn or measured."""
    if torch.get_default_device().type == "meta":
        raise ValueError("device: new tensors have no values within torch.device('meta'); call this outside of it")


def layers_of(model: nn.Module) -> dict[nn.Module, str]:
    """Modules that own a weight of two or more dimensions -> their path in the model.

    Left out are a weight that only shifts or scales (of a layer normalization over two axes, or a table of positions kept by
    a module that is made of layers), and the output projection inside nn.MultiheadAttention, which is never called: the attention
    itself is the layer, and its output is the projection's.

    Raises:
        TypeError: not an nn.Module.
        ValueError: no such module, a lazy or a TorchScript one, and parameters without values, complex, or from inference mode.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}; it takes a torch.nn.Module")
    refuse_meta_device()
    modules = list(model.named_modules())
    _refuse_what_cannot_be_measured(modules)
    inner = {id(module.out_proj) for _, module in modules if isinstance(module, nn.MultiheadAttention)}
    layers = {
        module: name or type(module).__name__
        for name, module in modules
        if id(module) not in inner and own_weight(module) is not None
    }
    if not layers:
        raise ValueError("model: has no layer to measure, that is no module with a weight of two or more dimensions")
    return layers


def is_linear(module: nn.Module) -> bool:
    """Whether it is a linear or convolution layer (a transposed one too), Hugging Face's Conv1D among them."""
    return isinstance(module, nn.Linear | Convolution) or is_conv1d(module)


def is_drawn(module: nn.Module) -> bool:
    """Whether a scheme draws its weights: a linear, convolution, recurrent or attention layer."""
    return is_linear(module) or isinstance(module, nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention)


def own_weight(module: nn.Module) -> nn.Parameter | None:
    """The layer's parameter of two or more dimensions: the one called `weight`, or else the first. None if it is no layer.

    Of a parametrized module it is the parameter behind the weight. (To ask such a module for its weight would compute it, and
    spectral normalization moves on when it does.)
    """
    if isinstance(module, _NO_LAYERS):
        return None
    own = own_parameters(module)
    weight = own.get("weight")
    if weight is not None and weight.dim() >= 2:
        return weight  # the usual case, at a fifth of the cost
    if not own and next(module.children(), None) is None:
        return None
    weights = {name: p for name, p in _own_parameters(module) if p.dim() >= 2}
    if not weights:
        return None
    named = next((weights[name] for name in _BEHIND if name in weights), None)
    if named is None and not any("weight" in name for name in weights) and _has_layers(module):
        return None  # a table of positions, a token, a low-rank patch
    return named if named is not None else next(iter(weights.values()), None)


def weight_of(module: nn.Module) -> Tensor:
    """What the layer really multiplies by: its weight, computed anew if it is parametrized or masked."""
    if parametrize.is_parametrized(module, "weight"):
        with torch.no_grad():
            return cast(Tensor, module.weight)
    computed = vars(module).get("weight")  # an attribute that torch.nn.utils.weight_norm and prune keep up to date
    return computed if isinstance(computed, Tensor) else cast(Tensor, own_weight(module))


def _own_parameters(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in own_parameters(module).items():
        if parameter is not None:
            yield name, parameter
    for name, behind in (getattr(module, "parametrizations", None) or {}).items():
        yield (
            name,
            max(behind.parameters(recurse=False), key=Tensor.numel),
        )  # weight_norm: the direction, not the length
    for name, part in module.named_children():
        if isinstance(part, nn.ParameterList | nn.ParameterDict):
            yield from ((name, parameter) for parameter in part.parameters())


def _has_layers(module: nn.Module) -> bool:
    return any(own_weight(part) is not None for part in module.modules() if part is not module)


def _refuse_what_cannot_be_measured(modules: list[tuple[str, nn.Module]]) -> None:
    scripted = {kind for kind in {type(module) for _, module in modules} if issubclass(kind, torch.jit.ScriptModule)}
    for name, module in modules:
        where = name or "it"
        if type(module) in scripted:
            raise ValueError(
                f"model: {where} is compiled by TorchScript, which hides its layers; use the nn.Module it is from"
            )
        for key, tensor in [*own_parameters(module).items(), *own_buffers(module).items()]:
            if tensor is None:
                continue
            whole = f"{name}.{key}" if name else key
            if type(tensor) in _LAZY:
                raise ValueError(
                    f"model: {where} is lazy and has no weights yet; run one batch through the model first"
                )
            if tensor.is_meta:
                raise ValueError(f"model: {whole} is on the meta device and has no values; load its weights first")
            if tensor.is_inference():
                raise ValueError(
                    f"model: {whole} was made in inference mode, which knows no gradients; use a deepcopy of the model"
                )
            if tensor.is_complex() and key in own_parameters(module):
                raise ValueError(f"model: {whole} is complex; histograms and moments are those of real numbers")
