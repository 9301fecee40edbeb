"""What mean-field theory predicts for wide networks. Nothing is measured here."""

from initviz.theory._attention import STACK_NORMS, AttentionPlane, attention_plane, predict_attention
from initviz.theory._averages import second_moment, slope_second_moment
from initviz.theory._conv import predict_cnn
from initviz.theory._dense import Prediction, chi, depth_scale, fixed_point, moment_maps, predict, variance_map
from initviz.theory._finite_width import Band, Fluctuations
from initviz.theory._network import predict_network
from initviz.theory._phase import Phase, critical_sigma_w, phase_diagram
from initviz.theory._softmax import NormalSoftmax, normal_softmax, predict_first_loss
from initviz.theory._streams import predict_stream
from initviz.theory._width import PARAMETRIZATIONS, WidthExponents, spectral_scale, width_exponents

__all__ = [
    "PARAMETRIZATIONS",
    "STACK_NORMS",
    "AttentionPlane",
    "Band",
    "Fluctuations",
    "NormalSoftmax",
    "Phase",
    "Prediction",
    "WidthExponents",
    "attention_plane",
    "chi",
    "critical_sigma_w",
    "depth_scale",
    "fixed_point",
    "moment_maps",
    "normal_softmax",
    "phase_diagram",
    "predict",
    "predict_attention",
    "predict_cnn",
    "predict_first_loss",
    "predict_network",
    "predict_stream",
    "second_moment",
    "slope_second_moment",
    "spectral_scale",
    "variance_map",
    "width_exponents",
]
