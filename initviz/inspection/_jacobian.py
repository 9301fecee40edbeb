"""How a network stretches and squeezes a small change of its input, direction by direction: the singular values of its Jacobian.

A small change v of one sample changes the output by J v, with J = d output / d input. Its singular values are the factors by which
J stretches a set of perpendicular directions. The way back goes through the same J, transposed: they are the gradient's factors too.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from initviz._core.batches import batch_size, copy_batch, shape_words
from initviz._core.restore import restored
from initviz._core.torch_internals import BatchNorm

AT_ONCE = 16
"""Samples whose Jacobians are computed together; more would take more memory and no less time."""


def jacobian_singular_values(model: nn.Module, x: Tensor) -> np.ndarray:
    """Singular values of d output / d input, by reverse-mode differentiation (torch.func.jacrev), for each sample by itself.

    The model runs on one sample at a time, in its present mode, and is left as it was. A part of a network is a model too:
    `torch.nn.Sequential(*layers)`.

    Args:
        model: an nn.Module of any shape of input and one output tensor.
        x: shape (batch, ...), real.
    Returns:
        Shape (batch, min(outputs, inputs)) with all of a sample's outputs and inputs counted, float64, largest first. NaN for a
        sample whose Jacobian is not finite.
    Raises:
        TypeError: `model` is not an nn.Module, or `x` not a real tensor.
        ValueError: an empty batch, one that does not fit the model, a model with batch normalization in training mode, or one that
            gives anything but one real tensor.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}; it takes a torch.nn.Module")
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = f"a tensor of {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x: got {kind}; it takes a tensor of real numbers")
    batch_size(x)
    parameters = list(model.parameters())
    place = parameters[0] if parameters else x
    if any(isinstance(module, BatchNorm) and module.training for module in model.modules()):
        raise ValueError("model: its batch normalization mixes the samples of a batch; call model.eval() first")

    def output(sample: Tensor) -> Tensor:
        found = model(sample.unsqueeze(0))
        if not isinstance(found, Tensor) or not found.is_floating_point():
            raise TypeError(f"it gave {type(found).__name__}, and one real tensor is needed")
        return found.flatten()

    with torch.inference_mode(False), restored(model, parameters, seed=0):
        samples = copy_batch(x, place.device).to(place.dtype)
        try:
            each = torch.func.vmap(torch.func.jacrev(output), chunk_size=AT_ONCE, randomness="different")
            jacobians = each(samples).detach().flatten(2).cpu().double()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"x: {shape_words(x)}, taken one by one, does not fit the model: {reason}") from error
    values = np.full((len(jacobians), min(jacobians.shape[1:])), np.nan)
    finite = jacobians.isfinite().all(dim=2).all(dim=1)
    values[finite.numpy()] = torch.linalg.svdvals(jacobians[finite]).numpy()
    return values
