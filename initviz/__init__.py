"""initviz: see what weight initialization does to a neural network.

In short:

    import initviz as iv
    iv.explore()                                              # sliders, in a notebook
    net = iv.mlp(30, 256, "relu", "he_normal")                # or any nn.Module of your own
    report = iv.probe(net, x, y)                              # one pass, every layer measured
    print(iv.verdict(report))                                 # stable, vanishing, exploding, ... and why
    iv.plots.flow(report)                                     # the picture

What is here is for everyday use. All else stands in its room: `iv.models.pretrained`, `iv.theory.phase_diagram`, `iv.datasets.mnist1d`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from initviz._core import openmp as _openmp  # noqa: F401  first: before torch is loaded
from initviz._core.extras import from_extra as _from_extra
from initviz.datasets import digits
from initviz.diagnosis import Verdict, assert_stable, diagnose, verdict
from initviz.experiments import compare, coord_check, growth, measure
from initviz.initializers import ACTIVATIONS, SCHEMES, init_, leaky_relu, lsuv_
from initviz.inspection import Report, jacobian_singular_values, probe
from initviz.models import cnn, mlp, residual, transformer
from initviz.training import race, sweep, train, transfer

__version__ = "0.1.0"
__all__ = [
    "ACTIVATIONS", "SCHEMES", "Report", "Verdict", "assert_stable", "check", "clinic", "cnn", "compare", "coord_check", "datasets",
    "diagnose", "digits", "experiments", "explore", "explore_attention", "explore_comparison", "explore_fans", "explore_layer",
    "explore_lsuv", "explore_phase", "explore_race", "explore_rates", "explore_relu", "explore_scale", "explore_symmetry",
    "explore_transfer", "growth", "init_", "jacobian_singular_values", "leaky_relu", "lsuv_", "measure", "mlp", "models", "plots",
    "probe", "quiz", "race", "record", "residual", "sweep", "theory", "train", "training", "transfer", "transformer", "verdict",
]  # fmt: skip

if TYPE_CHECKING:  # what draws (matplotlib, ipywidgets) is loaded when it is asked for
    from initviz import course, datasets, experiments, models, plots, theory, training, widgets  # noqa: F401
    from initviz.course import check, quiz
    from initviz.widgets import (
        clinic,
        explore,
        explore_attention,
        explore_comparison,
        explore_fans,
        explore_layer,
        explore_lsuv,
        explore_phase,
        explore_race,
        explore_rates,
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
            if name in ("check", "quiz"):
                return getattr(importlib.import_module("initviz.course"), name)
            if name in ("clinic", "record") or name.startswith("explore"):
                return getattr(importlib.import_module("initviz.widgets"), name)
        raise AttributeError(f"module 'initviz' has no attribute {name!r}")
