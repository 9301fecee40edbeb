"""What a weight is drawn from: activation functions and their constants, schemes, and LSUV."""

from initviz.initializers._activations import ACTIVATIONS, Activation, ActivationModule, activation, leaky_relu
from initviz.initializers._draws import fans, one_number, unit_noise
from initviz.initializers._lsuv import lsuv_
from initviz.initializers._lsuv_trace import LsuvLayer, LsuvTrace, within
from initviz.initializers._schemes import SCHEMES, Scheme, init_, scheme

__all__ = [
    "ACTIVATIONS",
    "SCHEMES",
    "Activation",
    "ActivationModule",
    "LsuvLayer",
    "LsuvTrace",
    "Scheme",
    "activation",
    "fans",
    "init_",
    "leaky_relu",
    "lsuv_",
    "one_number",
    "scheme",
    "unit_noise",
    "within",
]
