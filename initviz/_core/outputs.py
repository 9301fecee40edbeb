"""What a layer or a model gives back: a tensor, or tensors within tuples, lists, dicts and objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence


def real_tensors(tree: Any, depth: int = 5) -> Iterator[Tensor]:
    """The real tensors in an output: itself, or within tuples, lists, mappings and objects, at most `depth` of them deep."""
    leaves: Iterable[Any] = ()
    if isinstance(tree, Tensor):
        if tree.is_floating_point():
            yield tree
    elif isinstance(tree, Mapping):
        leaves = tree.values()
    elif isinstance(tree, tuple | list):
        leaves = tree
    elif hasattr(tree, "__dict__") and not isinstance(tree, nn.Module | type):
        leaves = vars(tree).values()
    if depth:
        for leaf in leaves:
            yield from real_tensors(leaf, depth - 1)


def plus(tree: Any, number: Tensor) -> Any:
    """The output with `number` added to every real tensor in it, or None where it is of a kind that can't be taken apart."""
    if isinstance(tree, Tensor):
        return tree + number if tree.is_floating_point() else tree
    if isinstance(tree, PackedSequence):
        return tree._replace(data=tree.data + number)
    if type(tree) in (tuple, list):
        return type(tree)(leaf if (new := plus(leaf, number)) is None else new for leaf in tree)
    if type(tree) is dict:
        return {key: leaf if (new := plus(leaf, number)) is None else new for key, leaf in tree.items()}
    return None
