"""Fans, measured: what `init_` promises to keep is kept by every kind of convolution, forward or back."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

import initviz as iv
from initviz._core.fans import by_groups, fans

LAYERS = {
    "linear": (lambda: nn.Linear(48, 96), (64, 48), (48, 96)),
    "Hugging Face's Conv1D": (lambda: Conv1D(96, 48), (64, 48), (48, 96)),
    "1-d": (lambda: nn.Conv1d(16, 32, 5), (8, 16, 120), (80, 160)),
    "1-d dilated": (lambda: nn.Conv1d(16, 32, 5, dilation=3), (8, 16, 160), (80, 160)),
    "1-d strided": (lambda: nn.Conv1d(16, 32, 6, stride=3), (8, 16, 183), (96, 64)),
    "1-d stride that does not divide the kernel": (lambda: nn.Conv1d(16, 32, 3, stride=2), (8, 16, 161), (48, 48)),
    "1-d grouped": (lambda: nn.Conv1d(32, 64, 3, groups=4), (8, 32, 120), (24, 48)),
    "1-d depthwise strided": (lambda: nn.Conv1d(48, 48, 3, stride=2, groups=48), (16, 48, 161), (3, 1.5)),
    "1-d transposed": (lambda: nn.ConvTranspose1d(32, 16, 4), (8, 32, 120), (128, 64)),
    "1-d transposed strided": (lambda: nn.ConvTranspose1d(32, 16, 16, stride=8, padding=4), (8, 32, 60), (64, 256)),
    "1-d transposed grouped": (lambda: nn.ConvTranspose1d(32, 64, 4, stride=2, groups=4), (8, 32, 80), (16, 64)),
    "2-d": (lambda: nn.Conv2d(8, 24, 3), (8, 8, 24, 24), (72, 216)),
    "2-d depthwise": (lambda: nn.Conv2d(64, 64, 3, groups=64), (8, 64, 24, 24), (9, 9)),
    "2-d depthwise with a multiplier": (lambda: nn.Conv2d(32, 64, 3, groups=32), (8, 32, 24, 24), (9, 18)),
    "2-d patches": (lambda: nn.Conv2d(3, 64, 8, stride=8), (8, 3, 64, 64), (192, 64)),
    "2-d strides and dilation": (
        lambda: nn.Conv2d(8, 32, (3, 4), stride=(1, 2), dilation=(2, 1)),
        (8, 8, 32, 64),
        (96, 192),
    ),
    "2-d transposed": (lambda: nn.ConvTranspose2d(16, 16, 4, stride=2, padding=1), (8, 16, 20, 20), (64, 256)),
    "2-d upsampling": (lambda: nn.ConvTranspose2d(32, 32, 2, stride=2), (8, 32, 12, 12), (32, 128)),
    "2-d transposed depthwise": (lambda: nn.ConvTranspose2d(32, 32, 4, stride=2, groups=32), (8, 32, 20, 20), (4, 16)),
    "3-d": (lambda: nn.Conv3d(4, 8, 3), (6, 4, 14, 14, 14), (108, 216)),
    "3-d strided, grouped": (lambda: nn.Conv3d(8, 16, 2, stride=2, groups=2), (6, 8, 12, 12, 12), (32, 8)),
    "3-d transposed": (lambda: nn.ConvTranspose3d(8, 8, 4, stride=2, padding=1), (4, 8, 16, 16, 16), (64, 512)),
}
SEEDS = 3


def ratios(make, shape, scheme, mode="fan_in"):
    """E[h^2] / E[x^2] and E[(dL/dx)^2] / E[(dL/dh)^2], borders left out, means over seeds."""
    both = []
    for seed in range(SEEDS):
        layer = iv.init_(make(), scheme, seed=seed, mode=mode)
        generator = torch.Generator(torch.get_default_device()).manual_seed(seed)
        x = torch.randn(shape, generator=generator).requires_grad_()
        h = layer(x)
        g = torch.randn(h.shape, generator=generator)
        h.backward(g)
        ends = (h.detach(), True, x), (x.grad, False, g)
        both.append([inner(after, layer, out) / before.detach().square().mean().item() for after, out, before in ends])
    return np.mean(both, axis=0)


def inner(tensor, layer, out):
    """Mean square of what sees, or is seen by, a whole kernel: whole strides of it."""
    if not hasattr(layer, "kernel_size"):
        return tensor.square().mean().item()
    sides = zip(layer.kernel_size, layer.stride, layer.dilation, layer.padding)
    for axis, (kernel, stride, dilation, padding) in enumerate(sides, start=2):
        fine = out == layer.transposed  # the side with more places, on which a border misses parts of a kernel
        step = stride if fine else 1
        reach = dilation * (kernel - 1) + 1
        margin = math.ceil(reach / step) * step if fine else reach if padding else 0
        length = (tensor.shape[axis] - 2 * margin) // step * step
        assert length > 0
        tensor = tensor.narrow(axis, margin, length)
    return tensor.square().mean().item()


@pytest.mark.parametrize("name", LAYERS)
def test_fans_are_counted(name):
    make, _, expected = LAYERS[name]
    layer = make()
    assert fans(layer.weight, layer) == expected
    if not isinstance(layer, Conv1D) and all(
        n == 1 for n in (*getattr(layer, "stride", ()), getattr(layer, "groups", 1))
    ):
        torchs = nn.init._calculate_fan_in_and_fan_out(layer.weight)
        assert torchs == (expected[::-1] if getattr(layer, "transposed", False) else expected)


@pytest.mark.parametrize("name", LAYERS)
def test_a_scale_is_kept_in_the_direction_that_was_asked_for(name):
    make, shape, (fan_in, fan_out) = LAYERS[name]
    # four standard errors of the weights' mean square, and 3 % for the batch's
    near = {"rel": 4 * math.sqrt(2 / (make().weight.numel() * SEEDS)) + 0.03}
    forward, _ = ratios(make, shape, "lecun_normal")
    assert forward == pytest.approx(1, **near)
    _, back = ratios(make, shape, "lecun_uniform", "fan_out")
    assert back == pytest.approx(1, **near)
    forward, back = ratios(make, shape, "xavier_normal")
    assert forward == pytest.approx(2 * fan_in / (fan_in + fan_out), **near)
    assert back == pytest.approx(2 * fan_out / (fan_in + fan_out), **near)
    assert ratios(make, shape, "truncated_normal")[0] == pytest.approx(1, **near)


@pytest.mark.parametrize("scheme", ["orthogonal", "delta_orthogonal"])
@pytest.mark.parametrize("name", LAYERS)
def test_orthogonal_kernels_keep_the_forward_scale_where_a_group_narrows_and_are_orthogonal(name, scheme):
    make, shape, _ = LAYERS[name]
    layer = iv.init_(make(), scheme)
    for kernel in by_groups(layer.weight.detach(), layer).double():
        matrix = kernel.flatten(1)
        n_out, n_in = kernel.shape[:2]
        places = kernel.reshape(n_out, n_in, -1).abs().sum(dim=(0, 1)).count_nonzero().item()
        if scheme == "delta_orthogonal" and kernel.dim() > 2:
            per_axis = layer.stride if layer.transposed else [1] * len(layer.stride)
            assert places == math.prod(per_axis)
            matrix = kernel.reshape(n_out, n_in, -1).sum(dim=2) / places
            scale = 1.0
        else:
            scale = math.prod(layer.stride) if getattr(layer, "transposed", False) else 1.0
        narrow = len(matrix) <= matrix.shape[1]
        gram = matrix @ matrix.T if narrow else matrix.T @ matrix
        torch.testing.assert_close(gram, scale * torch.eye(len(gram), dtype=torch.float64), atol=1e-5, rtol=0)
    kept = 1.0 if narrow else matrix.shape[1] / len(matrix)
    assert ratios(make, shape, scheme)[0] == pytest.approx(kept, rel=0.1)


def test_kernels_smaller_than_their_stride():
    """Some inputs of the one, and some outputs of the other, are never seen: the scale is kept on the average over all."""
    _, back = ratios(lambda: nn.Conv1d(32, 64, 2, stride=4), (8, 32, 200), "lecun_normal", "fan_out")
    assert back == pytest.approx(1, rel=0.1)
    for scheme in ("lecun_normal", "delta_orthogonal"):
        forward, _ = ratios(lambda: nn.ConvTranspose1d(32, 32, 1, stride=2), (8, 32, 100), scheme)
        assert forward == pytest.approx(1, rel=0.1)


def test_a_deep_stack_of_depthwise_or_transposed_convolutions_keeps_its_scale():
    ring = {"padding_mode": "circular"}  # a border of zeros takes a part of the signal away
    depthwise = nn.Sequential(
        *[m for _ in range(8) for m in (nn.Conv2d(64, 64, 3, padding=1, groups=64, **ring), nn.Tanh())]
    )
    upsampling = nn.Sequential(
        *[m for _ in range(4) for m in (nn.ConvTranspose1d(32, 32, 16, stride=8, padding=4), nn.ReLU())]
    )
    separable = nn.Sequential(
        *[m for _ in range(6) for m in (nn.Conv2d(32, 32, 3, padding=1, groups=32, **ring), nn.Conv2d(32, 32, 1))]
    )
    for model, scheme, x in (
        (
            depthwise,
            "xavier_normal",
            torch.randn(8, 64, 8, 8, generator=torch.Generator(torch.get_default_device()).manual_seed(0)),
        ),
        (
            upsampling,
            "he_normal",
            torch.randn(4, 32, 4, generator=torch.Generator(torch.get_default_device()).manual_seed(0)),
        ),
        (
            separable,
            "lecun_normal",
            torch.randn(4, 32, 8, 8, generator=torch.Generator(torch.get_default_device()).manual_seed(0)),
        ),
    ):
        report = iv.probe(iv.init_(model, scheme), x)
        rms = report.values("preactivation", "rms")
        assert 0.15 < rms[-1] / rms[0] < 5  # tanh alone takes 1 to about 1/sqrt(2 depth), 0.25
        first, last = report.layers[0], next(iter(model))
        assert (first.fan_in, first.fan_out) == fans(last.weight, last)


def test_groups_of_an_orthogonal_layer_differ():
    layer = iv.init_(nn.Conv2d(32, 32, 3, groups=4), "orthogonal")
    parts = by_groups(layer.weight.detach(), layer)
    assert all(not torch.equal(parts[0], part) for part in parts[1:])


def test_a_linear_layer_and_a_plain_convolution_are_torchs():
    for layer in (nn.Linear(30, 70), nn.Conv2d(3, 64, 5), nn.Conv1d(7, 9, 4)):
        assert fans(layer.weight, layer) == fans(layer.weight) == nn.init._calculate_fan_in_and_fan_out(layer.weight)
    with pytest.raises(ValueError, match=r"^weight: got shape \(3,\)"):
        fans(torch.zeros(3))
