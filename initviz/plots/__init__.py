"""Pictures: each takes a record of numbers and makes, or moves, the artists of a matplotlib figure."""

from initviz.plots.fans import FansFigure, fans
from initviz.plots.filters import filters
from initviz.plots.flow import FlowFigure, flow
from initviz.plots.growth import growth
from initviz.plots.heatmap import HeatMapFigure, heat_map
from initviz.plots.lsuv import LsuvFigure, lsuv
from initviz.plots.overlay import overlay
from initviz.plots.parting import parting
from initviz.plots.rectifier import RectifierFigure, rectifier
from initviz.plots.symmetry import SymmetryFigure, symmetry

__all__ = [
    "FansFigure",
    "FlowFigure",
    "HeatMapFigure",
    "LsuvFigure",
    "RectifierFigure",
    "SymmetryFigure",
    "fans",
    "filters",
    "flow",
    "growth",
    "heat_map",
    "lsuv",
    "overlay",
    "parting",
    "rectifier",
    "symmetry",
]
