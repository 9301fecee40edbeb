"""Wrong answers to the exercises of notebook 00."""

import initviz as iv


def index(model, x, y):
    return int(iv.probe(model, x, y).values("weight_gradient", "rms").argmin())


def always_the_first(model, x, y):
    return iv.probe(model, x, y).reached[0].name


def loudest(model, x, y):
    report = iv.probe(model, x, y)
    return report.reached[report.values("weight_gradient", "rms").argmax()].name


def of_preactivations(model, x, y):
    report = iv.probe(model, x, y)
    return report.reached[report.values("preactivation_gradient", "rms").argmin()].name


def the_layer_itself(model, x, y):
    return iv.probe(model, x, y).reached[0]


def smallest_rms(model, x, y):
    return iv.probe(model, x, y).values("weight_gradient", "rms").min()


def another_name(model, x, y):
    return "Linear"


WRONG = {
    "scale": [
        (1, r"factor of 0\.70\d per layer; the scale has to be larger"),
        (2, "twice the standard deviation is four times the variance"),
        (1.5, "the scale has to be smaller"),
        (0, "got 0; a scale is a positive number"),
        (-1.4, "a scale is a positive number"),
        (1e-9, "less than 0.1 per layer; the scale has to be larger"),
        ("large", "the answer is one number"),
    ],
    "quietest": [
        (index, "got 0; the answer is a layer's name"),
        (the_layer_itself, "got a LayerStats; the answer is a layer's name"),
        (smallest_rms, "got .*e-.*; the answer is a layer's name"),
        (always_the_first, "in a net whose first weights are tiny you name '0'; it has the smallest"),
        (loudest, "the layer with the largest gradient"),
        (of_preactivations, "smallest preactivation_gradient"),
        (another_name, "which is no layer of this network; its layers are"),
        ("0", "the answer is a function"),
    ],
}  # fmt: skip
