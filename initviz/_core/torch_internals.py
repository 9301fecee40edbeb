"""Every private name of torch that the package uses, in one place, each with what is done under a torch that lacks it.

All of them but `reset_iter_state`, which came with 2.12, are there in torch 2.6.0, 2.13.0 and 2.14.1, the versions that were tried;
`tests/test_torch_internals.py` and `tests/test_distributed.py` take them away.
"""

from __future__ import annotations

import itertools
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

# Classes ------------------------------------------------------------------------------------------------------------------

Convolution: Any = getattr(
    nn.modules.conv,
    "_ConvNd",
    nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d,
)
"""What every convolution layer is an instance of, the transposed ones among them."""

BatchNorm: Any = getattr(
    nn.modules.batchnorm, "_BatchNorm", nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
)
"""What every batch normalization is an instance of."""

# A module's own tensors ---------------------------------------------------------------------------------------------------


def own_parameters(module: nn.Module) -> Mapping[str, nn.Parameter | None]:
    """The module's parameters by name, without those of its submodules; a name may stand for None."""
    found = vars(module).get("_parameters")  # forty times as fast as the public way
    return dict(module.named_parameters(recurse=False, remove_duplicate=False)) if found is None else found


def own_buffers(module: nn.Module) -> Mapping[str, Tensor | None]:
    """The same of its buffers."""
    found = vars(module).get("_buffers")
    return dict(module.named_buffers(recurse=False, remove_duplicate=False)) if found is None else found


def compiled_from(model: nn.Module) -> nn.Module | None:
    """The module that torch.compile made this one from; None of a module that it did not make."""
    found = getattr(model, "_orig_mod", None)
    if found is None and type(model).__name__ == "OptimizedModule":
        return next(model.children(), None)
    return found


# What FSDP2 knows of a pass --------------------------------------------------------------------------------------------------


def end_sharded_pass(module: Any) -> None:
    """A module that `fully_shard` was called on forgets the pass that an error ended: else the next one does not gather its parameters.

    `FSDPModule.reset_iter_state`, of which torch 2.11 has only the parts.
    """
    if hasattr(module, "reset_iter_state"):
        # only the outermost module takes it, for all within it, and not before its first pass
        with suppress(AttributeError, RuntimeError):
            module.reset_iter_state()
        return
    with suppress(AttributeError):
        state = module._get_fsdp_state()
        groups = getattr(state, "_fsdp_param_groups", None) or [getattr(state, "_fsdp_param_group", None)]
        for part in [state, *filter(None, groups)]:
            part._training_state = type(part._training_state).IDLE
        state._state_ctx.iter_forward_root = None
        state._modules_to_run_forward.clear()
        state._comm_ctx.post_forward_order.clear()


# Trees of tuples, lists and dicts -----------------------------------------------------------------------------------------


def _tree_map(function: Callable[[Any], Any], tree: Any, is_leaf: Callable[[Any], bool] = lambda _: False) -> Any:
    if is_leaf(tree):
        return function(tree)
    if type(tree) in (dict, OrderedDict, defaultdict):
        new = tree.copy()
        new.update((key, _tree_map(function, part, is_leaf)) for key, part in tree.items())
        return new
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_tree_map(function, part, is_leaf) for part in tree))
    if type(tree) in (tuple, list):
        return type(tree)(_tree_map(function, part, is_leaf) for part in tree)
    return function(tree)


def _tree_leaves(tree: Any) -> list[Any]:
    leaves: list[Any] = []
    _tree_map(leaves.append, tree)
    return leaves


try:
    from torch.utils._pytree import tree_leaves, tree_map
except ImportError:  # without classes that other packages have registered as trees
    tree_leaves, tree_map = _tree_leaves, _tree_map  # type: ignore[assignment]

# How torch calls its functions --------------------------------------------------------------------------------------------

try:
    from torch._C import DisableTorchFunction as UnseenByModes
except ImportError:  # the same numbers, slower: the probe's own operations pass through its TorchFunctionMode
    UnseenByModes = nullcontext
"""A context in which operations go neither through a TorchFunctionMode nor through the __torch_function__ of a Tensor's subclass."""


OperationsMode: Any
try:
    from torch.utils._python_dispatch import TorchDispatchMode

    OperationsMode = TorchDispatchMode
except ImportError:  # sees nothing: where NaN begins is not said
    OperationsMode = nullcontext
"""A context that sees every operation with its tensors (__torch_dispatch__), also those within a function of torch."""


def _has_no_memory(tensor: Tensor) -> bool:
    try:
        tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return tensor.layout == torch.strided
    return False


try:
    from torch._C._functorch import is_functorch_wrapped_tensor as within_torch_func
except ImportError:  # torch.func.functionalize, whose tensors have memory, is not noticed
    within_torch_func = _has_no_memory
"""Whether a tensor is one of those that torch.func (vmap, grad) calls a function with, which have no values to read."""

try:
    from torch._C._functorch import maybe_current_level as _level
except ImportError:  # a call within it then fails in torch's words
    _level = lambda: None  # noqa: E731


def within_any_torch_func() -> bool:
    """Whether a function is being called by torch.func, also one whose own tensors are plain ones."""
    return _level() is not None


@lru_cache
def _has_compiler() -> bool:
    return find_spec("torch._dynamo") is not None


def uncompiled() -> AbstractContextManager[Any]:
    """Run what torch.compile wraps as it was written."""
    # set_stance loads the compiler, which takes seconds. Where it isn't loaded yet, nothing is compiled.
    loaded = "torch._dynamo" in sys.modules or not _has_compiler()
    return torch.compiler.set_stance("force_eager") if loaded else nullcontext()


try:
    from torch.autograd.graph import _engine_run_backward as _run_backward
except ImportError:
    _run_backward = None  # type: ignore[assignment]


def backward(value: Tensor, inputs: Sequence[Tensor] | None) -> None:
    """torch.autograd.backward, but a TorchFunctionMode around it sees the functions within, of hooks and of one's own gradients. (Where
    torch lacks it, it does not.)"""
    if _run_backward is None or (inputs is not None and not len(inputs)):
        torch.autograd.backward(value, inputs=inputs)
        return
    ones, targets = (torch.ones_like(value),), tuple(inputs or ())
    _run_backward((value,), ones, False, False, targets, allow_unreachable=True, accumulate_grad=True)


# Tensors ------------------------------------------------------------------------------------------------------------------

_looks = itertools.count()


def version(tensor: Any) -> int:
    """How often the tensor was written into. Tensors of inference mode don't count."""
    try:
        return tensor._version
    except RuntimeError:
        return 0
    except AttributeError:
        if tensor.is_inference():
            return 0
        return next(_looks)  # as if it had been written into since the last look: what was measured is measured again


def whole(tensor: Tensor, parameters: Iterable[nn.Parameter]) -> Tensor:
    """The tensor that this one is a view of, or itself. `parameters` are the ones that are looked for."""
    try:
        return tensor._base if tensor._is_view() else tensor  # type: ignore[return-value]
    except AttributeError:
        memory = tensor.untyped_storage().data_ptr()
        return next((p for p in parameters if p.untyped_storage().data_ptr() == memory), tensor)


try:
    from torch._C import _cuda_getCurrentRawStream as _raw_stream
except ImportError:  # a CPU's torch has none; another one takes ten times as long

    def _raw_stream(device: int) -> int:  # type: ignore[misc]
        return torch.cuda.current_stream(device).cuda_stream


def current_stream(device: torch.device) -> int:
    """The number of the stream that launches on this device now go to; 0 is the default one."""
    return _raw_stream(device.index) if device.type == "cuda" else 0


def _stream(device: torch.device, number: int) -> torch.cuda.Stream:
    return torch.cuda.ExternalStream(number, device) if number else torch.cuda.default_stream(device)


def on_stream(device: torch.device, number: int) -> AbstractContextManager[Any]:
    """Launches go to this device and its stream of that number."""
    if device.type != "cuda" or (device.index == torch.cuda.current_device() and number == current_stream(device)):
        return nullcontext()
    return torch.cuda.stream(_stream(device, number))


def wait_for(device: torch.device, number: int) -> None:
    """What is launched from now on begins when all is done that the stream of that number was given."""
    if number != current_stream(device):
        torch.cuda.current_stream(device).wait_stream(_stream(device, number))


def norms(tensors: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """The square root of each tensor's sum of squares, summed in `dtype`; on a GPU all together take few launches."""
    try:
        return list(torch._foreach_norm(tensors, 2, dtype=dtype))
    except (AttributeError, TypeError, RuntimeError):  # one after the other
        return [torch.linalg.vector_norm(tensor, dtype=dtype) for tensor in tensors]


def put_gradient_hooks_aside(parameter: nn.Parameter) -> Callable[[], Any]:
    """Put aside the user's hooks on its finished gradient (`register_post_accumulate_grad_hook`). What is returned puts them back."""
    try:
        hooks = parameter._post_accumulate_grad_hooks
    except AttributeError:  # they are called, and what they write into the parameter is undone
        return partial(parameter.data.copy_, parameter.detach().clone())
    if hooks:
        parameter._post_accumulate_grad_hooks = OrderedDict()  # None would leave torch calling the old ones
    return partial(setattr, parameter, "_post_accumulate_grad_hooks", hooks)
