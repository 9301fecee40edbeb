"""Networks to look into: builders that take an activation and a scheme by name, and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from cachetools import LRUCache
from torch import Tensor, nn

from initviz._arguments import look_up, whole_number
from initviz.activations import Activation, ActivationModule
from initviz.activations import activation as activation_named
from initviz.schemes import Scheme, init_, unit_noise

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
NORMALIZATIONS = {"none": None, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


Module = TypeVar("Module", bound=nn.Module)


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


class MLP(nn.Module):
    """A multilayer perceptron. With phi the activation, h_1 = W_1 x + b_1 and for layers l = 1 ... depth

        a_l = phi(norm(h_l)),    h_{l+1} = W_{l+1} a_l + b_{l+1}   (+ h_l with skip connections),

    and the logits W_out a_depth + b_out. `norm` is the identity unless a normalization is chosen.
    """

    def __init__(
        self,
        hidden: Sequence[Linear],
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
        a = x.flatten(1).to(self.output.weight.dtype)
        h = None
        for linear, norm in zip(self.hidden, self.norms):
            h = linear(a) if h is None or not self.skip else linear(a) + h
            a = self.activation(norm(h))
        return self.output(a)


def mlp(
    depth: int,
    width: int,
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
    seed: int = 0,
    device: str | torch.device = "auto",
    workbench: Workbench | None = None,
) -> MLP:
    """An initialized multilayer perceptron of `depth` hidden layers of `width` units and a linear output layer.

    Args:
        depth, width: whole numbers of at least 1.
        activation: a name in ACTIVATIONS or an Activation.
        scheme: a name in SCHEMES or an alias.
        n_in, n_out: numbers of input features and of outputs.
        scale, bias_std, gain: see `init_`.
        normalization: None, "batch" or "layer": applied to a hidden layer's pre-activation.
        skip: add each hidden layer's pre-activation to the next one's.
        dtype: "float32", "bfloat16", "float16", "float64" or the torch.dtype.
        seed: the weights are a function of the seed alone, on every device.
        device: "auto" is CUDA where there is one, then the CPU.
        workbench: where layers and draws come from that an earlier network used; that network is then used up.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    depth, width = whole_number("depth", depth), whole_number("width", width)
    n_in, n_out = whole_number("n_in", n_in), whole_number("n_out", n_out)
    norm = look_up("normalization", "none" if normalization is None else normalization, NORMALIZATIONS)
    place = {"dtype": precision(dtype), "device": pick_device(device)}
    bench = workbench or Workbench(megabytes=0)
    net = MLP(
        [bench.layer(Linear, number, width if number else n_in, width, **place) for number in range(depth)],
        [bench.layer(norm, number, width, **place) if norm else nn.Identity() for number in range(depth)],
        activation_named(activation),
        bench.layer(Linear, -1, width, n_out, **place),
        bool(skip),
    )
    init_(net, scheme, seed=seed, gain=gain, scale=scale, bias_std=bias_std, activation=activation, noise=bench.noise)
    return net


class Workbench:
    """Layers and unit draws kept from one network for the next, which usually asks for the same at another scale or depth.

    At depth 50 and width 256 new memory and new draws cost 30 ms, most of the time that a bare pass takes. A network built
    on a workbench gives its layers to the next one.

    Args:
        megabytes: the most that its draws take.
    """

    def __init__(self, megabytes: float = 40) -> None:
        self._draws: LRUCache = LRUCache(megabytes * 1e6, getsizeof=lambda draw: draw.nbytes)
        self._layers: dict[tuple, nn.Module] = {}
        self._kind: tuple = ()

    def noise(self, shape: tuple[int, ...], distribution: str, seed: int, index: int) -> Tensor:
        """`initviz.schemes.unit_noise`, remembered."""
        key = shape, distribution, seed, index
        draw = self._draws.get(key)
        if draw is None:
            draw = unit_noise(*key)
            if draw.nbytes <= self._draws.maxsize:
                self._draws[key] = draw
        return draw

    def layer(self, make: type[Module], number: int, *sizes: int, **place) -> Module:
        """Layer `number` of this kind, size and place; layers of another width or type are let go."""
        kind = sizes[-1] if number >= 0 else self._kind[0], *place.values()
        if kind != self._kind:
            self._layers.clear()
            self._kind = kind
        key = make, number, *sizes
        if key not in self._layers:
            self._layers[key] = make(*sizes, **place)
        return cast(Module, self._layers[key])


def precision(dtype: str | torch.dtype) -> torch.dtype:
    """The torch.dtype called `dtype`; raises TypeError or ValueError for any but those in PRECISIONS."""
    return look_up("dtype", str(dtype).removeprefix("torch.") if isinstance(dtype, torch.dtype) else dtype, PRECISIONS)


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """`device` as a torch.device; "auto" is CUDA where there is one, then the CPU.

    Raises:
        ValueError: not a device that this machine has.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device: {device!r} can't be used here: {str(error).splitlines()[0]}") from error
