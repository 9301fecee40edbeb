"""Learning rates of the maximal update parametrization, for the optimizers of torch.optim."""

from __future__ import annotations

from typing import Any

from torch import nn

from initviz._core.arguments import FASTEST, look_up, real_number
from initviz._core.scaling import scalings
from initviz.training._loop import OPTIMIZERS


def mup_groups(model: nn.Module, base: nn.Module, lr: float, optimizer: str = "adam") -> list[dict[str, Any]]:
    """Parameter groups with the learning rates of the maximal update parametrization (muP), so that a rate that is good at the base's
    width is good at the model's.

        base = iv.mlp(3, 64)
        net = iv.init_(iv.mlp(3, 1024), "he_normal", mup_base=base)
        optimizer = torch.optim.Adam(iv.training.mup_groups(net, base, lr=0.01, optimizer="adam"))

    At the base's width each rate is `lr`. From there SGD's goes as fan_out/fan_in and Adam's as 1/fan_in, with 1 as the fan_in of a bias
    or a gain (Yang et al. 2021, arXiv 2203.03466, table 3). The weights that belong to them are drawn by `init_(..., mup_base=base)`.
    Attention is in muP if the size of its heads stays and their number grows; else its logits have to be divided by that size, and
    not by its root (definition 4.1 there). That is the model's to do, as is any weight decay.

    Args:
        model: any nn.Module. Frozen parameters are left out.
        base: the same network at another width, on any device, "meta" too: only its shapes are looked at.
        lr: the learning rate at the base's width.
        optimizer: "sgd", with or without momentum, or "adam" for those that divide by the size of the gradient (AdamW, RMSprop). Adam's
            eps has to be small beside the gradients, which in muP are as 1/width in hidden layers.
    Returns:
        A list of {"params": [...], "lr": ...}, one for each rate.
    Raises:
        TypeError, ValueError: an argument that is not as above; a parameter whose fans can't be told, such as that of an embedding
            which is the head's too; nothing to train.
    """
    look_up("optimizer", optimizer, OPTIMIZERS)
    lr = real_number("lr", lr, most=FASTEST)
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}; it takes a torch.nn.Module")
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter, scaling in scalings(model, base).items():
        groups.setdefault(scaling.rate(optimizer), []).append(parameter)
    if not groups:
        raise ValueError("model: has no parameter to train")
    return [{"params": parameters, "lr": lr * factor} for factor, parameters in groups.items()]
