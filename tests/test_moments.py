"""Statistics of one tensor against float64 numpy, and against exact fractions where float64 would not do."""

import math
from fractions import Fraction

import numpy as np
import pretend
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from initviz._core.batches import rms_each
from initviz._core.statistics import BLOCK, dots, matmul_dots, mean_square, tensor_stats, variance


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator(torch.get_default_device()).manual_seed(seed))


def assert_stats_equal_numpy(stats, tensor, rel=1e-5):
    """Everything but the histogram, which only has to be one: `rel` is relative to the rms for the mean, to itself for the rest."""
    v = tensor.detach().to_dense().double().numpy(force=True).ravel()
    finite = v[np.isfinite(v)]
    assert stats.count == v.size
    assert stats.nonfinite == pytest.approx(1 - finite.size / v.size, abs=1e-15)
    assert stats.zeros == pytest.approx((v == 0).mean(), abs=1e-15)
    rms = np.sqrt(np.mean(finite**2))
    assert stats.second_moment == pytest.approx(np.mean(finite**2), rel=rel)
    assert stats.rms == pytest.approx(rms, rel=rel)
    assert stats.mean == pytest.approx(finite.mean(), rel=rel, abs=1e-9 * rms)
    assert stats.std == pytest.approx(finite.std(), rel=rel, abs=1e-12 * rms)
    assert (stats.min, stats.max) == (finite.min(), finite.max())
    assert stats.hist.sum() == pytest.approx(float((finite != 0).any()))
    assert (stats.hist >= 0).all()


# Moments -----------------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    shape=st.lists(st.integers(1, 40), min_size=0, max_size=3),
    exponent=st.integers(-38, 37),
    offset=st.sampled_from([0.0, 1.0, -1000.0]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16]),
    seed=st.integers(0, 99),
)
def test_every_magnitude_and_type(shape, exponent, offset, dtype, seed):
    exponent = exponent if dtype != torch.float16 else exponent % 5 - 3
    tensor = ((normal(*shape, seed=seed).double() + offset) * 10.0**exponent).to(dtype)
    if tensor.isfinite().any():
        assert_stats_equal_numpy(tensor_stats(tensor), tensor)


@settings(max_examples=80, deadline=None)
@given(
    values=st.lists(
        st.floats(width=32)
        | st.sampled_from([0.0, -0.0, 1e-45, -1e-40, 1.17e-38, 3.4e38, math.inf, -math.inf, math.nan]),
        min_size=1,
        max_size=30,
    )
)
def test_any_float32_values_at_all(values):
    tensor = torch.tensor(values)
    stats = tensor_stats(tensor)
    exact = [Fraction(v) for v in tensor.tolist() if math.isfinite(v)]
    assert stats.nonfinite == pytest.approx(1 - len(exact) / len(values), abs=1e-15)
    if not exact:
        assert math.isnan(stats.mean) and not stats.hist.any()
        return
    mean = sum(exact) / len(exact)
    square = sum(v * v for v in exact) / len(exact)
    rms = math.sqrt(square)
    assert stats.second_moment == pytest.approx(float(square), rel=1e-9)
    assert stats.mean == pytest.approx(float(mean), rel=1e-9, abs=1e-12 * rms)
    assert stats.std == pytest.approx(math.sqrt(square - mean * mean), rel=1e-5, abs=1e-12 * rms)
    assert stats.hist.sum() == pytest.approx(float(any(exact)))


@settings(max_examples=40, deadline=None)
@given(exponent=st.integers(-1074, 1020), n=st.integers(1, 30), seed=st.integers(0, 99))
def test_float64_whose_squares_are_no_float64(exponent, n, seed):
    values = [math.ldexp(v, exponent) for v in normal(n, seed=seed).clamp(-7, 7).tolist()]
    stats = tensor_stats(torch.tensor(values, dtype=torch.float64))
    exact = [Fraction(v) for v in values]
    square, mean = sum(v * v for v in exact) / n, sum(exact) / n
    scale = max(map(abs, exact)) or 1
    smallest = math.ulp(0.0)
    rms = float(Fraction(math.sqrt(square / scale**2)) * scale)
    std = float(Fraction(math.sqrt((square - mean * mean) / scale**2)) * scale)
    assert stats.rms == pytest.approx(rms, rel=1e-9, abs=smallest)
    assert stats.std == pytest.approx(std, rel=1e-6, abs=2 * smallest)
    assert stats.hist.sum() == pytest.approx(float(any(values)))


@settings(max_examples=40, deadline=None)
@given(
    count=st.sampled_from([1 << 14, 65_536, 65_537, 150_000, 300_001]),
    exponent=st.integers(-44, 37),
    offset=st.sampled_from([0.0, 0.5, -1.0, 1000.0]),
    shape=st.sampled_from(["normal", "ReLU", "saturated", "one far off", "wide"]),
    seed=st.integers(0, 99),
)
def test_sums_in_float32_are_exact_enough(count, exponent, offset, shape, seed):
    values = normal(count, seed=seed).double()
    if shape == "ReLU":
        values = values.relu()
    elif shape == "saturated":
        values = torch.tanh(20 * values)
    elif shape == "one far off":
        values[seed] = 1e6
    elif shape == "wide":
        values = values * 10.0 ** (8 * normal(count, seed=seed + 1).double().clamp(-3, 0.1))
    tensor = ((values + offset) * 10.0**exponent).float()
    if tensor.isfinite().any():
        assert_stats_equal_numpy(tensor_stats(tensor), tensor)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_older_numpy_takes_the_same_products(dtype):
    rows = normal(9, 512).numpy(force=True).astype(dtype)
    for others in (rows, rows[0]):
        np.testing.assert_allclose(matmul_dots(rows, others), (rows * others).sum(axis=1), rtol=1e-4)
        np.testing.assert_array_equal(matmul_dots(rows, others), dots(rows, others))


def test_a_square_that_is_no_float32_is_not_a_zero():
    stats = tensor_stats(torch.full((100,), 1e-30))
    assert stats.rms == pytest.approx(1e-30, rel=1e-6) and stats.zeros == 0


@pytest.mark.parametrize("value", [0.0, 1.0, -3.25, 1e-45, 3e38, 0.1])
def test_a_constant_has_no_spread(value):
    stats = tensor_stats(torch.full((7, 11), value))
    assert stats.std == pytest.approx(0, abs=1e-15 * abs(value)) and stats.mean == stats.min == stats.max
    assert stats.zeros == (value == 0) and stats.hist.sum() == (value != 0)
    assert stats.rms == pytest.approx(abs(stats.min), rel=1e-12)


@pytest.mark.parametrize("ratio", [1e2, 1e5, 1e8, 1e12])
def test_a_small_spread_about_a_large_mean(ratio):
    tensor = normal(300, 301).double() + ratio
    stats = tensor_stats(tensor)
    assert stats.std == pytest.approx(tensor.numpy(force=True).std(), rel=1e-5)
    single = tensor.float()  # rounded: its spread is what the rounding left
    assert tensor_stats(single).std == pytest.approx(
        single.double().numpy(force=True).std(), rel=1e-5, abs=1e-15 * ratio
    )


def test_tensors_larger_than_a_chunk_and_spread_about_a_large_mean():
    tensor = normal(1500, 1001) * 1e-3 + 5
    assert tensor.numel() > BLOCK
    assert_stats_equal_numpy(tensor_stats(tensor), tensor)


LAYOUTS = {
    "transposed": lambda: normal(20, 30).T,
    "strided": lambda: normal(40, 40)[::3, 1::2],
    "expanded": lambda: normal(1, 1, 9).expand(5, 6, 9),
    "permuted": lambda: normal(4, 5, 6).permute(2, 0, 1),
    "with gradient": lambda: normal(3, 3).requires_grad_(),
    "0-d": lambda: torch.tensor(2.5),
}
if not pretend.here():
    LAYOUTS |= {"sparse": lambda: normal(8, 8).to_sparse(), "csr": lambda: normal(8, 8).relu().to_sparse_csr()}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_every_layout(name):
    tensor = LAYOUTS[name]()
    assert_stats_equal_numpy(tensor_stats(tensor), tensor)


@pretend.lacks("sparse tensors")
def test_a_sparse_gradient_with_repeated_rows_is_summed():
    weight = torch.nn.Embedding(5, 3, sparse=True).weight
    torch.nn.functional.embedding(torch.tensor([1, 1, 4]), weight, sparse=True).sum().backward()
    stats = tensor_stats(weight.grad)
    assert (stats.count, stats.max, stats.zeros) == (15, 2.0, pytest.approx(9 / 15))


def test_nothing_has_no_moments():
    stats = tensor_stats(torch.empty(0, 4), bins=7)
    assert stats.count == 0 and math.isnan(stats.rms) and stats.hist.shape == (7,) and not stats.hist.any()


def test_the_tensor_is_left_alone():
    tensor = normal(6, 6)
    tensor[0, 0] = math.nan
    kept, version = tensor.clone(), tensor._version
    tensor_stats(tensor, flat=(-1, 1))
    assert tensor._version == version and torch.equal(tensor.nan_to_num(9.0), kept.nan_to_num(9.0))


# Shares ------------------------------------------------------------------------------------------------------------------


def test_nan_and_inf_are_counted_never_a_crash():
    stats = tensor_stats(torch.tensor([1.0, math.nan, math.inf, -math.inf, 3.0]))
    assert stats.nonfinite == pytest.approx(3 / 5)
    assert (stats.mean, stats.min, stats.max) == (2.0, 1.0, 3.0)
    everything = tensor_stats(torch.full((4,), math.nan))
    assert everything.nonfinite == 1 and math.isnan(everything.mean) and everything.hist.sum() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_saturated_and_zero_shares(dtype):
    tensor = torch.tensor([-1.0, -0.5, 0.0, 0.5, 0.99, math.nan], dtype=dtype)
    stats = tensor_stats(tensor, flat=(-0.97, 0.97))
    assert stats.saturated == pytest.approx(2 / 6) and stats.zeros == pytest.approx(1 / 6)
    assert tensor_stats(tensor, flat=(None, 0.97)).saturated == pytest.approx(1 / 6)
    assert tensor_stats(tensor, flat=(-0.97, None)).saturated == pytest.approx(1 / 6)
    assert tensor_stats(tensor).saturated == 0


# Histograms --------------------------------------------------------------------------------------------------------------


@example([4, 7, 10], -44, 35, False, 4)
@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    exponent=st.integers(-44, 37),
    bins=st.integers(1, 120),
    zeros=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_full_histogram_is_numpys_without_the_zeros(shape, exponent, bins, zeros, seed):
    tensor = (normal(*shape, seed=seed).double() * 10.0**exponent).float()
    tensor = tensor.relu() if zeros else tensor
    stats = tensor_stats(tensor, bins=bins, sample=tensor.numel())
    values = tensor.double().numpy(force=True).ravel()
    values = values[values != 0]
    assert stats.hist.shape == (bins,) and stats.edges.shape == (bins + 1,)
    assert (stats.edges[0], stats.edges[-1]) == (stats.min, stats.max)
    if stats.min < stats.max:
        _, edges = np.histogram(values, bins=bins, range=(stats.min, stats.max))
        np.testing.assert_allclose(stats.edges, edges)
        # values on an edge may be put on its other side by a rounding error: of subnormal numbers many are equal
        rounding = 1e-9 * (stats.max - stats.min)
        below = (values[:, None] < edges[1:-1] - rounding).sum(0)
        not_above = (values[:, None] <= edges[1:-1] + rounding).sum(0)
        left = np.cumsum(stats.hist)[:-1] * len(values)
        assert (below - 0.01 <= left).all() and (left <= not_above + 0.01).all()
        assert stats.hist.sum() == pytest.approx(1)


def test_a_sampled_histogram_is_within_its_sampling_error():
    tensor = normal(600, 1000)
    stats = tensor_stats(tensor, bins=20)
    full = np.histogram(tensor.numpy(force=True), bins=20, range=(stats.min, stats.max))[0] / tensor.numel()
    assert (np.abs(stats.hist - full) < 5 * np.sqrt(full / 4096) + 1e-3).all()


@pytest.mark.parametrize("shape", [(256, 256), (4096, 128), (128, 3, 4096), (1, 65536), (64, 64, 8, 8)])
def test_a_sampled_histogram_visits_every_column_and_row(shape):
    columns = torch.arange(1.0, shape[-1] + 1).expand(shape)  # each unit has a value of its own
    seen = tensor_stats(columns, bins=min(shape[-1], 64)).hist
    np.testing.assert_allclose(seen, 1 / len(seen), rtol=0.35)
    rows = torch.arange(1.0, shape[0] + 1).reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
    if shape[0] > 1:
        seen = tensor_stats(rows, bins=min(shape[0], 16)).hist
        np.testing.assert_allclose(seen, 1 / len(seen), rtol=0.35)


def test_a_few_values_among_zeros_are_found():
    tensor = torch.zeros(1000, 1000)
    tensor[3, 5], tensor[7, 8], tensor[17, 18] = 1, -1, 0.5
    stats = tensor_stats(tensor, bins=4)
    assert stats.zeros == pytest.approx(0.999997)
    np.testing.assert_allclose(stats.hist, [1 / 3, 0, 0, 2 / 3])


@pytest.mark.parametrize("sample", [1, 5, 64, 4096])
def test_a_small_sample_is_still_a_histogram(sample):
    tensor = normal(300, 40).relu()
    assert tensor_stats(tensor, sample=sample).hist.sum() == pytest.approx(1)


def test_mass_moves_a_histogram_to_other_edges():
    stats = tensor_stats(normal(500, 20), sample=10_000)
    np.testing.assert_allclose(stats.mass(stats.edges), stats.hist, atol=1e-12)
    assert stats.mass(np.array([-1e9, 1e9])) == pytest.approx(1)
    assert stats.mass(np.array([stats.max + 1, stats.max + 2])) == pytest.approx(0)
    wide = stats.mass(np.linspace(-6, 6, 25))
    values = normal(500, 20).numpy(force=True)
    assert np.abs(wide - np.histogram(values, np.linspace(-6, 6, 25))[0] / 10_000).max() < 0.01
    point = tensor_stats(torch.full((3,), 2.0))
    np.testing.assert_array_equal(point.mass(np.array([0.0, 1.0, 3.0])), [0, 1])
    assert not tensor_stats(torch.zeros(3)).mass(np.array([-1.0, 1.0])).any()


def test_variance_alone():
    tensor = normal(1500, 1001) * 1e-3 + 5
    assert variance(tensor) == pytest.approx(tensor.double().numpy(force=True).var(), rel=1e-6)
    assert math.isnan(variance(torch.tensor([1.0, math.nan])))


def test_a_variance_beyond_float64_is_infinite():
    assert variance(torch.tensor([1e200, -1e200], dtype=torch.float64)) == math.inf
    assert variance(torch.tensor([1e150, -1e150], dtype=torch.float64)) == pytest.approx(1e300)


class WithoutFloat64(torch.Tensor):
    """On Apple's GPUs, to all appearances."""

    device = torch.device("mps")
    is_cpu = False

    def cpu(self):
        return self.as_subclass(torch.Tensor)

    def double(self):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")


def test_a_device_without_float64():
    values = normal(40, 50).cpu() * 1e-25
    apple = values.as_subclass(WithoutFloat64)
    assert mean_square(apple) == mean_square(values) > 0
    assert variance(apple) == variance(values) > 0
    assert list(rms_each((apple, {"x": apple}))) == [mean_square(values) ** 0.5] * 2
