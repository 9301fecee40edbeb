"""Pictures. `flow_figure` and its like describe one as data, a `Figure`; `draw` and `png` paint that by matplotlib. `flow` does both."""

from initviz.plots._anatomy import anatomy, anatomy_figure
from initviz.plots._attention import attention, attention_figure
from initviz.plots._coord_check import coord_check, coord_check_figure
from initviz.plots._curves import curves, curves_figure
from initviz.plots._fans import fans, fans_figure
from initviz.plots._figure import Figure, defaults, packed
from initviz.plots._filters import filters, filters_figure
from initviz.plots._finite_width import finite_width, finite_width_figure
from initviz.plots._flow import flow, flow_figure
from initviz.plots._groups import groups, groups_figure
from initviz.plots._growth import growth, growth_figure
from initviz.plots._heatmap import heat_map, heat_map_figure
from initviz.plots._lsuv import lsuv, lsuv_figure
from initviz.plots._matplotlib import draw, png
from initviz.plots._one_layer import one_layer_figure
from initviz.plots._overlay import overlay, overlay_figure
from initviz.plots._palette import RAMPS, ROLES
from initviz.plots._parting import parting, parting_figure
from initviz.plots._phase import phase, phase_figure
from initviz.plots._race import race, race_figure
from initviz.plots._rates import rates, rates_figure
from initviz.plots._rectifier import rectifier, rectifier_figure
from initviz.plots._scale import power
from initviz.plots._signals import signals, signals_figure
from initviz.plots._singular_values import singular_values, singular_values_figure
from initviz.plots._start_rules import start_rules, start_rules_figure
from initviz.plots._streams import streams, streams_figure
from initviz.plots._symmetry import symmetry, symmetry_figure
from initviz.plots._transfer import transfer, transfer_figure
from initviz.plots._transfer_curves import transfer_curves, transfer_curves_figure
from initviz.plots._weight_shapes import weight_shapes, weight_shapes_figure
from initviz.plots._widths import widths, widths_figure

__all__ = [
    "RAMPS",
    "ROLES",
    "Figure",
    "anatomy",
    "anatomy_figure",
    "attention",
    "attention_figure",
    "coord_check",
    "coord_check_figure",
    "curves",
    "curves_figure",
    "defaults",
    "draw",
    "fans",
    "fans_figure",
    "filters",
    "filters_figure",
    "finite_width",
    "finite_width_figure",
    "flow",
    "flow_figure",
    "groups",
    "groups_figure",
    "growth",
    "growth_figure",
    "heat_map",
    "heat_map_figure",
    "lsuv",
    "lsuv_figure",
    "one_layer_figure",
    "overlay",
    "overlay_figure",
    "packed",
    "parting",
    "parting_figure",
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
    "signals_figure",
    "singular_values",
    "singular_values_figure",
    "start_rules",
    "start_rules_figure",
    "streams",
    "streams_figure",
    "symmetry",
    "symmetry_figure",
    "transfer",
    "transfer_curves",
    "transfer_curves_figure",
    "transfer_figure",
    "weight_shapes",
    "weight_shapes_figure",
    "widths",
    "widths_figure",
]
