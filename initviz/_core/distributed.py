"""Models that several processes hold together: FSDP2 (`fully_shard`) and DistributedDataParallel."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def process_group(model: nn.Module) -> Any:
    """The process group that shares the batch, each rank with its own part of it; None for a model of one process alone.

    Raises:
        ValueError: a model that is spread in a way that can't be measured: FSDP1, DistributedDataParallel around a part of it,
            tensor parallelism.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return None
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
    with resharded(model) as sharded:
        parameters: list[Any] = list(model.parameters())
        meshes = {p.device_mesh for p in parameters if is_distributed(p)}
    if not meshes:
        return None
    mesh = next(iter(meshes))
    if not sharded or len(meshes) > 1 or (mesh.ndim > 1 and mesh.size() != dist.get_world_size()):
        raise ValueError(
            "model: its parameters are DTensors of something else than fully_shard over one mesh (tensor parallelism?), "
            "whose activations are spread too; take the model before it is parallelized"
        )
    return mesh.get_group() if mesh.ndim == 1 else dist.group.WORLD


def is_distributed(tensor: Tensor) -> bool:
    """Whether it is a DTensor, of which this process holds a part."""
    return type(tensor) not in (Tensor, nn.Parameter) and hasattr(tensor, "full_tensor")


def gathered(tensor: Tensor) -> Tensor:
    """The tensor itself, gathered from all ranks if it is a DTensor (they all have to ask)."""
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
def resharded(model: nn.Module) -> Iterator[list[Any]]:
    """The modules that `fully_shard` was called on. Inside they hold their sharded parameters, as between two passes; afterwards what
    they held before: those that were gathered are gathered again, and their memory is filled.

    A parameter that FSDP2 has put into a module for a pass is emptied after it, so that putting it back by hand breaks the model.
    """
    kind = getattr(sys.modules.get("torch.distributed.fsdp"), "FSDPModule", None)
    modules: list[Any] = [] if kind is None else [module for module in model.modules() if isinstance(module, kind)]
    gathered = []
    for module in modules:
        before = list(map(id, module.parameters()))
        module.reshard()
        if before != list(map(id, module.parameters())):
            gathered.append(module)
    try:
        yield modules
    finally:
        for module in modules:
            module.reshard()
        for module in gathered:
            module.unshard()
