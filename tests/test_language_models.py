"""Language models before their first step: each rule's weights, their streams, and first losses against theory."""

import math

import numpy as np
import pytest
from pictures import mark, words

import initviz as iv
from initviz.experiments import START_RULES, first_losses, language_model, language_model_start
from initviz.plots import start_rules_figure
from initviz.plots._figure import Line

SIZES = {"blocks": 4, "width": 64, "heads": 2, "vocabulary": 2000}
D, BLOCKS = 64, 4


def std(weight) -> float:
    return weight.detach().double().std().item()


EXPECTED = {  # std of the query's matrix, of the last matrix of the perceptron in block 2 (counted from 0), of the embedding, of the head
    "gpt2": (0.02, 0.02 / math.sqrt(2 * BLOCKS), 0.02, 0.02),
    "neox": (math.sqrt(2 / (5 * D)), 2 / (BLOCKS * math.sqrt(D)), math.sqrt(2 / (5 * D)), math.sqrt(2 / (5 * D))),
    "mitchell": (D**-0.5, 1 / math.sqrt(2 * 4 * D * 3), D**-0.5, D**-0.5),
    "deepnorm": (D**-0.5, math.sqrt(2 / (5 * D)) * (8 * BLOCKS) ** -0.25, 1.0, D**-0.5),
    "torch": ((3 * D) ** -0.5, (3 * 4 * D) ** -0.5, 1.0, 1.0),
}


@pytest.mark.parametrize("rule", START_RULES)
def test_each_rule_draws_what_its_source_says(rule):
    net = language_model(rule, **SIZES, seed=0)
    attention, perceptron = net.branches[4].body, net.branches[5].body
    drawn = [std(m.weight) for m in (attention.query, perceptron[2], net.embed, net.output)]
    assert drawn == pytest.approx(EXPECTED[rule], rel=0.04)
    assert not net.output.bias.any() and (net.output.weight is net.embed.weight) == (START_RULES[rule].head is None)
    if rule == "mitchell":
        assert attention.query.weight.abs().max() < 3 * D**-0.5 < attention.query.weight.abs().max() * 1.1


@pytest.mark.parametrize("rule", START_RULES)
def test_the_first_loss_of_each_rule_is_predicted(rule):
    start = language_model_start(rule, **SIZES, seeds=3)
    assert start.stream.shape == start.gradient.shape == (3, BLOCKS + 1)
    assert start.loss.mean() == pytest.approx(start.theory, rel=0.03)
    assert start.chance == pytest.approx(math.log(2000)) and (start.gradient[:, -1] == 1).all()
    if rule == "torch":
        assert start.theory > 4 * start.chance


def test_first_losses_follow_theory_tied_or_not():
    stds = [0.02, 0.1, 0.25, 1.0]
    free, tied = (first_losses(stds, tied=how, seeds=3, **{**SIZES, "blocks": 1}) for how in (False, True))
    v = D * np.square(stds)
    np.testing.assert_allclose(free.wide[:2], math.log(2000) + v[:2] / 2)
    np.testing.assert_allclose(free.loss.mean(axis=0)[:3], math.log(2000) + v[:3] / 2, rtol=0.05)
    for run in (free, tied):
        np.testing.assert_allclose(run.loss.mean(axis=0), run.theory, rtol=0.04)
    assert tied.loss[:, -1].min() > 1.5 * free.loss[:, -1].max()
    assert tied.tied and not free.tied


def test_the_picture_has_a_line_a_rule():
    starts = {START_RULES[rule].label: language_model_start(rule, **SIZES, seeds=2) for rule in ("gpt2", "torch")}
    figure = start_rules_figure(starts)
    np.testing.assert_allclose(
        mark(figure.panels[0], Line, "GPT-2").y, np.exp(np.log(starts["GPT-2"].stream).mean(axis=0))
    )
    assert mark(figure, Line, "GPT-2: first loss").x.item() == pytest.approx(starts["GPT-2"].loss.mean())
    assert any(word.startswith("● GPT-2: 7.6") for word in words(figure.panels[2]))
    assert iv.plots.start_rules(starts).axes
    with pytest.raises(ValueError, match="^starts: got 0"):
        start_rules_figure({})


def test_wrong_arguments():
    with pytest.raises(ValueError, match="^rule: 'gtp2' is unknown; did you mean 'gpt2'"):
        language_model("gtp2")
    with pytest.raises(ValueError, match="^stds: got -1"):
        first_losses([-1])
    with pytest.raises(ValueError, match="^batch: got 0"):
        language_model_start("gpt2", batch=0)
