"""What a weight is drawn from: activation functions and their constants, schemes, and LSUV."""

from initviz._core.fans import fans
from initviz.initializers._activations import ACTIVATIONS, Activation, ActivationModule, activation, leaky_relu
from initviz.initializers._draw_cache import DrawCache
from initviz.initializers._draws import one_number, unit_noise
from initviz.initializers._lsuv import lsuv_, start_from_batch
from initviz.initializers._lsuv_trace import LsuvLayer, LsuvTrace, within
from initviz.initializers._schemes import SCHEMES, Scheme, draw_weight_, init_, scheme

__all__ = [
    "ACTIVATIONS",
    "SCHEMES",
    "Activation",
    "ActivationModule",
    "DrawCache",
    "LsuvLayer",
    "LsuvTrace",
    "Scheme",
    "activation",
    "draw_weight_",
    "fans",
    "init_",
    "leaky_relu",
    "lsuv_",
    "one_number",
    "scheme",
    "start_from_batch",
    "unit_noise",
    "within",
]
