"""The report: numbers by layer, a table, and words."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import initviz as iv
from initviz._core.statistics import STATISTICS
from initviz.inspection import QUANTITIES


@pytest.fixture(scope="module")
def report():
    model = nn.ModuleDict(
        {"encoder_with_a_long_name": nn.Linear(8, 6), "head": nn.Linear(6, 3), "spare": nn.Linear(3, 3)}
    )
    for name, part in model.items():
        torch.manual_seed(len(name))
        nn.init.normal_(part.weight)
    model.forward = lambda x: model["head"](torch.tanh(model["encoder_with_a_long_name"](x)))
    return iv.probe(model, torch.randn(5, 8, generator=torch.Generator(torch.get_default_device()).manual_seed(0)))


def test_layers_are_in_the_order_of_the_pass_and_the_unreached_last(report):
    assert [layer.name for layer in report.layers] == ["encoder_with_a_long_name", "head", "spare"]
    assert [layer.reached for layer in report.layers] == [True, True, False]
    assert report.reached == report.layers[:2]
    assert (report.batch_size, report.dtype, report.device) == (5, "float32", str(torch.empty(0).device))
    assert math.isfinite(report.loss)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("statistic", STATISTICS)
def test_values_are_one_number_a_reached_layer(report, quantity, statistic):
    values = report.values(quantity, statistic)
    assert values.shape == (2,) and values.dtype == np.float64
    for value, layer in zip(values, report.reached):
        stats = getattr(layer, quantity)
        assert math.isnan(value) if stats is None else value == getattr(stats, statistic)
    assert report.stats(quantity) == [getattr(layer, quantity) for layer in report.reached]


def test_the_table_has_a_row_for_each_layer_and_quantity(report):
    table = report.to_frame()
    assert list(table.columns) == ["layer", "name", "kind", "quantity", *STATISTICS]
    expected = [
        (number, quantity)
        for number, layer in enumerate(report.layers, start=1)
        for quantity in QUANTITIES
        if getattr(layer, quantity) is not None
    ]
    assert list(zip(table["layer"], table["quantity"])) == expected
    assert expected[-1] == (3, "weight")  # all that there is of an unreached layer
    row = table[(table["layer"] == 1) & (table["quantity"] == "activation")].iloc[0]
    assert row["rms"] == report.layers[0].activation.rms and row["kind"] == "Linear"
    np.testing.assert_allclose(table["rms"] ** 2, table["second_moment"])


def test_a_table_of_nothing_still_has_its_columns():
    empty = iv.probe(nn.Linear(2, 2), torch.ones(1, 2), quantities=())
    assert empty.to_frame().empty and "rms" in empty.to_frame().columns
    assert np.isnan(empty.values("activation", "std")).all()


def test_words_have_a_line_a_layer(report):
    head, *lines = str(report).splitlines()
    assert "rms forward" in head and len(lines) == 3
    assert "tanh" in lines[0] and f"{report.layers[0].activation.rms:.3g}" in lines[0]
    assert f"{report.layers[0].preactivation_gradient.rms:.3g}" in lines[0]
    assert "not reached" in lines[2]
    assert len({len(line) for line in (head, *lines)}) == 1  # a table: its columns stand below each other


def test_a_long_path_is_cut_at_its_front():
    model = nn.ModuleDict({"a_rather_long_name_of_a_block": nn.ModuleDict({"linear_1": nn.Linear(2, 2)})})
    model.forward = lambda x: model["a_rather_long_name_of_a_block"]["linear_1"](x)
    words = str(iv.probe(model, torch.ones(1, 2)))
    assert "…" in words and "block.linear_1 " in words


def test_records_are_frozen(report):
    for record, field in ((report, "loss"), (report.layers[0], "name"), (report.layers[0].weight, "mean")):
        with pytest.raises(AttributeError):
            setattr(record, field, None)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda r: r.stats("activatoin"), ValueError, "^quantity: 'activatoin' is unknown; did you mean 'activation'"),
        (lambda r: r.values("weight", "sdt"), ValueError, "^statistic: 'sdt' is unknown; did you mean 'std'"),
        (lambda r: r.values("weight", "hist"), ValueError, "^statistic: 'hist' is unknown"),
        (lambda r: r.values(3, "std"), TypeError, "^quantity: got int"),
    ],
)
def test_bad_input_is_refused_by_name(report, call, kind, message):
    with pytest.raises(kind, match=message):
        call(report)
