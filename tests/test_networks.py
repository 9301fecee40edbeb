"""The builders compute what their docstrings say."""

import pytest
import torch
import torch.nn.functional as F

import initviz as iv
from initviz.models import PRECISIONS, Linear
from initviz.models._plain import Conv2d


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
    x = torch.randn(6, 5, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
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


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"depth": 0}, ValueError, "^depth: got 0; it takes a whole number of at least 1"),
        ({"depth": -3}, ValueError, "^depth: got -3"),
        ({"depth": 2.5}, TypeError, "^depth: got float 2.5"),
        ({"width": 0}, ValueError, "^width: got 0"),
        ({"width": True}, TypeError, "^width: got bool"),
        ({"width": [4, 0]}, ValueError, "^width: got 0"),
        ({"width": [4, 4, 4]}, ValueError, "^width: got 3 numbers; it takes one, or one for each of 2 hidden layers"),
        ({"width": [4, 5], "skip": True}, ValueError, "^width: .*with skip connections"),
        ({"width": "wide"}, TypeError, "^width: got str"),
        ({"n_in": 0}, ValueError, "^n_in: got 0"),
        ({"activation": "reul"}, ValueError, "^activation: 'reul' is unknown; did you mean 'relu'"),
        ({"scheme": "he_norml"}, ValueError, "^scheme: 'he_norml' is unknown; did you mean 'he_normal'"),
        ({"normalization": "groups"}, ValueError, "^normalization: 'groups' is unknown"),
        ({"dtype": "float8"}, ValueError, "^dtype: 'float8' is unknown; did you mean"),
        ({"dtype": torch.int32}, ValueError, "^dtype: 'int32' is unknown"),
        ({"scale": float("inf")}, ValueError, "^scale: got inf"),
        ({"device": "auto"}, ValueError, "^device: 'auto' can't be used here"),
        ({"device": "tpu9"}, ValueError, "^device: 'tpu9' can't be used here"),
    ],
)
def test_bad_input(arguments, kind, message):
    with pytest.raises(kind, match=message):
        iv.mlp(**({"depth": 2, "width": 4} | arguments))


def test_a_width_for_each_layer():
    net = iv.mlp(3, [20, 5, 30], n_in=7, n_out=2)
    assert [tuple(layer.weight.shape) for layer in [*net.hidden, net.output]] == [(20, 7), (5, 20), (30, 5), (2, 30)]
    same, number = iv.mlp(3, [8, 8, 8], seed=4), iv.mlp(3, 8, seed=4)
    assert all(torch.equal(p, q) for p, q in zip(same.parameters(), number.parameters()))
    assert iv.mlp(3, [20, 5, 30], normalization="layer")(torch.randn(2, 64)).shape == (2, 10)


# cnn ---------------------------------------------------------------------------------------------------------------------


def cnn_by_hand(net, x, skip, norm):
    h, a = None, x.reshape(-1, *net.shape)
    k = net.kernel
    sides = ((k - 1) // 2, k // 2, (k - 1) // 2, k // 2)
    for layer, normalize in zip(net.hidden, net.norms):
        padded = F.pad(a, sides, mode={"zeros": "constant"}.get(net.padding_mode, net.padding_mode))
        z = F.conv2d(padded, layer.weight, layer.bias)
        h = z if h is None or not skip else h + z
        a = torch.tanh(normalize(h) if norm else h)
    return a.flatten(1) @ net.output.weight.T + net.output.bias


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
@pytest.mark.parametrize(("skip", "norm"), [(False, None), (True, "layer"), (True, "batch")])
def test_a_cnn_is_the_formula(kernel, padding_mode, skip, norm):
    how = {"kernel": kernel, "padding_mode": padding_mode, "skip": skip, "normalization": norm}
    net = iv.cnn(3, 6, "tanh", "xavier_normal", bias_std=0.3, shape=(2, 4, 5), n_out=3, **how)
    x = torch.randn(5, 2, 4, 5, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
    torch.testing.assert_close(net(x), cnn_by_hand(net, x, skip, norm))
    assert net(x).shape == (5, 3)
    assert torch.equal(net(x.flatten(1)), net(x))


def test_a_cnn_takes_digits_and_is_probed():
    x, y = iv.digits().batch(16)
    net = iv.cnn(4, 8, "relu", seed=3)
    report = iv.probe(net, x, y)
    assert [layer.kind for layer in report.layers] == ["Conv2d"] * 4 + ["Linear"]
    assert [layer.activation_name for layer in report.layers] == ["relu"] * 4 + [None]
    assert [(layer.fan_in, layer.fan_out) for layer in report.layers] == [
        (9, 72),
        (72, 72),
        (72, 72),
        (72, 72),
        (512, 10),
    ]
    again = iv.cnn(4, 8, "relu", seed=3)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), again.parameters()))
    iv.init_(again, "he_normal", seed=3)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), again.parameters()))


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_precisions_of_a_cnn(dtype):
    net = iv.cnn(2, 4, dtype=dtype, padding_mode="circular")
    assert net(torch.randn(3, 64)).dtype == PRECISIONS[dtype]


def test_half_precision_convolutions_are_summed_in_float32():
    layer = Conv2d(4096, 1, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.zero_()
    x = torch.full((1, 4096, 1, 1), 1.0 + 2**-10, dtype=torch.float16)
    assert layer.half()(x).item() == pytest.approx(4100, abs=1)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"depth": 0}, ValueError, "^depth: got 0; it takes a whole number of at least 1"),
        ({"channels": 2.0}, TypeError, "^channels: got float 2.0"),
        ({"kernel": 9}, ValueError, "^kernel: got 9; it takes at most the image's shorter side, 8"),
        ({"kernel": 0}, ValueError, "^kernel: got 0"),
        ({"padding_mode": "circle"}, ValueError, "^padding_mode: 'circle' is unknown; did you mean 'circular'"),
        ({"shape": (8, 8)}, ValueError, "^shape: got .8, 8.; it takes channels, height and width"),
        ({"normalization": "group"}, ValueError, "^normalization: 'group' is unknown"),
        ({"activation": "reul"}, ValueError, "^activation: 'reul' is unknown; did you mean 'relu'"),
        ({"scheme": "he_norml"}, ValueError, "^scheme: 'he_norml' is unknown; did you mean 'he_normal'"),
        ({"mode": "fan_avg"}, ValueError, "^mode: 'fan_avg' is unknown; did you mean 'fan_"),
    ],
)
def test_bad_input_to_cnn(arguments, kind, message):
    with pytest.raises(kind, match=message):
        iv.cnn(**({"depth": 2, "channels": 4} | arguments))
