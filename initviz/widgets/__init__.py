"""Apps for notebooks: controls -> compute -> picture, one file an app."""

from initviz.widgets.clinic import Clinic, clinic
from initviz.widgets.comparison import Comparison, explore_comparison
from initviz.widgets.explorer import Explorer, explore
from initviz.widgets.fans import FansExplorer, explore_fans
from initviz.widgets.lsuv import LsuvStepper, explore_lsuv
from initviz.widgets.phase import PhaseExplorer, explore_phase
from initviz.widgets.race import RaceExplorer, explore_race
from initviz.widgets.rectifier import RectifierExplorer, explore_relu
from initviz.widgets.scale_width import ScaleExplorer, explore_scale
from initviz.widgets.symmetry import SymmetryExplorer, explore_symmetry
from initviz.widgets.transfer import TransferExplorer, explore_transfer

__all__ = [
    "Clinic",
    "Comparison",
    "Explorer",
    "FansExplorer",
    "LsuvStepper",
    "PhaseExplorer",
    "RaceExplorer",
    "RectifierExplorer",
    "ScaleExplorer",
    "SymmetryExplorer",
    "TransferExplorer",
    "clinic",
    "explore",
    "explore_comparison",
    "explore_fans",
    "explore_lsuv",
    "explore_phase",
    "explore_race",
    "explore_relu",
    "explore_scale",
    "explore_symmetry",
    "explore_transfer",
]
