"""One run of the explorer: settings in, numbers out. Widgets, benchmarks and tests all come through here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, fields

from torch import Tensor

from initviz import theory
from initviz._core.arguments import DEEPEST, got, look_up, real_number, several, switch, whole_number
from initviz._core.devices import pick_device
from initviz.datasets import DATASETS, get_dataset
from initviz.diagnosis import Verdict, verdict
from initviz.initializers import ACTIVATIONS, SCHEMES, get_activation, get_scheme, start_from_batch
from initviz.inspection import QUANTITIES, Report, probe
from initviz.models import MLP, NORMALIZATIONS, PRECISIONS, NetworkCache

_cache = NetworkCache()


@dataclass(frozen=True)
class Settings:
    """A network and the batch it is shown. Every field is a control of the explorer.

    Attributes:
        depth, width: hidden layers, and units in each.
        activation, scheme: names in ACTIVATIONS and SCHEMES.
        scale: factor on the scheme's weights.
        bias_std: standard deviation of a normal draw added to each bias.
        normalization: "none", "batch" or "layer".
        skip: skip connections from pre-activation to pre-activation.
        precision: "float32", "bfloat16", "float16" or "float64".
        data: "digits", "gaussian" or "mnist1d".
        seed: of the weights and of the batch.
        batch: samples in the batch.
        device: where the network is made, by name; None becomes `torch.get_default_device()`.
    Raises:
        TypeError, ValueError: a field that is not as above; the message names it.
    """

    depth: int = 30
    width: int = 256
    activation: str = "tanh"
    scheme: str = "xavier_normal"
    scale: float = 1.0
    bias_std: float = 0.0
    normalization: str = "none"
    skip: bool = False
    precision: str = "float32"
    data: str = "digits"
    seed: int = 0
    batch: int = 256
    device: str | None = None

    def __post_init__(self) -> None:
        for name in ("depth", "width", "batch"):
            whole_number(name, getattr(self, name), most=DEEPEST)
        whole_number("seed", self.seed, least=0)
        real_number("scale", self.scale)
        real_number("bias_std", self.bias_std)
        look_up("normalization", self.normalization, NORMALIZATIONS)
        object.__setattr__(self, "skip", switch("skip", self.skip))
        look_up("precision", self.precision, PRECISIONS)
        look_up("data", self.data, DATASETS)
        object.__setattr__(self, "activation", get_activation(self.activation).name)
        object.__setattr__(self, "scheme", get_scheme(self.scheme).name)
        object.__setattr__(self, "device", str(pick_device(self.device)))

    @property
    def label(self) -> str:
        """The settings in a line, defaults left out."""
        parts = [get_activation(self.activation).label, get_scheme(self.scheme).label]
        parts += [f"{self.depth} layers of {self.width}"]
        parts += [f"scale {self.scale:.3g}"] if self.scale != 1 else []
        parts += [f"bias std {self.bias_std:g}"] if self.bias_std else []
        parts += [f"{self.normalization} norm"] if self.normalization != "none" else []
        parts += ["skips"] if self.skip else []
        parts += [self.precision] if self.precision != "float32" else []
        return ", ".join([*parts, self.data, f"seed {self.seed}"])


@dataclass(frozen=True)
class Measurement:
    """What `measure` found: the settings, the `Report`, the theory's `Prediction` (None where there is none) and the `Verdict`."""

    settings: Settings
    report: Report
    prediction: theory.Prediction | None
    verdict: Verdict


def measure(
    settings: Settings | None = None,
    *,
    quantities: Collection[str] = tuple(QUANTITIES),
    **changes,
) -> Measurement:
    """Build the network, probe it on its batch, predict and judge.

    Args:
        settings: a `Settings`; `changes` are fields to set on it (or on the defaults): `measure(depth=50, activation="relu")`.
        quantities: see `probe`; the activations and the gradients of pre-activations, which the verdict reads, always come too.
    Returns:
        A `Measurement`: the settings, the `Report`, the theory's prediction and the verdict.
    Raises:
        TypeError, ValueError: as `Settings`.
    """
    settings, quantities = changed(settings, **changes), several("quantities", quantities)
    for quantity in quantities:
        look_up("quantities", quantity, QUANTITIES)
    x, y = get_dataset(settings.data).batch(settings.batch, seed=settings.seed)
    net = _network(settings, x)
    report = probe(net, x, y, quantities={"activation", "preactivation_gradient", *quantities})
    prediction = theory.predict_network(
        net, x, report, scheme=settings.scheme, scale=settings.scale, bias_std=settings.bias_std
    )
    return Measurement(settings, report, prediction, verdict(report))


def draw_ahead(settings: Settings) -> Iterator[None]:
    """Draw the weights that `measure` of these settings will ask for, one at each step: for a kernel that is idle. They
    share the 60 MB of all draws; a network that would take more than half of them is left out."""
    settings = changed(settings)
    return _cache.draw_ahead(_sizes(settings), SCHEMES[settings.scheme], settings.seed)


def changed(settings: Settings | None, **changes) -> Settings:
    """`settings`, or the default ones, with some fields changed; an unknown field raises ValueError."""
    known = {field.name: field for field in fields(Settings)}
    if settings is not None and not isinstance(settings, Settings):
        raise TypeError(f"settings: got {got(settings)}; it takes an initviz.experiments.Settings")
    for name in changes:
        look_up("settings", name, known)
    return Settings(**((asdict(settings) if settings else {}) | changes))


def _sizes(settings: Settings) -> list[int]:
    data = get_dataset(settings.data)
    return [data.n_in, *[settings.width] * settings.depth, data.n_classes]


def _network(settings: Settings, x: Tensor) -> MLP:
    return start_from_batch(
        _cache.mlp,
        x,
        scheme=SCHEMES[settings.scheme],
        scale=float(settings.scale),
        sizes=_sizes(settings),
        activation=ACTIVATIONS[settings.activation],
        bias_std=float(settings.bias_std),
        normalization=settings.normalization,
        skip=settings.skip,
        dtype=PRECISIONS[settings.precision],
        seed=settings.seed,
        device=pick_device(settings.device),
    )
