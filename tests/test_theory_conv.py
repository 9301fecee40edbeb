"""The prediction for convolutional networks against measured ones: both paddings, both directions, several activations."""

import numpy as np
import pytest

import initviz as iv
from initviz.theory import predict_cnn

X, Y = iv.digits().batch(24)


def measured_over_predicted(seeds, scheme, depth=12, channels=32, **how):
    """Per seed and layer: log of the measured second moment over the predicted one, and whether it is within the band."""
    logs, inside = {}, {}
    for seed in range(seeds):
        net = iv.cnn(depth, channels, scheme=scheme, seed=seed, **how)
        report = iv.probe(net, X, Y, quantities=("preactivation", "activation", "preactivation_gradient"))
        theory = iv.theory.predict_network(net, X, report, scheme=scheme, bias_std=how.get("bias_std", 0.0))
        for quantity in ("preactivation", "activation", "preactivation_gradient"):
            band, rms = getattr(theory, quantity), report.values(quantity, "rms")
            hidden = slice(0, depth - (quantity == "preactivation_gradient"))
            logs.setdefault(quantity, []).append(2 * np.log(rms / band.mid)[hidden])
            low, high = band.low * (1 - 1e-3), band.high * (1 + 1e-3)  # a layer norm's output has no spread at all
            inside.setdefault(quantity, []).append(((rms > low) & (rms < high))[hidden])
    return {q: np.array(v) for q, v in logs.items()}, {q: np.mean(v) for q, v in inside.items()}


@pytest.mark.parametrize("padding_mode", ["circular", "zeros"])
@pytest.mark.parametrize(
    ("activation", "scheme", "how"),
    [
        ("relu", "he_normal", {}),
        ("tanh", "xavier_normal", {"bias_std": 0.2}),
        ("softplus", "xavier_normal", {}),
        ("relu", "he_normal", {"normalization": "layer", "skip": True}),
        ("tanh", "lecun_uniform", {"skip": True, "kernel": 5}),
        ("tanh", "delta_orthogonal", {"bias_std": 0.1}),
    ],
    ids=["relu", "tanh", "softplus", "layer-norm-skip", "skip", "delta-orthogonal"],
)
def test_measured_nets_agree_within_the_sampling_error(activation, scheme, how, padding_mode):
    logs, inside = measured_over_predicted(8, scheme, activation=activation, padding_mode=padding_mode, **how)
    for quantity, values in logs.items():
        # The mean of exp is what is predicted; a lognormal's is exp(mean + variance / 2).
        mean, variance = values.mean(axis=0), values.var(axis=0, ddof=1)
        error = np.sqrt(variance / len(values) + variance**2 / (2 * (len(values) - 1)))
        assert (np.abs(mean + variance / 2) < 4 * error + 0.12).all(), quantity
        assert inside[quantity] > 0.9, quantity


def test_zero_padding_takes_a_twelfth_a_layer_from_8x8_images():
    """The largest eigenvalue of 'mean over the neighbours inside', ((1 + 2 cos(pi / 9)) / 3)^2 = 0.921, is the factor a layer."""
    args = ([1, *[64] * 40, 10], 3)
    stds = [np.sqrt(2 / n) for n in (9, *[576] * 39, 4096)]
    rest = {"activation": "relu", "weight_std": stds, "bias_std": 0.0}
    inputs = np.random.default_rng(0).standard_normal((8, 1, 8, 8))
    zeros = predict_cnn(*args, "zeros", inputs=inputs, **rest)
    circular = predict_cnn(*args, "circular", inputs=inputs, **rest)
    factors = zeros.preactivation.mid[1:40] ** 2 / zeros.preactivation.mid[:39] ** 2
    assert factors[-1] == pytest.approx(((1 + 2 * np.cos(np.pi / 9)) / 3) ** 2, rel=1e-4)
    assert zeros.chi[5] == pytest.approx(factors[-1], rel=1e-3)
    np.testing.assert_allclose(circular.preactivation.mid[:40], circular.preactivation.mid[0])
    np.testing.assert_allclose(circular.chi[:39], 1)


def test_circular_padding_is_the_dense_map_of_the_fans():
    """Where all places are alike, a convolution of n channels and area k^2 is a dense layer of fan n k^2."""
    inputs = np.ones((4, 3, 6, 6)) * np.arange(1, 5)[:, None, None, None]
    std = [0.4, 0.11, 0.11, 0.05]
    conv = predict_cnn([3, 16, 16, 16, 7], 3, "circular", "tanh", std, 0.1, inputs)
    dense = iv.theory.predict([27, *[144] * 3, 7], "tanh", std, 0.1, np.square(np.arange(1.0, 5)))
    np.testing.assert_allclose(conv.preactivation.mid[:3], dense.preactivation.mid[:3])
    np.testing.assert_allclose(conv.activation.mid[:3], dense.activation.mid[:3])
    np.testing.assert_allclose(conv.preactivation_gradient.mid[:3], dense.preactivation_gradient.mid[:3], rtol=0.01)


def test_batch_normalization_has_no_prediction_and_bad_input_is_refused():
    net = iv.cnn(3, 8, normalization="batch")
    assert iv.theory.predict_network(net, X, iv.probe(net, X, Y), scheme="he_normal") is None
    good = {"channels": [1, 8, 10], "kernel": 3, "padding_mode": "zeros", "activation": "relu"}
    good |= {"weight_std": 0.1, "bias_std": 0.0, "inputs": X.reshape(-1, 1, 8, 8).numpy(force=True)}
    for changes, message in [
        ({"inputs": X.numpy(force=True)}, "^inputs: got shape"),
        ({"padding_mode": "reflect"}, "^padding_mode: 'reflect' is unknown"),
        ({"weight_std": [0.1, 0.1, 0.1]}, "^weight_std: got 3 numbers"),
        ({"normalization": "group"}, "^normalization: 'group' is unknown"),
        ({"channels": [1, 0, 10]}, "^channels: got 0"),
        ({"channels": [1, 10]}, "^channels: got .1, 10.; it takes the image's"),
        ({"channels": 8}, "^channels: got int"),
        ({"kernel": 0}, "^kernel: got 0"),
        ({"inputs": "images"}, "^inputs: got str"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            predict_cnn(**(good | changes))
