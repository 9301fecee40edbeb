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

from initviz import _openmp as _openmp  # first: before torch is loaded
from initviz.activations import ACTIVATIONS, Activation, leaky_relu
from initviz.branches import BRANCH_REMEDIES, BranchRemedy
from initviz.compare import compare
from initviz.datasets import DATASETS, dataset, digits, gaussian, mnist1d
from initviz.diagnose import Diagnosis, assert_stable, diagnose
from initviz.finite_width import FiniteWidth, finite_width
from initviz.growth import Growth, growth
from initviz.history import History, RaceResult
from initviz.jacobian import jacobian_singular_values
from initviz.lsuv import lsuv_
from initviz.lsuv_trace import LsuvLayer, LsuvTrace
from initviz.measure import Measurement, Settings, measure, predict
from initviz.moments import TensorStats
from initviz.networks import cnn, mlp
from initviz.phase import Phase, critical_sigma_w, phase_diagram
from initviz.presets import PRESETS
from initviz.pretrained import PRETRAINED, card, pretrained
from initviz.probe import probe
from initviz.public_models import PUBLIC_MODELS, ModelUnavailable, public_model
from initviz.racing import race
from initviz.report import LayerStats, Report
from initviz.residual import residual
from initviz.schemes import SCHEMES, Scheme, init_
from initviz.source_tasks import curves, mnist1d_large, textures
from initviz.streams import StreamGrowth, stream_growth
from initviz.sweep import sweep
from initviz.training import train
from initviz.transfer import STRATEGIES, few_labels, transfer
from initviz.transfer_result import TransferResult
from initviz.transfer_study import transfer_study
from initviz.transformer import transformer
from initviz.verdict import Verdict, verdict
from initviz.weight_shapes import WeightShape, weight_shapes
from initviz.widths import WidthSpread, width_spread

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
    "public_model", "quiz", "race", "residual", "stream_growth", "sweep", "symmetry", "textures", "theory", "train",
    "transfer", "transfer_study", "transformer", "verdict", "weight_shapes", "widgets", "width_spread",
]  # fmt: skip

_LATE = {
    "check": "initviz.course",
    "clinic": "initviz.widgets",
    "explore": "initviz.widgets",
    "explore_comparison": "initviz.widgets",
    "explore_fans": "initviz.widgets",
    "explore_relu": "initviz.widgets",
    "explore_lsuv": "initviz.widgets",
    "explore_phase": "initviz.widgets",
    "explore_race": "initviz.widgets",
    "explore_scale": "initviz.widgets",
    "explore_symmetry": "initviz.widgets",
    "explore_transfer": "initviz.widgets",
    "quiz": "initviz.course",
}


def __getattr__(name: str):
    """Load what draws (matplotlib, ipywidgets) only when it is asked for."""
    if name in ("course", "plots", "symmetry", "theory", "widgets"):
        return importlib.import_module(f"initviz.{name}")
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module 'initviz' has no attribute {name!r}")
