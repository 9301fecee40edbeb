"""Networks to look into: builders that take an activation and a scheme by name, and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from initviz._core.arguments import DEEPEST, look_up, several, switch, whole_number
from initviz._core.devices import pick_device
from initviz.initializers import Activation, ActivationModule, Scheme, get_activation, init_

PADDINGS = {"zeros": "constant", "circular": "wrap"}
"""What `cnn` puts beyond an image's border: torch's name -> numpy's."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
NORMALIZATIONS = {"none": None, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
CONV_NORMALIZATIONS = {"none": None, "batch": nn.BatchNorm2d, "layer": partial(nn.GroupNorm, 1)}


class Linear(nn.Linear):
    """nn.Linear for half precision on any device, filled by a scheme rather than by itself.

    On a CPU the product of 16-bit tensors is summed in float32 and rounded once, which is what a GPU's tensor cores do, and
    is many times faster than the CPU's own 16-bit product.
    """

    def reset_parameters(self) -> None:
        """Leave the weights to `init_`, which every builder calls."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype in (torch.float16, torch.bfloat16) and x.device.type == "cpu":
            return F.linear(x.float(), self.weight.float(), self.bias.float()).to(x.dtype)
        return super().forward(x)


class Conv2d(nn.Conv2d):
    """nn.Conv2d in the same way."""

    def reset_parameters(self) -> None:
        """Leave the weights to `init_`."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype in (torch.float16, torch.bfloat16) and x.device.type == "cpu":
            bias = None if self.bias is None else self.bias.float()
            return self._conv_forward(x.float(), self.weight.float(), bias).to(x.dtype)
        return super().forward(x)


class Plain(nn.Module):
    """Layers in a row. With phi the activation, h_1 = W_1 x + b_1 and for layers l = 1 ... depth

        a_l = phi(norm(h_l)),    h_{l+1} = W_{l+1} a_l + b_{l+1}   (+ h_l with skip connections),

    and the logits W_out a_depth + b_out. `norm` is the identity unless a normalization is chosen.
    """

    shape: tuple[int, ...] | None = None

    def __init__(
        self,
        hidden: Sequence[nn.Module],
        norms: Sequence[nn.Module],
        activation: Activation,
        output: Linear,
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(hidden)
        self.norms = nn.ModuleList(norms)
        self.activation: ActivationModule = ActivationModule(activation)
        self.output = output
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        a = (x.reshape(len(x), *self.shape) if self.shape else x.flatten(1)).to(self.output.weight.dtype)
        h = None
        for linear, norm in zip(self.hidden, self.norms):
            h = linear(a) if h is None or not self.skip else linear(a) + h
            a = self.activation(norm(h))
        return self.output(a.flatten(1))


class MLP(Plain):
    """A multilayer perceptron: every W is a matrix, and x is taken as flat."""


class CNN(Plain):
    """A plain convolutional network: every W but the last is a convolution that keeps the image's size.

    Attributes:
        shape: (channels, height, width) of an image; x may come flat.
        kernel, padding_mode: of each convolution.
    """

    def __init__(self, shape: tuple[int, int, int], kernel: int, padding_mode: str, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.shape: tuple[int, int, int] = shape
        self.kernel, self.padding_mode = kernel, padding_mode


def mlp(
    depth: int,
    width: int | Sequence[int],
    activation: str | Activation = "relu",
    scheme: str | Scheme = "he_normal",
    *,
    n_in: int = 64,
    n_out: int = 10,
    scale: float = 1.0,
    bias_std: float = 0.0,
    normalization: str | None = None,
    skip: bool = False,
    dtype: str | torch.dtype = "float32",
    gain: float | None = None,
    mode: str = "fan_in",
    seed: int = 0,
    device: str | torch.device | None = None,
) -> MLP:
    """An initialized multilayer perceptron of `depth` hidden layers of `width` units and a linear output layer.

    Args:
        depth: a whole number of at least 1.
        width: a whole number of at least 1, or one for each hidden layer.
        activation: a name in ACTIVATIONS or an Activation.
        scheme: a name in SCHEMES or an alias.
        n_in, n_out: numbers of input features and of outputs.
        scale, bias_std, gain, mode: see `init_`.
        normalization: None, "batch" or "layer": applied to a hidden layer's pre-activation.
        skip: add each hidden layer's pre-activation to the next one's.
        dtype: "float32", "bfloat16", "float16", "float64" or the torch.dtype.
        seed: the weights are a function of the seed alone, on every device.
        device: where it is made; None is `torch.get_default_device()`.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    depth = whole_number("depth", depth, most=DEEPEST)
    widths = [whole_number("n_in", n_in), *_widths(width, depth)]
    norm = look_up("normalization", "none" if normalization is None else normalization, NORMALIZATIONS)
    if (skip := switch("skip", skip)) and len(set(widths[1:])) > 1:
        raise ValueError(f"width: got {widths[1:]}; with skip connections all hidden layers have one width")
    place: dict = {"dtype": precision(dtype), "device": pick_device(device)}
    net = MLP(
        [Linear(*pair, **place) for pair in pairwise(widths)],
        [norm(n, **place) if norm else nn.Identity() for n in widths[1:]],
        get_activation(activation),
        Linear(widths[-1], whole_number("n_out", n_out), **place),
        skip,
    )
    draw: dict = {"seed": seed, "gain": gain, "scale": scale, "bias_std": bias_std, "mode": mode}
    init_(net, scheme, activation=activation, **draw)
    return net


def cnn(
    depth: int,
    channels: int,
    activation: str | Activation = "relu",
    scheme: str | Scheme = "he_normal",
    *,
    kernel: int = 3,
    padding_mode: str = "zeros",
    shape: tuple[int, int, int] = (1, 8, 8),
    n_out: int = 10,
    scale: float = 1.0,
    bias_std: float = 0.0,
    normalization: str | None = None,
    skip: bool = False,
    dtype: str | torch.dtype = "float32",
    gain: float | None = None,
    mode: str = "fan_in",
    seed: int = 0,
    device: str | torch.device | None = None,
) -> CNN:
    """An initialized plain convolutional network: `depth` convolutions of `channels` channels that keep the image's size, and a
    linear output layer over all places and channels. Its input is (batch, *shape) or flat: `iv.digits()` as it is.

    Args:
        depth, channels: whole numbers of at least 1.
        activation, scheme, n_out, scale, bias_std, skip, dtype, gain, mode, seed, device: as for `mlp`.
        kernel: side of a kernel in pixels, at most the image's shorter side.
        padding_mode: what a kernel sees beyond the border. "zeros", the usual one, takes part of the signal away at each layer:
            on 8 x 8 pixels a 3 x 3 kernel loses about 8 % of the second moment. "circular" goes on at the opposite side, so that
            every place sees as much as any other and the formulas for fans hold exactly.
        shape: channels, height and width of an image.
        normalization: None, "batch" (each channel over the batch) or "layer" (each sample over channels and places).
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    depth, channels = whole_number("depth", depth, most=DEEPEST), whole_number("channels", channels)
    sides = tuple(whole_number("shape", side) for side in several("shape", shape))
    if len(sides) != 3:
        raise ValueError(f"shape: got {sides}; it takes channels, height and width")
    c, height, width = sides
    if (kernel := whole_number("kernel", kernel)) > min(height, width):
        raise ValueError(f"kernel: got {kernel}; it takes at most the image's shorter side, {min(height, width)}")
    look_up("padding_mode", padding_mode, PADDINGS)
    norm = look_up("normalization", "none" if normalization is None else normalization, CONV_NORMALIZATIONS)
    place: dict = {"dtype": precision(dtype), "device": pick_device(device)}
    padding: dict = {"padding": "same", "padding_mode": padding_mode}
    sizes = pairwise([c, *[channels] * depth])
    net = CNN(
        (c, height, width),
        kernel,
        padding_mode,
        [Conv2d(n, m, kernel, **padding, **place) for n, m in sizes],
        [norm(channels, **place) if norm else nn.Identity() for _ in range(depth)],
        get_activation(activation),
        Linear(channels * height * width, whole_number("n_out", n_out), **place),
        switch("skip", skip),
    )
    draw: dict = {"seed": seed, "gain": gain, "scale": scale, "bias_std": bias_std, "mode": mode}
    init_(net, scheme, activation=activation, **draw)
    return net


def _widths(width: int | Sequence[int], depth: int) -> list[int]:
    if isinstance(width, str) or not isinstance(width, Sequence | np.ndarray):
        return [whole_number("width", width)] * depth
    widths = [whole_number("width", one) for one in width]
    if len(widths) != depth:
        raise ValueError(f"width: got {len(widths)} numbers; it takes one, or one for each of {depth} hidden layers")
    return widths


def precision(dtype: str | torch.dtype) -> torch.dtype:
    """The torch.dtype called `dtype`; raises TypeError or ValueError for any but those in PRECISIONS."""
    return look_up("dtype", str(dtype).removeprefix("torch.") if isinstance(dtype, torch.dtype) else dtype, PRECISIONS)
