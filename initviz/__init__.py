"""initviz: see what weight initialization does to a neural network.

In short:

    import initviz as iv
    iv.explore()                                              # sliders, in a notebook
    net = iv.mlp(30, 256, "relu", "he_normal")                # or any nn.Module of your own
    report = iv.probe(net, x, y)                              # one pass, every layer measured
    print(iv.verdict(report))                                 # stable, vanishing, exploding, ... and why
    iv.plots.flow(report)                                     # the picture
"""

import importlib
from typing import TYPE_CHECKING, Any

from initviz._core import openmp as _openmp  # noqa: F401  first: before torch is loaded
from initviz._core.extras import from_extra as _from_extra
from initviz._core.statistics import TensorStats
from initviz.datasets import DATASETS, curves, digits, gaussian, mnist1d, mnist1d_large, textures
from initviz.datasets import get_dataset as dataset
from initviz.diagnosis import Diagnosis, Verdict, assert_stable, diagnose, verdict
from initviz.experiments import (
    FiniteWidth,
    Growth,
    Measurement,
    Settings,
    StreamGrowth,
    WeightShape,
    WidthSpread,
    compare,
    finite_width,
    growth,
    measure,
    stream_growth,
    transfer_study,
    weight_shapes,
    width_spread,
)
from initviz.initializers import (
    ACTIVATIONS,
    SCHEMES,
    Activation,
    LsuvLayer,
    LsuvTrace,
    Scheme,
    init_,
    leaky_relu,
    lsuv_,
)
from initviz.inspection import LayerStats, Report, jacobian_singular_values, probe
from initviz.models import (
    BRANCH_REMEDIES,
    PRETRAINED,
    PUBLIC_MODELS,
    BranchRemedy,
    ModelUnavailable,
    card,
    cnn,
    mlp,
    pretrained,
    public_model,
    residual,
    transformer,
)
from initviz.theory import Phase, critical_sigma_w, phase_diagram
from initviz.theory import predict_network as predict
from initviz.training import STRATEGIES, History, RaceResult, TransferResult, few_labels, race, sweep, train, transfer

__version__ = "0.1.0"
__all__ = [
    "ACTIVATIONS", "BRANCH_REMEDIES", "DATASETS", "PRESETS", "PRETRAINED", "PUBLIC_MODELS", "SCHEMES", "STRATEGIES",
    "Activation", "BranchRemedy", "Diagnosis", "FiniteWidth", "Growth", "History", "LayerStats", "LsuvLayer", "LsuvTrace", "Measurement",
    "ModelUnavailable", "Phase", "RaceResult", "Report", "Scheme", "Settings", "StreamGrowth", "TensorStats",
    "TransferResult", "Verdict", "WeightShape", "WidthSpread", "assert_stable", "card", "check", "clinic", "cnn", "compare",
    "critical_sigma_w", "curves", "dataset", "diagnose", "digits", "explore", "explore_comparison", "explore_fans",
    "explore_lsuv", "explore_phase", "explore_race", "explore_relu", "explore_scale", "explore_symmetry",
    "explore_transfer", "few_labels", "finite_width", "gaussian", "growth", "init_", "jacobian_singular_values", "leaky_relu", "lsuv_",
    "measure", "mlp", "mnist1d", "mnist1d_large", "phase_diagram", "plots", "predict", "pretrained", "probe",
    "public_model", "quiz", "race", "record", "residual", "stream_growth", "sweep", "symmetry", "textures", "theory", "train",
    "transfer", "transfer_study", "transformer", "verdict", "weight_shapes", "widgets", "width_spread",
]  # fmt: skip

if TYPE_CHECKING:  # what draws (matplotlib, ipywidgets) is loaded when it is asked for
    from initviz import course, plots, widgets  # noqa: F401
    from initviz.course import check, quiz
    from initviz.experiments import _patients as patients  # noqa: F401
    from initviz.experiments import _symmetry as symmetry
    from initviz.experiments import _widths as widths  # noqa: F401
    from initviz.widgets import (
        PRESETS,
        clinic,
        explore,
        explore_comparison,
        explore_fans,
        explore_lsuv,
        explore_phase,
        explore_race,
        explore_relu,
        explore_scale,
        explore_symmetry,
        explore_transfer,
        record,
    )
else:

    def __getattr__(name: str) -> Any:
        with _from_extra():
            if name in ("course", "plots", "widgets"):
                return importlib.import_module(f"initviz.{name}")
            if name in ("patients", "symmetry", "widths"):
                return importlib.import_module(f"initviz.experiments._{name}")
            if name in ("check", "quiz"):
                return getattr(importlib.import_module("initviz.course"), name)
            if name in ("PRESETS", "clinic", "record") or name.startswith("explore"):
                return getattr(importlib.import_module("initviz.widgets"), name)
        raise AttributeError(f"module 'initviz' has no attribute {name!r}")
