"""A batch of any kind that a model is called with: a tensor, a packed sequence, a tuple or a dict of tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from initviz._core.layers import Unmeasurable
from initviz._core.statistics import mean_square
from initviz._core.torch_internals import tree_leaves, tree_map


def batch_size(x: Any) -> int:
    """Length of the first axis of its first tensor; of a packed sequence, the number of sequences.

    Raises:
        TypeError: no tensor in it.
        ValueError: an empty tensor in it, one without values, or a nested one.
    """
    if isinstance(x, PackedSequence):
        return int(x.batch_sizes[0])
    tensors = [leaf for leaf in tree_leaves(_plain(x)) if isinstance(leaf, Tensor)]
    if not tensors:
        raise TypeError(f"x: got {type(x).__name__}; it takes a tensor, or a tuple or a dict of tensors")
    if any(tensor.is_nested for tensor in tensors):
        raise ValueError("x: has a nested tensor; it takes padded ones, and the mask that the model has for them")
    if any(tensor.numel() == 0 for tensor in tensors):
        raise ValueError(f"x: {shape_words(x)} is empty; it takes a batch of at least one")
    refuse_meta("x", x)
    return len(tensors[0]) if tensors[0].dim() else 1


def refuse_meta(argument: str, x: Any) -> None:
    """Raises ValueError if one of the tensors in it is on the meta device."""
    if any(isinstance(leaf, Tensor) and leaf.is_meta for leaf in tree_leaves(_plain(x))):
        raise ValueError(f"{argument}: {shape_words(x)} is on the meta device and has no values")


def copy_batch(x: Any, device: torch.device) -> Any:
    """A copy of the batch's tensors on a device, so that a model that writes into its input leaves the batch alone."""

    def own(leaf: Any) -> Any:
        if isinstance(leaf, PackedSequence):
            return leaf._replace(data=own(leaf.data)).to(device)  # type: ignore[arg-type]
        return leaf.detach().to(device, copy=True) if isinstance(leaf, Tensor) else leaf

    return tree_map(own, _plain(x), is_leaf=lambda leaf: isinstance(leaf, PackedSequence))


def rms_each(x: Any) -> Iterator[float]:
    """Root mean square of each of the batch's real tensors (token ids are none), in their order."""
    data = x.data if isinstance(x, PackedSequence) else x
    for leaf in tree_leaves(_plain(data)):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            yield math.sqrt(mean_square(leaf))


def call(model: nn.Module, x: Any) -> Any:
    """model(x), model(*x) for a tuple or a list, model(**x) for a mapping.

    Raises:
        ValueError: the model raised an error; its first line is told beside the batch's shape. (`Unmeasurable` is one of its own.)
    """
    try:
        if isinstance(x, Mapping):
            return model(**x)
        return model(*x) if isinstance(x, tuple | list) and not isinstance(x, PackedSequence) else model(x)
    except (torch.OutOfMemoryError, MemoryError, Unmeasurable):
        raise
    except Exception as error:
        reason = first_line(error)
        if not isinstance(error, RuntimeError | ValueError | TypeError):  # a bare KeyError says no more than its key
            reason = f"{type(error).__name__}: {reason}"
        raise ValueError(f"x: {shape_words(x)} does not fit the model: {reason}") from error


def first_line(error: BaseException) -> str:
    """The first line of its message, or its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def shape_words(x: Any) -> str:
    """ "a batch of shape (256, 64)": every tensor's shape."""
    shapes = [str(tuple(leaf.shape)) for leaf in tree_leaves(_plain(x)) if isinstance(leaf, Tensor)]
    return f"a batch of shape {', '.join(shapes)}"


def _plain(x: Any) -> Any:
    """torch's trees know dicts, but not every mapping."""
    return dict(x) if isinstance(x, Mapping) else x
