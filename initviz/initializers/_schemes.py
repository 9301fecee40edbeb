"""Initialization schemes: the one table that menus, networks, theory, tests and the comparison read.

A scheme fills a weight with independent draws of mean 0 and a standard deviation that depends on the layer's fans

    fan_in   the number of inputs that one unit sums over (n_in; for a convolution in_channels x kernel area)
    fan_out  the number of units that one input feeds     (n_out; for a convolution out_channels x kernel area)

and sets the bias to zero unless it says otherwise. To add a scheme is to add one entry to SCHEMES. `initviz._core.fans` counts fans, with
the groups and strides that torch.nn.init leaves out, and says where the two differ.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from initviz._core.arguments import look_up, real_number, whole_number
from initviz._core.distributed import fill_whole_, resharded
from initviz._core.fans import by_groups, fans, is_plain, is_transposed, stride_of
from initviz._core.layers import refuse_meta_device
from initviz._core.parameters import Left, Weight, weights_and_biases
from initviz._core.restore import torch_random_states
from initviz._core.scaling import scalings
from initviz._core.torch_internals import Convolution, version
from initviz.initializers._activations import Activation, get_activation, rectifier_gain
from initviz.initializers._draws import Draw, combined_seed, unit_noise

MODES = {"fan_in": "inputs", "fan_out": "outputs"}
"""Which fan a scheme's formula counts: the inputs, to keep the forward scale, or the outputs in their place, to keep the gradient's.
Of use for the schemes that count one of them (LeCun, He, PyTorch's default); the others take both alike."""


@dataclass(frozen=True)
class Scheme:
    """One way to draw a weight matrix.

    Attributes:
        name: the key in SCHEMES.
        label: the name for a menu.
        latex: the variance of an entry, as LaTeX mathematics without dollar signs.
        distribution: "constant", or what `unit_noise` draws: "normal", "uniform", "truncated_normal", "orthogonal", "delta_orthogonal".
        std_rule: (fan_in, fan_out) -> standard deviation of an entry at gain 1 (for "constant": the value of each entry).
        best_for: what it is meant for, in a few words.
        source: the paper, with its equation.
        relu_gain: whether the gain is that of the ReLU family, sqrt(2 / (1 + slope^2)), when none is given.
        bias_std_rule: fan_in -> standard deviation of the bias, drawn uniformly; None for a zero bias.
        notes: what to watch for.
        data_driven: whether the scale comes from a batch. `init_` then refuses it, and the rest of this entry describes the
            start from which `initviz.lsuv_` goes on.
        own_defaults: whether `init_` gives all other kinds of modules their own default too (`reset_parameters`): embeddings, recurrent
            cells, attention, normalizations and whatever has one. The rest of this entry is that of linear layers and convolutions.
    """

    name: str
    label: str
    latex: str
    distribution: str
    std_rule: Callable[[float, float], float]
    best_for: str
    source: str
    relu_gain: bool = False
    bias_std_rule: Callable[[float], float] | None = None
    notes: str = ""
    data_driven: bool = False
    own_defaults: bool = False

    def gain(self, activation: Activation | str | None = None) -> float:
        """The gain used when none is given: 1, or for He's schemes sqrt(2 / (1 + a^2)) with a the slope of a leaky ReLU."""
        slope = None if activation is None else get_activation(activation).slope
        if not self.relu_gain:
            return 1.0
        return rectifier_gain(slope if slope is not None and 0 < slope < 1 else 0.0)

    def std(self, fan_in: float, fan_out: float, gain: float | None = None, mode: str = "fan_in") -> float:
        """Standard deviation of an entry of a fan_out x fan_in matrix: 0 for "zeros" and "constant".

        Args:
            fan_in, fan_out: numbers above 0 (a stride of 2 can make them 1.5).
            gain: factor on the standard deviation; None takes `self.gain()`.
            mode: "fan_in", or "fan_out" to count outputs where the formula counts inputs, as torch's kaiming_normal_ does.
        Raises:
            TypeError, ValueError: a fan that is not a number above 0, a gain that is negative or not finite, an unknown mode.
        """
        _check(gain, mode, fan_in=fan_in, fan_out=fan_out)
        return 0.0 if self.distribution == "constant" else self._size(fan_in, fan_out, gain, mode)

    def value(self, fan_in: float, fan_out: float, gain: float | None = None, mode: str = "fan_in") -> float:
        """Mean of an entry: the constant of "constant", 0 for every other scheme. Arguments as `std`."""
        _check(gain, mode, fan_in=fan_in, fan_out=fan_out)
        return self._size(fan_in, fan_out, gain, mode) if self.distribution == "constant" else 0.0

    def bias_std(self, fan_in: float) -> float:
        """Standard deviation of the bias; 0 for most schemes."""
        return self.bias_std_rule(fan_in) if self.bias_std_rule and fan_in else 0.0

    def weight_std(
        self, weight: Tensor, gain: float | None = None, mode: str = "fan_in", layer: nn.Module | None = None
    ) -> float:
        """`std` for the weight of `layer`; without a layer as in a linear one or a plain convolution.

        An orthogonal convolution kernel is orthogonal as an out_channels x (in_channels * kernel area) matrix of each group, so its
        rows and columns are counted instead of its fans. (In a transposed convolution they spread over `stride` times as many places,
        which a factor sqrt(stride) makes up for.)
        """
        _check(gain, mode)
        return self._weight_std(weight, gain, mode, layer)

    def _weight_std(self, weight: Tensor, gain: float | None, mode: str, layer: nn.Module | None) -> float:
        if self.distribution == "constant":
            return 0.0
        counted = fans(weight, layer)
        if self.distribution not in _MATRICES:
            return self._size(*counted, gain, mode)
        _, n_out, n_in, *kernel = by_groups(weight, layer).shape
        area = math.prod(kernel)
        stretch = math.sqrt(stride_of(layer)) if is_transposed(layer) else 1.0
        n_out = n_out * area if self.distribution == "delta_orthogonal" else n_out
        return stretch * self._size(n_in * area, n_out, gain, mode)

    def _spread(self, weight: Tensor, layer: nn.Module | None, mode: str) -> float:
        """The size of an entry at gain 1: its standard deviation, or of "constant" its value."""
        if self.distribution == "constant":
            return self._size(*fans(weight, layer), 1.0, mode)
        return self._weight_std(weight, 1.0, mode, layer)

    def fill_(
        self,
        weight: Tensor,
        *,
        layer: nn.Module | None = None,
        seed: int = 0,
        index: int = 0,
        gain: float | None = None,
        mode: str = "fan_in",
    ) -> Tensor:
        """Fill `weight` in place and return it.

        Args:
            weight: shape (fan_out, fan_in) or (out_channels, in_channels, *kernel), or another one that `layer` explains.
            layer: the module that it belongs to, where that matters: groups, strides and transposed weights.
            seed, index: the draw is a function of these two alone, on every device: `index` tells layers apart.
            gain, mode: see `std`.
        Raises:
            TypeError, ValueError: a weight of fewer than two dimensions; as `std`.
        """
        _check(gain, mode)
        return self._fill_(weight, layer, seed, index, gain, mode, unit_noise)

    @torch.no_grad()
    def _fill_(
        self, weight: Tensor, layer: nn.Module | None, seed: int, index: int, gain: float | None, mode: str, draw: Draw
    ) -> Tensor:
        if self.distribution == "constant":
            return weight.fill_(self._size(*fans(weight, layer), gain, mode))
        std = self._weight_std(weight, gain, mode, layer)
        if self.distribution in _MATRICES and not is_plain(layer):  # a matrix for each group
            taps = cast(tuple[int, ...], layer.stride) if layer is not None and is_transposed(layer) else ()
            for group, part in enumerate(by_groups(weight, layer)):
                unit = unit_noise(tuple(part.shape), self.distribution, combined_seed(seed, index), group, taps=taps)
                part.copy_(std * unit)
            return weight
        unit = draw(tuple(weight.shape), self.distribution, seed, index)
        return weight.copy_(unit * std) if weight.device != unit.device else torch.mul(unit, std, out=weight)

    def _size(self, fan_in: float, fan_out: float, gain: float | None, mode: str) -> float:
        if not (fan_in and fan_out):
            return 0.0  # a weight without entries
        counted = (fan_out, fan_in) if mode == "fan_out" else (fan_in, fan_out)
        return (self.gain() if gain is None else gain) * self.std_rule(*counted)


def _check(gain: float | None, mode: str, **fans: float) -> None:
    for name, fan in fans.items():
        if real_number(name, fan) == 0:
            raise ValueError(f"{name}: got {fan}; it takes a number above 0")
    if gain is not None:
        real_number("gain", gain)
    look_up("mode", mode, MODES)


_MATRICES = {"orthogonal", "delta_orthogonal"}
"""Distributions whose entries depend on each other."""


SCHEMES: dict[str, Scheme] = {
    s.name: s
    for s in [
        Scheme(
            "zeros", "Zeros", r"0", "constant", lambda i, o: 0.0, "biases, and the last layer of a residual branch",
            "Rumelhart, Hinton & Williams 1986, p. 330 (why it fails)", notes="Every unit of a layer stays the same.",
        ),
        Scheme(
            "constant", "Constant 1/fan_in", r"0,\quad W_{ij} = 1/n_\mathrm{in}", "constant", lambda i, o: 1 / i, "never",
            "Goodfellow, Bengio & Courville 2016, section 8.4", notes="Every unit of a layer stays the same.",
        ),
        Scheme(
            "small_normal", "Small normal, std 0.01", r"0.01^2", "normal", lambda i, o: 0.01, "shallow, narrow networks",
            "Krizhevsky, Sutskever & Hinton 2012, section 5", notes="Does not scale with the width.",
        ),
        Scheme(
            "small_uniform", "Small uniform, std 0.01", r"0.01^2", "uniform", lambda i, o: 0.01, "shallow, narrow networks",
            "the uniform twin of small_normal", notes="Does not scale with the width.",
        ),
        Scheme(
            "lecun_normal", "LeCun normal", r"\frac{1}{n_\mathrm{in}}", "normal", lambda i, o: 1 / math.sqrt(i), "SELU, linear",
            "LeCun et al. 1998, Efficient BackProp, eq. 16",
        ),
        Scheme(
            "lecun_uniform", "LeCun uniform", r"\frac{1}{n_\mathrm{in}}", "uniform", lambda i, o: 1 / math.sqrt(i), "SELU, linear",
            "LeCun et al. 1998, Efficient BackProp, eq. 16",
        ),
        Scheme(
            "xavier_normal", "Xavier (Glorot) normal", r"\frac{2}{n_\mathrm{in} + n_\mathrm{out}}", "normal",
            lambda i, o: math.sqrt(2 / (i + o)), "tanh, linear", "Glorot & Bengio 2010, eq. 12",
        ),
        Scheme(
            "xavier_uniform", "Xavier (Glorot) uniform", r"\frac{2}{n_\mathrm{in} + n_\mathrm{out}}", "uniform",
            lambda i, o: math.sqrt(2 / (i + o)), "tanh, linear", "Glorot & Bengio 2010, eq. 16",
        ),
        Scheme(
            "he_normal", "He (Kaiming) normal", r"\frac{2}{(1 + a^2)\, n_\mathrm{in}}", "normal", lambda i, o: 1 / math.sqrt(i),
            "ReLU family", "He et al. 2015, eq. 10 and 15", relu_gain=True,
        ),
        Scheme(
            "he_uniform", "He (Kaiming) uniform", r"\frac{2}{(1 + a^2)\, n_\mathrm{in}}", "uniform", lambda i, o: 1 / math.sqrt(i),
            "ReLU family", "He et al. 2015, eq. 10 and 15", relu_gain=True,
        ),
        Scheme(
            "truncated_normal", "Truncated normal (cut at 2σ)", r"\frac{1}{n_\mathrm{in}}", "truncated_normal",
            lambda i, o: 1 / math.sqrt(i), "linear layers of transformers, without outliers",
            "flax.linen.Dense: lecun_normal; Keras's lecun_normal is the same draw",
            notes="Rescaled by 1/0.8796, so that the cut leaves the variance. torch.nn.init.trunc_normal_ does not rescale.",
        ),
        Scheme(
            "orthogonal", "Orthogonal", r"\frac{1}{\max(n_\mathrm{in}, n_\mathrm{out})},\quad W^\top W = I", "orthogonal",
            lambda i, o: 1 / math.sqrt(max(i, o)), "very deep linear and tanh networks", "Saxe, McClelland & Ganguli 2014, section 3",
            notes="Gain 1, as torch.nn.init.orthogonal_; a ReLU network wants sqrt(2).",
        ),
        Scheme(
            "delta_orthogonal", "Delta-orthogonal",
            r"\frac{1}{\max(n_\mathrm{in}, n_\mathrm{out})},\quad W_\mathrm{centre}^\top W_\mathrm{centre} = I", "delta_orthogonal",
            lambda i, o: 1 / math.sqrt(max(i, o)), "very deep plain convolutional networks",
            "Xiao et al. 2018, algorithm 2",
            notes="The kernel is 0 but at its centre. It keeps every norm where c_out >= c_in, as the paper demands; a kernel that narrows "
            "gets orthonormal rows, and keeps the gradient's norm instead. For a matrix it is orthogonal.",
        ),
        Scheme(
            "pytorch_default", "PyTorch default", r"\frac{1}{3\, n_\mathrm{in}}", "uniform", lambda i, o: 1 / math.sqrt(3 * i),
            "shallow networks, networks with normalization", "torch.nn.Linear.reset_parameters: kaiming_uniform_(a=sqrt(5))",
            bias_std_rule=lambda i: 1 / math.sqrt(3 * i), own_defaults=True,
            notes="A sixth of He's variance; the bias has it too. Embeddings, normalizations and other modules get the default of "
            "their own.",
        ),
        Scheme(
            "keras_default", "Keras default", r"\frac{2}{n_\mathrm{in} + n_\mathrm{out}}", "uniform",
            lambda i, o: math.sqrt(2 / (i + o)), "tanh, linear", "keras.layers.Dense: glorot_uniform, zero bias",
        ),
        Scheme(
            "lsuv", "LSUV (from a batch)", r"\text{from a batch: } \mathrm{Var}(W x) = 1", "orthogonal",
            lambda i, o: 1 / math.sqrt(max(i, o)), "any activation, also one without a formula", "Mishkin & Matas 2016, algorithm 1",
            notes="Needs a batch and a forward pass: iv.lsuv_(net, x).", data_driven=True,
        ),
    ]
}  # fmt: skip
"""Every scheme by name."""

ALIASES = {
    "zero": "zeros", "zeros_": "zeros", "constant_": "constant", "normal": "small_normal", "uniform": "small_uniform",
    "glorot_normal": "xavier_normal", "glorot_uniform": "xavier_uniform", "glorot": "xavier_uniform", "xavier": "xavier_normal",
    "xavier_normal_": "xavier_normal", "xavier_uniform_": "xavier_uniform", "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform", "kaiming_normal_": "he_normal", "kaiming_uniform_": "he_uniform", "kaiming": "he_normal",
    "he": "he_normal", "lecun": "lecun_normal", "orthogonal_": "orthogonal", "pytorch": "pytorch_default", "keras": "keras_default",
    "torch_default": "pytorch_default",
    "trunc_normal": "truncated_normal", "flax_default": "truncated_normal", "flax": "truncated_normal", "delta": "delta_orthogonal",
    "LSUV": "lsuv",
}  # fmt: skip
"""PyTorch's, Keras's and short spellings -> name in SCHEMES."""


def get_scheme(name: str | Scheme) -> Scheme:
    """The scheme called `name` (aliases such as "glorot_uniform" and "kaiming_normal" included).

    Raises:
        TypeError: `name` is neither a string nor a Scheme.
        ValueError: unknown name; the message lists the near ones.
    """
    return name if isinstance(name, Scheme) else look_up("scheme", name, SCHEMES, ALIASES)


def init_(
    model: nn.Module,
    scheme: str | Scheme,
    *,
    seed: int = 0,
    gain: float | None = None,
    scale: float = 1.0,
    bias_std: float = 0.0,
    activation: str | Activation | None = None,
    mode: str = "fan_in",
    mup_base: nn.Module | None = None,
) -> nn.Module:
    """Initialize every linear, convolution, recurrent and attention layer of `model` in place, and return the model.

    Weights are drawn by the scheme, biases set to what it says (zero for most). Frozen parameters (`requires_grad` is False) stay as
    they are. So do embeddings, with a head that has the weight of one, normalization layers and modules of other kinds; a warning
    says which weights were left. ("pytorch_default" gives those their own default too.) The weights that FSDP2 has sharded are drawn
    whole, the same on every rank, and each keeps its part.

    Args:
        model: any nn.Module.
        scheme: a name in SCHEMES or an alias, or a Scheme.
        seed: whole number of at least 0. Layer number k draws from (seed, k), so the first layers of a deeper network are
            the same as those of a shallower one.
        gain: factor on the weights' standard deviation; None takes the scheme's own (see `Scheme.gain`).
        scale: a further factor on the weights.
        bias_std: standard deviation of a normal draw added to each bias.
        activation: the network's activation, for He's slope; leave out for a plain ReLU.
        mode: "fan_in" keeps the forward scale, "fan_out" the gradient's (see `Scheme.std`). Biases go by the fan-in always.
        mup_base: the same network at another width, for the maximal update parametrization (muP). At the base's width the weights
            are the scheme's; with the fans beyond it, those of a hidden layer go on as fan_in^-1/2 and those of an output layer as
            fan_in^-1, whatever the scheme (Yang et al. 2021, arXiv 2203.03466, table 3). The learning rates that belong to them are
            `initviz.training.mup_groups`. It is only looked at, and may have any weights.
    Raises:
        TypeError, ValueError: an argument that is not as above, a data-driven scheme, a model without such a layer, or one with
            lazy, meta, complex or computed weights, a call within `torch.device("meta")`; with `mup_base`, a layer that is given a
            default of its own, or whose fans can't be told. The model is then as it was.
    Warns:
        UserWarning: what was left, embeddings and normalization layers apart.
    """
    rule = get_scheme(scheme)
    if rule.data_driven:
        raise ValueError(
            f"scheme: {rule.name!r} takes its scale from a batch x; start with another scheme, then call iv.{rule.name}_(net, x)"
        )
    seed = whole_number("seed", seed, least=0)
    scale, bias_std = real_number("scale", scale), real_number("bias_std", bias_std)
    look_up("mode", mode, MODES)
    factor = (rule.gain(activation) if gain is None else real_number("gain", gain)) * scale
    refuse_meta_device()
    with resharded(model):
        weights, left = weights_and_biases(model)
        resets = _own_defaults(model) if rule.own_defaults else {}
        if not (weights or left or resets):
            raise ValueError("model: has no linear, convolution, recurrent or attention layer to initialize")
        mup = _mup_factors(model, mup_base, weights, rule, mode, resets) if mup_base is not None else {}
        for index, weight in enumerate(weights):
            if weight.layer not in resets:
                own, of_bias = mup.get(index, (1.0, 1.0))
                draw_weight_(weight, index, rule, factor * own, bias_std, mode, seed, bias_factor=of_bias)
        changed = {id(p) for module, number in resets.items() for p in _reset_(module, seed, number)}
        for index, (_, parameter, biases) in enumerate(weights):
            if id(parameter) in changed and factor != 1:
                parameter.data.mul_(factor)
            for bias in biases:
                if id(bias) in changed and bias_std:
                    bias.data.add_(_bias_noise(bias, bias_std, seed, index).to(bias.device))
    torch.clear_autocast_cache()  # it keeps copies of weights, which are no copies now
    _say_what_was_left(weights, left, resets)
    return model


def draw_weight_(
    weight: Weight,
    index: int,
    rule: Scheme,
    gain: float,
    bias_std: float,
    mode: str,
    seed: int,
    draw: Draw = unit_noise,
    bias_factor: float = 1.0,
) -> None:
    """What `init_` does to its weight number `index`, unless it is frozen. Trusts its arguments."""
    layer, parameter, biases = weight
    if parameter.requires_grad:
        fill_whole_(parameter.data, lambda values: rule._fill_(values, layer, seed, index, gain, mode, draw))
    for bias in biases:
        if bias.requires_grad:
            own_std = bias_factor * rule.bias_std(fans(parameter, layer)[0])
            fill_whole_(bias.data, partial(_fill_bias_, own_std, bias_std, seed, index))


def _mup_factors(
    model: nn.Module, base: nn.Module, weights: list[Weight], rule: Scheme, mode: str, resets: Collection[nn.Module]
) -> dict[int, tuple[float, float]]:
    """Number of a weight that trains -> what muP multiplies the scheme's weight by, and its bias: the scheme's value at the base's
    fans, carried on from there by the powers of muP's table, over its value at the weight's own."""
    scaling = scalings(model, base, "mup_base")
    partners, _ = weights_and_biases(base)
    factors = {}
    for index, (weight, partner) in enumerate(zip(weights, partners, strict=True)):
        if weight.layer in resets:
            raise ValueError(
                f"scheme: {rule.name!r} gives a {type(weight.layer).__name__} its own default, which mup_base can't scale; take another"
            )
        if weight.parameter in scaling:
            own, at_base = (rule._spread(w.parameter, w.layer, mode) for w in (weight, partner))
            biases = [rule.bias_std(fans(w.parameter, w.layer)[0]) for w in (partner, weight)]
            factors[index] = (
                scaling[weight.parameter].std * (at_base / own if own else 1.0),
                biases[0] / biases[1] if biases[1] else 1.0,
            )
    return factors


def _say_what_was_left(weights: list[Weight], left: list[Left], resets: Collection[nn.Module]) -> None:
    words = [f"{name} ({why})" for name, owner, why in left if owner not in resets]
    if weights and not any(p.requires_grad for _, weight, biases in weights for p in (weight, *biases)):
        words.insert(0, "all of the model, since every weight is frozen")
    if words:
        more = f" and {len(words) - 6} more" if len(words) > 6 else ""
        warnings.warn(f"init_ left {', '.join(words[:6])}{more}", stacklevel=3)


def _own_defaults(model: nn.Module) -> dict[nn.Module, int]:
    """The modules that know their own default (`reset_parameters`) -> their number in the model; parts before the whole. Left out are
    linear layers and ordinary convolutions, whose default is the scheme's formula, and what has nothing to train."""
    found = {}
    for number, module in reversed(list(enumerate(model.modules()))):
        by_formula = isinstance(module, nn.Linear | Convolution) and not is_transposed(module)
        reset = _reset_of(module)
        if not by_formula and reset is not None and any(p.requires_grad for p in module.parameters()):
            found[module] = number
    return found


def _reset_of(module: nn.Module) -> Callable[[], Any] | None:
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if not callable(reset):
        return None
    needed = [
        p for p in inspect.signature(reset).parameters.values() if p.default is p.empty and p.kind < p.VAR_POSITIONAL
    ]
    return None if needed else reset


def _reset_(module: nn.Module, seed: int, number: int) -> list[nn.Parameter]:
    """Give a module its own default, but for what is frozen. Returns the parameters that it wrote."""
    parameters = list(module.parameters())
    kept = [(p, p.detach().clone()) for p in parameters if not p.requires_grad]
    versions = [version(p) for p in parameters]
    with torch_random_states({p.device for p in parameters}, combined_seed(seed, 3_000_000 + number)):
        _reset_of(module)()  # type: ignore[misc]
    with torch.no_grad():
        for parameter, values in kept:
            parameter.copy_(values)
    return [p for p, before in zip(parameters, versions) if version(p) != before and p.requires_grad]


def _fill_bias_(own_std: float, added_std: float, seed: int, index: int, bias: Tensor) -> Tensor:
    values = torch.zeros(bias.shape, device="cpu")
    if own_std:
        values += own_std * unit_noise(tuple(bias.shape), "uniform", seed, 1_000_000 + index)
    if added_std:
        values += _bias_noise(bias, added_std, seed, index)
    return bias.copy_(values)


def _bias_noise(bias: Tensor, std: float, seed: int, index: int) -> Tensor:
    return std * unit_noise(tuple(bias.shape), "normal", seed, 2_000_000 + index)
