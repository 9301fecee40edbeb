"""Measuring any nn.Module: `probe` and the `Report` that it returns."""

from initviz.inspection._findings import Attention, FirstLoss, Origin, OverTime, Reach
from initviz.inspection._jacobian import jacobian_singular_values
from initviz.inspection._probe import loss_on, probe
from initviz.inspection._report import QUANTITIES, LayerStats, Report

__all__ = [
    "QUANTITIES",
    "Attention",
    "FirstLoss",
    "LayerStats",
    "Origin",
    "OverTime",
    "Reach",
    "Report",
    "jacobian_singular_values",
    "loss_on",
    "probe",
]
