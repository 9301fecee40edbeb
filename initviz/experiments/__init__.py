"""What a notebook measures, and no one else needs."""

from initviz.experiments._attention import AttentionRun, attention_run
from initviz.experiments._compare import (
    GRID,
    QUANTITIES,
    RATES,
    Map,
    cells,
    compare,
    heat_map,
    recommendations,
    remake,
    shipped_runs,
)
from initviz.experiments._coord_check import CoordCheck, coord_check
from initviz.experiments._finite_width import FiniteWidth, finite_width
from initviz.experiments._growth import Growth, growth
from initviz.experiments._language_models import (
    START_RULES,
    FirstLosses,
    LanguageModelStart,
    StartRule,
    first_losses,
    language_model,
    language_model_start,
)
from initviz.experiments._lsuv_steps import LSUV_CHOICES, STARTS, LsuvSettings, LsuvStep, lsuv_step
from initviz.experiments._measure import Measurement, Settings, changed, draw_ahead, measure
from initviz.experiments._one_layer import DISTRIBUTIONS, FAN_CHOICES, LayerFactors, layer_factors
from initviz.experiments._patients import PATIENTS, is_patient, left_at_the_default
from initviz.experiments._public_weights import public_weights
from initviz.experiments._rate_sweep import SCHEMES_OF, RateSweep, rate_sweep, shipped_sweep
from initviz.experiments._rectifier import LAYERS, RECIPES, RectifierRun, rectifier
from initviz.experiments._streams import StreamGrowth, stream_growth
from initviz.experiments._symmetry import SymmetryTrace, distinct_neurons, train_one_neuron, train_symmetric
from initviz.experiments._transfer_study import transfer_study
from initviz.experiments._weight_shapes import EDGES, WeightShape, weight_shapes
from initviz.experiments._widths import RULES, WAYS, WIDTHS, FactorCurve, SignalByWidth, factor_curve, signal_by_width

__all__ = [
    "DISTRIBUTIONS",
    "EDGES",
    "FAN_CHOICES",
    "GRID",
    "LAYERS",
    "LSUV_CHOICES",
    "PATIENTS",
    "QUANTITIES",
    "RATES",
    "RECIPES",
    "RULES",
    "SCHEMES_OF",
    "STARTS",
    "START_RULES",
    "WAYS",
    "WIDTHS",
    "AttentionRun",
    "CoordCheck",
    "FactorCurve",
    "FiniteWidth",
    "FirstLosses",
    "Growth",
    "LanguageModelStart",
    "LayerFactors",
    "LsuvSettings",
    "LsuvStep",
    "Map",
    "Measurement",
    "RateSweep",
    "RectifierRun",
    "Settings",
    "SignalByWidth",
    "StartRule",
    "StreamGrowth",
    "SymmetryTrace",
    "WeightShape",
    "attention_run",
    "cells",
    "changed",
    "compare",
    "coord_check",
    "distinct_neurons",
    "draw_ahead",
    "factor_curve",
    "finite_width",
    "first_losses",
    "growth",
    "heat_map",
    "is_patient",
    "language_model",
    "language_model_start",
    "layer_factors",
    "left_at_the_default",
    "lsuv_step",
    "measure",
    "public_weights",
    "rate_sweep",
    "recommendations",
    "rectifier",
    "remake",
    "shipped_runs",
    "shipped_sweep",
    "signal_by_width",
    "stream_growth",
    "train_one_neuron",
    "train_symmetric",
    "transfer_study",
    "weight_shapes",
]
