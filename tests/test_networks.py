"""The builders compute what their docstrings say."""

import pytest
import torch

import initviz as iv
from initviz.networks import PRECISIONS, Linear, pick_device


def by_hand(net, x, skip, norm):
    h, a = None, x
    for layer, normalize in zip(net.hidden, net.norms):
        z = a @ layer.weight.T + layer.bias
        h = z if h is None or not skip else h + z
        a = torch.tanh(normalize(h) if norm else h)
    return a @ net.output.weight.T + net.output.bias


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("norm", [None, "layer", "batch"])
def test_forward_is_the_formula(skip, norm):
    net = iv.mlp(4, 12, "tanh", "xavier_normal", bias_std=0.3, skip=skip, normalization=norm, n_in=5, n_out=3)
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net(x), by_hand(net, x, skip, norm))
    assert net(x).shape == (6, 3)


def test_half_precision_products_are_summed_in_float32():
    layer = Linear(4096, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.zero_()
    layer = layer.half()
    x = torch.full((1, 4096), 1.0 + 2**-10, dtype=torch.float16)
    assert layer(x).item() == pytest.approx(4100, abs=1)  # a float16 sum would stop growing at 2048
    assert layer(x).dtype == torch.float16


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_precisions(dtype):
    net = iv.mlp(2, 8, dtype=dtype)
    assert net(torch.randn(3, 64)).dtype == PRECISIONS[dtype]


def test_auto_device_is_cuda_where_there_is_one():
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert next(iv.mlp(1, 4, device="cpu").parameters()).device.type == "cpu"


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"depth": 0}, ValueError, "^depth: got 0; it takes a whole number of at least 1"),
        ({"depth": -3}, ValueError, "^depth: got -3"),
        ({"depth": 2.5}, TypeError, "^depth: got float 2.5"),
        ({"width": 0}, ValueError, "^width: got 0"),
        ({"width": True}, TypeError, "^width: got bool"),
        ({"n_in": 0}, ValueError, "^n_in: got 0"),
        ({"activation": "reul"}, ValueError, "^activation: 'reul' is unknown; did you mean 'relu'"),
        ({"scheme": "he_norml"}, ValueError, "^scheme: 'he_norml' is unknown; did you mean 'he_normal'"),
        ({"normalization": "groups"}, ValueError, "^normalization: 'groups' is unknown"),
        ({"dtype": "float8"}, ValueError, "^dtype: 'float8' is unknown; did you mean"),
        ({"dtype": torch.int32}, ValueError, "^dtype: 'int32' is unknown"),
        ({"scale": float("inf")}, ValueError, "^scale: got inf"),
        ({"device": "tpu9"}, ValueError, "^device: 'tpu9' can't be used here"),
    ],
)
def test_bad_input(arguments, kind, message):
    with pytest.raises(kind, match=message):
        iv.mlp(**({"depth": 2, "width": 4} | arguments))
