"""Where things are made: where torch makes things, unless someone says otherwise."""

from __future__ import annotations

import torch
from torch import Tensor

from initviz._core.arguments import got


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """`device` as a torch.device with its number; None is the one on which torch makes things, `torch.get_default_device()`.

    Raises:
        ValueError: not a device that this machine has, or "meta".
    """
    try:
        place = torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        what = repr(device) if isinstance(device, str | torch.device) else got(device)
        raise ValueError(f"device: {what} can't be used here: {str(error).splitlines()[0]}") from error
    if place.type == "meta":
        raise ValueError(
            "device: tensors on the meta device have no values; it takes another, outside of torch.device('meta')"
        )
    return place


def has_float64(device: torch.device) -> bool:
    """Whether there are tensors of float64 on this device: Apple's GPUs have none."""
    return device.type != "mps"


def with_float64(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of it on the CPU where its device has no float64."""
    return tensor if has_float64(tensor.device) else tensor.cpu()


def in_float64(tensor: Tensor) -> Tensor:
    """The values in float64, without their graph; on the CPU where the tensor's device has none."""
    return with_float64(tensor.detach()).double()


def device_names() -> list[str]:
    """The devices of this machine by name, the CPU first."""
    kind = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return ["cpu"] if kind is None else ["cpu", *(f"{kind.type}:{i}" for i in range(torch.accelerator.device_count()))]
