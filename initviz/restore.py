"""Leaving a model as it was found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def restored(model: nn.Module, parameters: list[nn.Parameter]) -> Iterator[None]:
    """Whatever happens inside, buffers, gradients, modes and random states are afterwards what they were."""
    modules = list(model.modules())
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in modules
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    modes = [(module, module.training) for module in modules]
    gradients = [(parameter, parameter.grad) for parameter in parameters]
    device = parameters[0].device
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            for parameter, _ in gradients:
                parameter.grad = None
            yield
        finally:
            for parameter, gradient in gradients:
                parameter.grad = gradient
            for module, training in modes:
                module.training = training
            with torch.no_grad():
                for module, name, buffer, values in buffers:
                    module._buffers[name] = buffer
                    buffer.copy_(values)  # always: batch normalization changes its own without a new version
            random.setstate(python_state)
            np.random.set_state(numpy_state)
