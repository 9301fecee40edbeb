"""Apps for notebooks: controls -> compute -> picture, one file an app."""

from initviz.widgets._attention import AttentionExplorer, explore_attention
from initviz.widgets._clinic import Clinic, clinic
from initviz.widgets._comparison import Comparison, explore_comparison
from initviz.widgets._explorer import Explorer, explore
from initviz.widgets._fans import FansExplorer, explore_fans
from initviz.widgets._lsuv import LsuvStepper, explore_lsuv
from initviz.widgets._one_layer import LayerExplorer, explore_layer
from initviz.widgets._phase import PhaseExplorer, explore_phase
from initviz.widgets._presets import PRESETS
from initviz.widgets._race import RaceExplorer, explore_race
from initviz.widgets._rates import RatesExplorer, explore_rates
from initviz.widgets._record import record, recording
from initviz.widgets._rectifier import RectifierExplorer, explore_relu
from initviz.widgets._scale_width import ScaleExplorer, explore_scale
from initviz.widgets._symmetry import SymmetryExplorer, explore_symmetry
from initviz.widgets._transfer import TransferExplorer, explore_transfer

__all__ = [
    "PRESETS",
    "AttentionExplorer",
    "Clinic",
    "Comparison",
    "Explorer",
    "FansExplorer",
    "LayerExplorer",
    "LsuvStepper",
    "PhaseExplorer",
    "RaceExplorer",
    "RatesExplorer",
    "RectifierExplorer",
    "ScaleExplorer",
    "SymmetryExplorer",
    "TransferExplorer",
    "clinic",
    "explore",
    "explore_attention",
    "explore_comparison",
    "explore_fans",
    "explore_layer",
    "explore_lsuv",
    "explore_phase",
    "explore_race",
    "explore_rates",
    "explore_relu",
    "explore_scale",
    "explore_symmetry",
    "explore_transfer",
    "record",
    "recording",
]
