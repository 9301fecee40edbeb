"""Pictures: each takes a record of numbers and makes, or moves, the artists of a matplotlib figure."""

from initviz.plots.flow import FlowFigure, flow

__all__ = ["FlowFigure", "flow"]
