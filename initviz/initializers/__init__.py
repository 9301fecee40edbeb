"""What a weight is drawn from: activation functions and their constants, schemes, and LSUV."""

from initviz._core.fans import fans
from initviz.initializers._activations import ACTIVATIONS, Activation, ActivationModule, get_activation, leaky_relu
from initviz.initializers._draw_cache import DrawCache
from initviz.initializers._draws import combined_seed, unit_noise
from initviz.initializers._lsuv import LsuvLayer, LsuvTrace, lsuv_, start_from_batch, within
from initviz.initializers._schemes import SCHEMES, Scheme, draw_weight_, get_scheme, init_

__all__ = [
    "ACTIVATIONS",
    "SCHEMES",
    "Activation",
    "ActivationModule",
    "DrawCache",
    "LsuvLayer",
    "LsuvTrace",
    "Scheme",
    "combined_seed",
    "draw_weight_",
    "fans",
    "get_activation",
    "get_scheme",
    "init_",
    "leaky_relu",
    "lsuv_",
    "start_from_batch",
    "unit_noise",
    "within",
]
