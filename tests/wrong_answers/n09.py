"""Typical wrong answers of notebook 09."""

WRONG = {
    "map": [
        ({"sigmoid": 30, "tanh": 30, "relu": 30, "sine": 30}, "Sigmoid trains less deep than 30"),
        ({"sigmoid": 0, "tanh": 2, "relu": 2, "sine": 2}, "tanh trains deeper than 2"),
        ({"sigmoid": 0, "tanh": 7, "relu": 2, "sine": 2}, "7 is none of"),
        ([0, 30, 10, 30], "a dictionary"),
    ],
    "deepest": [
        (lambda t, s, a, accuracy=0.8: t[(t.scheme == s) & (t.activation == a)].depth.max(), "counts depths that were run|argument"),
        (lambda t, s, a, accuracy=0.8: t[(t.scheme == s) & (t.accuracy >= accuracy)].depth.max(), "both must match|another scheme"),
        (lambda t, s, a, accuracy=0.8: t[(t.scheme == s) & (t.activation == a) & (t.accuracy >= 0.8)].depth.max(), "accuracy"),
        (lambda t, s, a, accuracy=0.8: t[(t.scheme == s) & (t.activation == a) & (t.accuracy >= accuracy)].depth.max(), "NaN"),
        (lambda t, s, a, accuracy=0.8: 5, "0.4 was asked for"),
    ],
    "choose": [
        (lambda activation, depth: "he_normal", "misses most at"),
        (lambda activation, depth: "zeros", "misses most at"),
        (lambda activation, depth: "he_norml", "did you mean"),
        (lambda activation, depth: "keras_default", "not on the map"),
        (lambda activation, depth: "lsuv", "LSUV is left out"),
        ("he_normal", "the answer is a function"),
    ],
}  # fmt: skip
