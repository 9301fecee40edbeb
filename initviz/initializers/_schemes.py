"""Initialization schemes: the one table that menus, networks, theory, tests and the comparison read.

A scheme fills a weight with independent draws of mean 0 and a standard deviation that depends on the layer's fans

    fan_in   the number of inputs that one unit sums over (n_in; for a convolution in_channels x kernel area)
    fan_out  the number of units that one input feeds     (n_out; for a convolution out_channels x kernel area)

and sets the bias to zero unless it says otherwise. To add a scheme is to add one entry to SCHEMES. Fans are as torch.nn.init counts
them: they leave out strides, which let an input feed fewer units, and the groups of a grouped convolution on its way back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from initviz._core.arguments import look_up, real_number, whole_number
from initviz._core.parameters import weights_and_biases
from initviz.initializers._activations import Activation
from initviz.initializers._activations import activation as activation_named
from initviz.initializers._draws import Noise, fans, unit_noise

MODES = {"fan_in": 0, "fan_out": 1}
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
    """

    name: str
    label: str
    latex: str
    distribution: str
    std_rule: Callable[[int, int], float]
    best_for: str
    source: str
    relu_gain: bool = False
    bias_std_rule: Callable[[int], float] | None = None
    notes: str = ""
    data_driven: bool = False

    def gain(self, activation: Activation | str | None = None) -> float:
        """The gain used when none is given: 1, or for He's schemes sqrt(2 / (1 + a^2)) with a the slope of a leaky ReLU."""
        slope = None if activation is None else activation_named(activation).slope
        if not self.relu_gain:
            return 1.0
        leaky = slope if slope is not None and 0 < slope < 1 else 0.0
        return math.sqrt(2 / (1 + leaky**2))

    def std(self, fan_in: int, fan_out: int, gain: float | None = None, mode: str = "fan_in") -> float:
        """Standard deviation of an entry of a fan_out x fan_in matrix: 0 for "zeros" and "constant".

        Args:
            fan_in, fan_out: whole numbers of at least 1.
            gain: factor on the standard deviation; None takes `self.gain()`.
            mode: "fan_in", or "fan_out" to count outputs where the formula counts inputs, as torch's kaiming_normal_ does.
        Raises:
            TypeError, ValueError: a fan that is not a whole number of at least 1, a gain that is negative or not finite, an
                unknown mode.
        """
        return 0.0 if self.distribution == "constant" else self._size(fan_in, fan_out, gain, mode)

    def value(self, fan_in: int, fan_out: int, gain: float | None = None, mode: str = "fan_in") -> float:
        """Mean of an entry: the constant of "constant", 0 for every other scheme."""
        return self._size(fan_in, fan_out, gain, mode) if self.distribution == "constant" else 0.0

    def bias_std(self, fan_in: int) -> float:
        """Standard deviation of the bias; 0 for most schemes."""
        return self.bias_std_rule(fan_in) if self.bias_std_rule else 0.0

    def weight_std(self, weight: Tensor, gain: float | None = None, mode: str = "fan_in") -> float:
        """`std` for this weight, convolutions included.

        An orthogonal convolution kernel is orthogonal as an out_channels x (in_channels * kernel area) matrix, so its
        rows and columns are counted instead of its fans.
        """
        fan_in, fan_out = fans(weight)
        return self.std(fan_in, len(weight) if self.distribution == "orthogonal" else fan_out, gain, mode)

    @torch.no_grad()
    def fill_(
        self,
        weight: Tensor,
        *,
        seed: int = 0,
        index: int = 0,
        gain: float | None = None,
        mode: str = "fan_in",
        noise: Noise | None = None,
    ) -> Tensor:
        """Fill `weight` in place and return it.

        Args:
            weight: shape (fan_out, fan_in) or (out_channels, in_channels, *kernel).
            seed, index: the draw is a function of these two alone, on every device: `index` tells layers apart.
            gain, mode: see `std`.
            noise: where the draw of unit variance comes from; `unit_noise` unless a cache stands before it.
        """
        fan_in, fan_out = fans(weight)
        if self.distribution == "constant":
            return weight.fill_(self.value(fan_in, fan_out, gain, mode))
        draw = (noise or unit_noise)(tuple(weight.shape), self.distribution, seed, index)
        std = self.weight_std(weight, gain, mode)
        return weight.copy_(draw * std) if weight.device != draw.device else torch.mul(draw, std, out=weight)

    def _size(self, fan_in: int, fan_out: int, gain: float | None, mode: str) -> float:
        fan_in, fan_out = whole_number("fan_in", fan_in), whole_number("fan_out", fan_out)
        fans = (fan_out, fan_in) if look_up("mode", mode, MODES) else (fan_in, fan_out)
        return (self.gain() if gain is None else real_number("gain", gain)) * self.std_rule(*fans)


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
            bias_std_rule=lambda i: 1 / math.sqrt(3 * i), notes="A sixth of He's variance; the bias has it too.",
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


def scheme(name: str | Scheme) -> Scheme:
    """The scheme called `name` (aliases such as "glorot_uniform" and "kaiming_normal" included).

    Raises:
        TypeError: `name` is neither a string nor a Scheme.
        ValueError: unknown name; the message lists the near ones.
    """
    return name if isinstance(name, Scheme) else look_up("scheme", name, SCHEMES, ALIASES)


_scheme_named = scheme  # under a second name for functions that have an argument called `scheme`


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
    noise: Noise | None = None,
) -> nn.Module:
    """Initialize every linear, convolution, recurrent and attention layer of `model` in place, and return the model.

    Weights are drawn by the scheme, biases set to what it says (zero for most). Embeddings, normalization layers and modules
    of other kinds keep what they have.

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
        noise: see `Scheme.fill_`.
    Raises:
        TypeError, ValueError: an argument that is not as above, a data-driven scheme, a model without such a layer, or one with
            lazy, meta, complex or computed weights. The model is then as it was.
    """
    rule = _scheme_named(scheme)
    if rule.data_driven:
        raise ValueError(
            f"scheme: {rule.name!r} takes its scale from a batch x; start with another scheme, then call iv.{rule.name}_(net, x)"
        )
    seed = whole_number("seed", seed, least=0)
    scale, bias_std = real_number("scale", scale), real_number("bias_std", bias_std)
    look_up("mode", mode, MODES)
    factor = (rule.gain(activation) if gain is None else real_number("gain", gain)) * scale
    weights = list(weights_and_biases(model))
    if not weights:
        raise ValueError("model: has no linear, convolution, recurrent or attention layer to initialize")
    for index, (weight, biases) in enumerate(weights):
        rule.fill_(weight.data, seed=seed, index=index, gain=factor, mode=mode, noise=noise)
        for bias in biases:
            _fill_bias_(bias.data, rule.bias_std(fans(weight)[0]), bias_std, seed, index)
    return model


def _fill_bias_(bias: Tensor, own_std: float, added_std: float, seed: int, index: int) -> None:
    values = torch.zeros(bias.shape)
    if own_std:
        values += own_std * unit_noise(tuple(bias.shape), "uniform", seed, 1_000_000 + index)
    if added_std:
        values += added_std * unit_noise(tuple(bias.shape), "normal", seed, 2_000_000 + index)
    bias.copy_(values)
