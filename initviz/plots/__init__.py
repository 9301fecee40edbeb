"""Pictures. `flow_figure` and its like describe one as data, a `Figure`; `draw` and `png` paint that by matplotlib. `flow` does both."""

from initviz.plots._anatomy import anatomy
from initviz.plots._coord_check import coord_check, coord_check_figure
from initviz.plots._curves import curves
from initviz.plots._fans import fans, fans_figure
from initviz.plots._figure import Figure, defaults, packed
from initviz.plots._filters import filters
from initviz.plots._finite_width import finite_width
from initviz.plots._flow import flow, flow_figure
from initviz.plots._groups import groups
from initviz.plots._growth import growth
from initviz.plots._heatmap import heat_map, heat_map_figure
from initviz.plots._lsuv import lsuv, lsuv_figure
from initviz.plots._matplotlib import draw, png
from initviz.plots._overlay import overlay
from initviz.plots._palette import RAMPS, ROLES
from initviz.plots._parting import parting
from initviz.plots._phase import phase, phase_figure
from initviz.plots._race import race, race_figure
from initviz.plots._rates import rates, rates_figure
from initviz.plots._rectifier import rectifier, rectifier_figure
from initviz.plots._scale import power
from initviz.plots._signals import signals
from initviz.plots._singular_values import singular_values
from initviz.plots._streams import streams
from initviz.plots._symmetry import symmetry, symmetry_figure
from initviz.plots._transfer import transfer, transfer_figure
from initviz.plots._transfer_curves import transfer_curves
from initviz.plots._weight_shapes import weight_shapes
from initviz.plots._widths import widths, widths_figure

__all__ = [
    "RAMPS",
    "ROLES",
    "Figure",
    "anatomy",
    "coord_check",
    "coord_check_figure",
    "curves",
    "defaults",
    "draw",
    "fans",
    "fans_figure",
    "filters",
    "finite_width",
    "flow",
    "flow_figure",
    "groups",
    "growth",
    "heat_map",
    "heat_map_figure",
    "lsuv",
    "lsuv_figure",
    "overlay",
    "packed",
    "parting",
    "phase",
    "phase_figure",
    "png",
    "power",
    "race",
    "race_figure",
    "rates",
    "rates_figure",
    "rectifier",
    "rectifier_figure",
    "signals",
    "singular_values",
    "streams",
    "symmetry",
    "symmetry_figure",
    "transfer",
    "transfer_curves",
    "transfer_figure",
    "weight_shapes",
    "widths",
    "widths_figure",
]
