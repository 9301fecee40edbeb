"""Pictures: each takes a record of numbers and makes, or moves, the artists of a matplotlib figure."""

from initviz.plots.anatomy import anatomy
from initviz.plots.curves import curves
from initviz.plots.fans import FansFigure, fans
from initviz.plots.filters import filters
from initviz.plots.finite_width import finite_width
from initviz.plots.flow import FlowFigure, flow
from initviz.plots.groups import groups
from initviz.plots.growth import growth
from initviz.plots.heatmap import HeatMapFigure, heat_map
from initviz.plots.lsuv import LsuvFigure, lsuv
from initviz.plots.overlay import overlay
from initviz.plots.parting import parting
from initviz.plots.phase import PhaseFigure, phase
from initviz.plots.race import RaceFigure, race
from initviz.plots.rectifier import RectifierFigure, rectifier
from initviz.plots.signals import signals
from initviz.plots.singular_values import singular_values
from initviz.plots.streams import streams
from initviz.plots.symmetry import SymmetryFigure, symmetry
from initviz.plots.transfer import TransferFigure, transfer
from initviz.plots.transfer_curves import transfer_curves
from initviz.plots.weight_shapes import weight_shapes
from initviz.plots.widths import WidthsFigure, widths

__all__ = [
    "FansFigure",
    "FlowFigure",
    "HeatMapFigure",
    "LsuvFigure",
    "PhaseFigure",
    "RaceFigure",
    "RectifierFigure",
    "SymmetryFigure",
    "TransferFigure",
    "WidthsFigure",
    "anatomy",
    "curves",
    "fans",
    "filters",
    "finite_width",
    "flow",
    "groups",
    "growth",
    "heat_map",
    "lsuv",
    "overlay",
    "parting",
    "phase",
    "race",
    "rectifier",
    "signals",
    "singular_values",
    "streams",
    "symmetry",
    "transfer",
    "transfer_curves",
    "weight_shapes",
    "widths",
]
