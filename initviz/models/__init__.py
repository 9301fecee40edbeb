"""Networks to look at: plain, residual and transformer ones, and pretrained weights."""

from initviz.models._branches import BRANCH_REMEDIES, BranchRemedy
from initviz.models._network_cache import NetworkCache
from initviz.models._plain import CNN, MLP, NORMALIZATIONS, PADDINGS, PRECISIONS, Conv2d, Linear, Plain, cnn, mlp
from initviz.models._pretrained import CHANNELS, FOLDER, PRETRAINED, Card, SourceTask, card, pretrained, signal_cnn
from initviz.models._public import PUBLIC_MODELS, ModelUnavailable, public_model
from initviz.models._residual import Residual, residual
from initviz.models._transformer import EMBEDDING_STD, Attention, Transformer, ends, transformer

__all__ = [
    "BRANCH_REMEDIES",
    "CHANNELS",
    "CNN",
    "EMBEDDING_STD",
    "FOLDER",
    "MLP",
    "NORMALIZATIONS",
    "PADDINGS",
    "PRECISIONS",
    "PRETRAINED",
    "PUBLIC_MODELS",
    "Attention",
    "BranchRemedy",
    "Card",
    "Conv2d",
    "Linear",
    "ModelUnavailable",
    "NetworkCache",
    "Plain",
    "Residual",
    "SourceTask",
    "Transformer",
    "card",
    "cnn",
    "ends",
    "mlp",
    "pretrained",
    "public_model",
    "residual",
    "signal_cnn",
    "transformer",
]
