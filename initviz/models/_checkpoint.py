"""Read weights from a file into a model, without ever running what is in the file: safetensors, and no pickle."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
"""Endings of files that hold a pickle."""


def load_safetensors_(model: nn.Module, path: str | Path) -> nn.Module:
    """Set the parameters and buffers of `model` to those of the safetensors file at `path`, and return it.

    Args:
        model: any nn.Module; names and shapes must be those of the file. Numbers are cast to the model's type.
        path: a file that ends in .safetensors.
    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a pickle, a damaged file, or one that does not fit the model, which is then as it was.
    """
    path = safe(path)
    if not path.is_file():
        raise FileNotFoundError(f"path: there is no file {path}")
    try:
        found = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"path: {path.name} is no safetensors file, or a damaged one ({error})") from error
    own = model.state_dict()
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # absent from some older checkpoints
    wrong = [f"lacks {name}" for name in own if name not in found and name not in counters]
    wrong += [f"has {name}, which the model has not" for name in found if name not in own]
    wrong += [
        f"{name} is {tuple(found[name].shape)}, not {tuple(value.shape)}"
        for name, value in own.items()
        if name in found and found[name].shape != value.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"path: {path.name} does not fit {type(model).__name__}: {'; '.join(wrong[:3])}{more}")
    model.load_state_dict(found, strict=False)
    return model


def safe(path: str | Path) -> Path:
    """`path` as a Path, if its ending does not say that it is a pickle.

    Raises:
        ValueError: it does.
    """
    path = Path(path)
    if path.suffix.lower() in PICKLES:
        raise ValueError(
            f"path: {path.name} is a pickle, which can run any program when it is read; take the .safetensors file of the same weights"
        )
    return path
