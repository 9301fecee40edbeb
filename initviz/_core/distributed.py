"""Models that several processes hold together: FSDP2 (`fully_shard`) and DistributedDataParallel."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from initviz._core.torch_internals import end_sharded_pass


def process_group(model: nn.Module) -> Any:
    """The process group that shares the batch, each rank with its own part of it; None for a model of one process alone. (Call it
    within `resharded`.)

    Raises:
        ValueError: a model that is spread in a way that can't be measured: FSDP1, DistributedDataParallel around a part of it,
            tensor parallelism.
    """
    if not (dist.is_available() and dist.is_initialized() and isinstance(model, nn.Module)):
        return None
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    flat = getattr(sys.modules.get("torch.distributed.fsdp"), "FullyShardedDataParallel", ())
    for name, module in model.named_modules():
        if isinstance(module, flat):
            raise ValueError(
                f"model: {name or 'it'} is wrapped in FullyShardedDataParallel (FSDP1), which flattens its weights; take "
                "fully_shard (FSDP2), or the model before it is wrapped"
            )
        if name and isinstance(module, nn.parallel.DistributedDataParallel):
            raise ValueError(f"model: {name} in it is wrapped in DistributedDataParallel; wrap the whole model instead")
    if isinstance(model, nn.parallel.DistributedDataParallel):
        return model.process_group
    parameters: list[Any] = list(model.parameters())
    meshes = {p.device_mesh for p in parameters if is_distributed(p)}
    if not meshes:
        return None
    mesh = next(iter(meshes))
    if not _sharded_modules(model) or len(meshes) > 1 or (mesh.ndim > 1 and mesh.size() != dist.get_world_size()):
        raise ValueError(
            "model: its parameters are DTensors of something else than fully_shard over one mesh (tensor parallelism?), "
            "whose activations are spread too; take the model before it is parallelized"
        )
    return mesh.get_group() if mesh.ndim == 1 else dist.group.WORLD


def refuse_several_ranks(model: nn.Module, call: str) -> None:
    """Raises ValueError for a model that processes hold together, which `call` can't take."""
    with resharded(model):
        if process_group(model) is not None:
            raise ValueError(
                f"model: several processes hold it, and in {call} each would settle its weights on its own part of the batch; do "
                "that before it is wrapped or sharded"
            )


def is_distributed(tensor: Tensor) -> bool:
    """Whether it is a DTensor, of which this process holds a part."""
    return type(tensor) not in (Tensor, nn.Parameter) and hasattr(tensor, "full_tensor")


def gathered(tensor: Tensor) -> Tensor:
    """The tensor itself, or the whole of a DTensor, for which all ranks have to ask."""
    return tensor.full_tensor() if is_distributed(tensor) else tensor  # type: ignore[attr-defined]


def fill_whole_(tensor: Tensor, fill: Callable[[Tensor], Any]) -> None:
    """fill(tensor), or of a DTensor this rank's part of what `fill` makes of the whole."""
    if not is_distributed(tensor):
        fill(tensor)
        return
    from torch.distributed.tensor import distribute_tensor

    local: Any = tensor
    values = torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    fill(values)
    local.copy_(distribute_tensor(values, local.device_mesh, local.placements, src_data_rank=None))


@contextmanager
def resharded(model: nn.Module) -> Iterator[None]:
    """Inside, modules that `fully_shard` was called on hold their sharded parameters, as between two passes. Afterwards they hold what
    they held before: those that were gathered are gathered again.

    A parameter that FSDP2 puts into a module for a pass is emptied after it, so that putting it back by hand breaks the model.
    """
    modules = _sharded_modules(model)
    found = []
    for module in modules:
        before = list(map(id, module.parameters()))
        module.reshard()
        if before != list(map(id, module.parameters())):
            found.append(module)
    try:
        yield
    except BaseException:
        for module in modules:
            end_sharded_pass(module)
        raise
    finally:
        for module in modules:
            module.reshard()
        for module in found:
            module.unshard()


def kind_of(module: nn.Module) -> str:
    """The name of its class, as it was before `fully_shard` made an "FSDPLinear" of a Linear."""
    bases = [base for base in type(module).__bases__ if base is not _sharded_class()]
    return (bases if len(bases) < len(type(module).__bases__) else [type(module)])[0].__name__


def _sharded_class() -> Any:
    """What `fully_shard` adds to a module's class, or None where it isn't loaded and so nothing is sharded."""
    return getattr(sys.modules.get("torch.distributed.fsdp"), "FSDPModule", None)


def _sharded_modules(model: nn.Module) -> list[Any]:
    kind = _sharded_class()
    return [m for m in model.modules() if isinstance(m, kind)] if kind and isinstance(model, nn.Module) else []
