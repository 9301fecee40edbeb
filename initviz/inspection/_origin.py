"""Where NaN or infinity begins: the first broken parameter, buffer, input or operation in the order in which a pass meets them."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from initviz._core.torch_internals import OperationsMode, tree_leaves
from initviz.inspection._findings import Origin

_PLACES = re.compile(r"(new_)?(fill|full|empty|zeros|ones|masked_fill|where|scalar_tensor|copy|to_copy|lift_fresh|index_put|index_fill|"
                     r"scatter|clone|detach|bernoulli|normal|uniform)(_like|_strided)?_?$")  # fmt: skip
"""Operations that put a value where it was asked for, such as -inf into a mask, and memory that holds nothing yet."""
_WORDS = {
    "addmm": "a matrix product",
    "mm": "a matrix product",
    "bmm": "a matrix product",
    "convolution": "a convolution",
}
_TORCH, _INITVIZ = str(Path(torch.__file__).parent), str(Path(__file__).parents[1])


def find(model: nn.Module, x: Any, y: Any, forward: Callable[[], Tensor]) -> Origin | None:
    """The first thing in one more pass that is not finite, or None.

    Args:
        x, y: the batch as the model is given it, and the target.
        forward: runs the model on it and gives the loss, with its graph.
    """
    known = {id(leaf): ("input", "x") for leaf in tree_leaves(x) if isinstance(leaf, Tensor)}
    known |= {id(leaf): ("target", "y") for leaf in tree_leaves(y) if isinstance(leaf, Tensor)}
    known |= {id(b): ("buffer", name) for name, b in model.named_buffers()}
    known |= {id(p): ("parameter", name) for name, p in model.named_parameters()}
    search = _Search(known)
    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(partial(search.enter, name or type(model).__name__)).remove)
            stack.callback(module.register_forward_hook(search.leave, always_call=True).remove)
        with search:
            value = forward()
    return _on_the_way_back(model, value) if search.found is None and value.requires_grad else search.found


def _on_the_way_back(model: nn.Module, value: Tensor) -> Origin | None:
    """The first operation whose own backward makes NaN or infinity out of finite gradients."""
    found: list[Origin] = []

    def look(name: str, inputs: Any, outputs: Any) -> None:
        bad = [t for t in inputs if t is not None and not t.isfinite().all()]
        if bad and not found and all(t is None or t.isfinite().all() for t in outputs):
            what = "NaN" if any(t.isnan().any() for t in bad) else "infinite"
            found.append(Origin("gradient", _snake(re.sub(r"Backward\d*$", "", name)), what=what))

    nodes, seen = [value.grad_fn], set()
    for node in nodes:
        if node is not None and node not in seen:
            seen.add(node)
            nodes.extend(before for before, _ in node.next_functions)
            node.register_hook(partial(look, node.name()))
    value.backward(inputs=[p for p in model.parameters() if p.requires_grad])
    return found[0] if found else None


class _Search(OperationsMode):
    """Looks at every operation's tensors until something is not finite that was put there by no mask."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch loads its compiler, for seconds, to keep it out of here

    def __init__(self, known: dict[int, tuple[str, str]]) -> None:
        super().__init__()
        self.known = known
        self.inside = ["the loss"]
        self.found: Origin | None = None

    def enter(self, name: str, *_: Any) -> None:
        self.inside.append(name)

    def leave(self, *_: Any) -> None:
        self.inside.pop()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self.found is not None:
            return func(*args, **kwargs)
        name = re.sub(r"^_*(native_|thnn_fused_)?", "", func._schema.name.split("::")[-1]).rstrip("_")
        inputs = [t for t in tree_leaves((args, kwargs)) if _real(t)]
        self.found = next(filter(None, map(self.broken, inputs)), None)
        if func._schema.is_mutable or name.endswith("batch_norm"):  # it writes into them
            inputs = [t.clone() for t in inputs]
        output = func(*args, **kwargs)
        if self.found is None and not _PLACES.match(name):
            self.look(name, inputs, [t for t in tree_leaves(output) if _real(t)])
        return output

    def broken(self, tensor: Tensor) -> Origin | None:
        """What is known of this tensor if it is not finite; -inf is let be in what may be a mask: a buffer, or an input of few values."""
        kind, name = self.known.get(id(tensor), ("", ""))
        if not kind or tensor.isfinite().all():
            return None
        what = "NaN" if tensor.isnan().any() else "infinite"
        may_mask = kind == "buffer" or (kind == "input" and len(tensor[tensor.isfinite()].unique()) <= 2)
        if may_mask and what != "NaN" and not tensor.eq(torch.inf).any():
            return None
        return Origin(kind, name, what=what, share=(~tensor.isfinite()).float().mean().item())

    def look(self, name: str, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        bad = [t for t in outputs if not t.isfinite().all()]
        if not bad:
            return
        if all(t.isfinite().all() for t in inputs) and (name in _WORDS or any(t.isinf().any() for t in bad)):
            what = "infinite"  # also where a product's sum goes on to infinity - infinity
        elif any(t.isnan().any() for t in bad) and not any(t.isnan().any() for t in inputs):
            what = "infinite" if name in _WORDS else "NaN"
        else:
            return
        share = (~bad[0].isfinite()).float().mean().item()
        masked = "softmax" in name and any(t.amax(-1).eq(-torch.inf).any() for t in inputs if t.dim())
        largest = max((t[t.isfinite()].abs().max().item() for t in inputs if t.isfinite().any()), default=0.0)
        self.found = Origin(
            "operation",
            _WORDS.get(name, name),
            self.inside[-1],
            _line(),
            what,
            share,
            "a row of -inf" if masked else f"{largest:.3g}",
        )


def _real(leaf: Any) -> bool:
    return (
        isinstance(leaf, Tensor)
        and leaf.is_floating_point()
        and leaf.layout == torch.strided
        and leaf.element_size() > 1
    )


def _line() -> str:
    """The model's line that is running, "file.py:12"; empty where it is none but torch's own."""
    for frame in reversed(traceback.extract_stack()):
        if frame.filename == __file__ and frame.name == "find":
            break
        if not frame.filename.startswith((_TORCH, _INITVIZ, "<")):
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return ""


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
