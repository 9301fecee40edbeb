"""Pictures: each takes a record of numbers and makes, or moves, the artists of a matplotlib figure."""

from initviz.plots.filters import filters
from initviz.plots.flow import FlowFigure, flow
from initviz.plots.lsuv import LsuvFigure, lsuv
from initviz.plots.parting import parting
from initviz.plots.symmetry import SymmetryFigure, symmetry

__all__ = ["FlowFigure", "LsuvFigure", "SymmetryFigure", "filters", "flow", "lsuv", "parting", "symmetry"]
