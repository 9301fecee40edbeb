"""Where things are made: where torch makes things, unless someone says otherwise."""

from __future__ import annotations

import torch


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """`device` as a torch.device with its number; None is the one on which torch makes things, `torch.get_default_device()`.

    Raises:
        ValueError: not a device that this machine has.
    """
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device: {device!r} can't be used here: {str(error).splitlines()[0]}") from error


def device_names() -> list[str]:
    """The devices of this machine by name, the CPU first."""
    kind = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return ["cpu"] if kind is None else ["cpu", *(f"{kind.type}:{i}" for i in range(torch.accelerator.device_count()))]
