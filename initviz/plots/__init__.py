"""Pictures: each takes a record of numbers and makes, or moves, the artists of a matplotlib figure."""

from initviz.plots._anatomy import anatomy
from initviz.plots._curves import curves
from initviz.plots._fans import FansFigure, fans
from initviz.plots._filters import filters
from initviz.plots._finite_width import finite_width
from initviz.plots._flow import FlowFigure, flow
from initviz.plots._groups import groups
from initviz.plots._growth import growth
from initviz.plots._heatmap import HeatMapFigure, heat_map
from initviz.plots._lsuv import LsuvFigure, lsuv
from initviz.plots._overlay import overlay
from initviz.plots._parting import parting
from initviz.plots._phase import PhaseFigure, phase
from initviz.plots._race import RaceFigure, race
from initviz.plots._rectifier import RectifierFigure, rectifier
from initviz.plots._scale import power
from initviz.plots._signals import signals
from initviz.plots._singular_values import singular_values
from initviz.plots._streams import streams
from initviz.plots._symmetry import SymmetryFigure, symmetry
from initviz.plots._transfer import TransferFigure, transfer
from initviz.plots._transfer_curves import transfer_curves
from initviz.plots._weight_shapes import weight_shapes
from initviz.plots._widths import WidthsFigure, widths

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
    "power",
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
