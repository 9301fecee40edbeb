"""The gates inside an LSTM or a GRU, which no hook sees, worked out from its inputs and outputs and judged beside the layers."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from initviz._core.layers import bare
from initviz.diagnosis._verdict import Verdict, verdict
from initviz.inspection import Report, probe

GATES_SATURATED = 0.25
"""Share of an LSTM's or GRU's gates on the flat part of the sigmoid from which it counts as saturated. A unit of an LSTM multiplies
three gates: when a quarter of them is stuck, more than half of the units have a stuck one (1 - 0.75^3 = 0.58)."""


def judge(model: nn.Module, x: Any, y: Any, loss: Any, seed: int) -> tuple[Report, Verdict]:
    """`initviz.probe`'s report and its verdict: "saturated" too where the layers are sound and the gates are stuck."""
    gates: dict[str, list[float]] = {}
    handles = []
    for name, module in bare(model).named_modules() if isinstance(model, nn.Module) else ():
        plain = isinstance(module, nn.LSTM | nn.GRU) and module.num_layers == 1 and not module.bidirectional
        if plain and not module.proj_size:
            shares = gates.setdefault(name or type(module).__name__, [])
            handles.append(
                module.register_forward_hook(lambda m, a, o, shares=shares: shares.append(_gate_share(m, a, o)))
            )
    try:
        report = probe(model, x, y, loss=loss, seed=seed)
    finally:
        for handle in handles:
            handle.remove()
    found = verdict(report)
    stuck = {name: shares[0] for name, shares in gates.items() if shares and shares[0] >= GATES_SATURATED}
    if found.kind != "stable" or not stuck:
        return report, found
    at = tuple(n for n, layer in enumerate(report.reached, start=1) if layer.name in stuck)
    name, share = max(stuck.items(), key=lambda item: item[1])
    why = f"{share:.0%} of the gates of {name} are on the flat part of the sigmoid."
    return report, Verdict("saturated", at, why, "Use smaller weights, or inputs of order 1.")


@torch.no_grad()
def _gate_share(module: nn.RNNBase, args: Any, output: Any) -> float:
    """Share of the sigmoid gates whose slope is under 5 % of its largest, when the state starts at 0; 0 for packed sequences."""
    inputs, outputs = args[0] if args else None, output[0]
    if not (isinstance(inputs, Tensor) and isinstance(outputs, Tensor)):
        return 0.0
    w_ih, w_hh, *biases = module.all_weights[0]
    b_ih, b_hh = biases or (None, None)
    axis = 1 if module.batch_first and inputs.dim() == 3 else 0
    before = torch.cat(
        [torch.zeros_like(outputs.narrow(axis, 0, 1)), outputs.narrow(axis, 0, outputs.shape[axis] - 1)], axis
    )
    z = F.linear(inputs, w_ih, b_ih) + F.linear(before, w_hh, b_hh)
    hidden = module.hidden_size
    chunks = z.split(hidden, dim=-1)  # LSTM: input, forget, cell, output; GRU: reset, update, new
    gates = torch.cat([chunks[i] for i in ((0, 1, 3) if isinstance(module, nn.LSTM) else (0, 1))], -1)
    a = torch.sigmoid(gates.double())
    return float((4 * a * (1 - a) < 0.05).double().mean())
