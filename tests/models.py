"""Models of every kind that `initviz.probe` promises to take: each with a batch, and the layers and activations to be found."""

from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pretend
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

Kind = namedtuple("Kind", "make batch layers")
"""How to make the model, its batch, and "name activation" for each layer in the order of its calls."""


class Net(nn.Module):
    """Modules by name and a forward function over them: forward(self, *batch)."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.function = forward

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


def rows(*names):
    return list(names)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator(torch.get_default_device()).manual_seed(seed))


def sequential(*more):
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3), *more)


def frozen(model):
    return model.requires_grad_(False)


@dataclass
class Output:
    name: str
    scores: torch.Tensor


class Attributes(nn.Module):
    """Counts, remembers, and registers a buffer late."""

    def __init__(self):
        super().__init__()
        self.layer, self.count, self.last, self.log, self.trace = nn.Linear(8, 3), 0, None, [], torch.zeros(3)

    def forward(self, x):
        self.count += 1
        self.trace += 1
        self.last = self.layer(x)
        self.log.append(self.last)
        self.register_buffer("late", torch.zeros(2))
        return self.last


class Stored(nn.Module):
    """Keeps its weight in a type that torch does not compute with."""

    def __init__(self, dtype):
        super().__init__()
        self.weight = nn.Parameter(draw(8, 8).to(dtype), requires_grad=False)

    def forward(self, x):
        return x @ self.weight.float()


class Writer(nn.Module):
    """Writes into its own parameter, in one of the ways that torch allows."""

    def __init__(self, how):
        super().__init__()
        self.layer, self.how = nn.Linear(8, 3), how

    def forward(self, x):
        weight = self.layer.weight
        if self.how == "data":
            weight.data.clamp_(-0.01, 0.01)
        elif self.how == "new data":
            weight.data = weight.data * 0.5
        elif self.how == "detach":
            weight.detach().mul_(0.5)
        else:
            with torch.no_grad():
                WRITES[self.how](weight)
        return self.layer(x)


def rows_of(weight):
    for row in weight:
        row.div_(row.norm())


WRITES = {
    "method": lambda w: w.mul_(0.5),
    "item": lambda w: w.__setitem__(0, 0.0),
    "view": lambda w: w.view(-1).mul_(0.5),
    "transpose": lambda w: w.t()[0].fill_(3.0),
    "rows": rows_of,
    "list": lambda w: torch._foreach_mul_([w], 0.5),
    "out": lambda w: torch.mul(w, 0.5, out=w),
    "init": lambda w: nn.init.normal_(w),
}


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 3 * ctx.saved_tensors[0] ** 2


def gates(self, x):
    """Two branches whose activations come after both layers."""
    a, b = self.a(x), self.b(x)
    return F.silu(a) * torch.tanh(b)


def residual(self, x):
    h = torch.relu(self.norm(self.stem(x)))
    return self.head(torch.relu(h + self.branch(h)))


def unrolled(self, x):
    for _ in range(3):
        x = torch.tanh(self.cell(x))
    return x


def moody(self, x):
    with torch.no_grad():
        x = self.body(x)
    return self.head(x)


def encoder(**how):
    return nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **how), 2, enable_nested_tensor=False
    )


def pruned():
    model = sequential()
    prune.l1_unstructured(model[0], "weight", 0.5)
    return model


def compiled_in_place():
    model = sequential()
    model.compile(backend="eager")
    return model


ENCODER = [f"layers.{i}.{name}" for i in range(2) for name in ("self_attn -", "linear1 relu", "linear2 -")]
PACKED = nn.utils.rnn.pack_padded_sequence(draw(2, 5, 8), torch.tensor([5, 3], device="cpu"), batch_first=True)
X, SEQUENCE, IMAGE = draw(6, 8), draw(4, 5, 8), draw(4, 1, 6, 6)
WORDS = torch.randint(10, (4, 5), generator=torch.Generator(torch.get_default_device()).manual_seed(0))
L = nn.Linear
STACK = ["0 relu", "2 -"]

KINDS = {
    "plain": Kind(sequential, X, STACK),
    "functional": Kind(
        lambda: Net(lambda m, x: m.head(F.relu(m.conv(x)).mean(dim=(2, 3))), conv=nn.Conv2d(1, 4, 3), head=L(4, 3)),
        IMAGE, ["conv relu", "head -"],
    ),
    "activation by keyword": Kind(lambda: Net(lambda m, x: F.gelu(input=m.a(x)), a=L(8, 3)), X, ["a gelu"]),
    "in place": Kind(lambda: nn.Sequential(L(8, 16), nn.ReLU(inplace=True), L(16, 3)), X, STACK),
    "in-place first": Kind(lambda: nn.Sequential(nn.ReLU(inplace=True), L(8, 3)), X, ["1 -"]),
    "in-place sum": Kind(
        lambda: Net(lambda m, x: torch.relu_(m.a(x).add_(m.b(x))), a=L(8, 8), b=L(8, 8)), X, ["a -", "b relu"]
    ),
    "shared": Kind(lambda: Net(unrolled, cell=L(8, 8)), X, ["cell tanh", "cell#2 tanh", "cell#3 tanh"]),
    "gates": Kind(lambda: Net(gates, a=L(8, 8), b=L(8, 8)), X, ["a silu", "b tanh"]),
    "residual": Kind(
        lambda: Net(residual, stem=L(8, 8), norm=nn.BatchNorm1d(8), branch=sequential(L(3, 8)), head=L(8, 3)), X,
        ["stem relu", "branch.0 relu", "branch.2 -", "branch.3 relu", "head -"],
    ),
    "pooled": Kind(
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), L(16, 3)), IMAGE,
        ["0 relu", "4 -"],
    ),
    "batch norm and dropout": Kind(
        lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), L(24, 3)),
        draw(5, 2, 8), ["0 relu", "5 -"],
    ),
    "layer norm over axes": Kind(
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.LayerNorm((2, 4, 4)), nn.ReLU(), nn.Flatten(), L(32, 3)), IMAGE,
        ["0 relu", "4 -"],
    ),
    "frozen backbone": Kind(
        lambda: nn.Sequential(frozen(nn.Sequential(L(8, 8), nn.ReLU(inplace=True))), L(8, 3)), X, ["0.0 relu", "1 -"]
    ),
    "all frozen": Kind(lambda: frozen(sequential()), X, STACK),
    "embedding": Kind(lambda: nn.Sequential(nn.Embedding(10, 8), L(8, 3)), WORDS, ["0 -", "1 -"]),
    "embedding with a largest norm": Kind(
        lambda: nn.Sequential(nn.Embedding(10, 8, max_norm=0.1), L(8, 3)), WORDS, ["0 -", "1 -"]
    ),
    "embedding bag, largest norm": Kind(
        lambda: nn.Sequential(nn.EmbeddingBag(10, 8, max_norm=0.1), L(8, 3)), WORDS, ["0 -", "1 -"]
    ),
    "sparse gradients": Kind(lambda: nn.Sequential(nn.Embedding(10, 8, sparse=True), L(8, 3)), WORDS, ["0 -", "1 -"]),
    "lstm": Kind(lambda: nn.LSTM(8, 6, 2, dropout=0.5), SEQUENCE, ["LSTM -"]),
    "lstm, frozen": Kind(lambda: frozen(nn.LSTM(8, 6)), SEQUENCE, ["LSTM -"]),
    "lstm, packed": Kind(lambda: nn.LSTM(8, 6), PACKED, ["LSTM -"]),
    "gru, packed, last state": Kind(
        lambda: Net(lambda m, x: m.head(m.rnn(x)[1][-1]), rnn=nn.GRU(8, 6), head=L(6, 3)), PACKED, ["rnn -", "head -"]
    ),
    "gru cell": Kind(lambda: Net(lambda m, x: m.cell(x, m.cell(x)), cell=nn.GRUCell(8, 6)), X, ["cell -", "cell#2 -"]),
    "attention": Kind(lambda: nn.MultiheadAttention(8, 2, batch_first=True), (SEQUENCE,) * 3, ["MultiheadAttention -"]),
    "attention, frozen": Kind(
        lambda: frozen(nn.MultiheadAttention(8, 2, batch_first=True)), (SEQUENCE,) * 3, ["MultiheadAttention -"]
    ),
    "transformer": Kind(encoder, SEQUENCE, ENCODER),
    "transformer, frozen": Kind(lambda: frozen(encoder()), SEQUENCE, ENCODER),
    "encoder and decoder": Kind(
        lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True), (SEQUENCE, draw(4, 3, 8)),
        [
            "encoder.layers.0.self_attn -", "encoder.layers.0.linear1 relu", "encoder.layers.0.linear2 -",
            "decoder.layers.0.self_attn -", "decoder.layers.0.multihead_attn -", "decoder.layers.0.linear1 relu",
            "decoder.layers.0.linear2 -",
        ],
    ),
    "table of positions": Kind(
        lambda: Net(lambda m, x: m.head(x + m.place), head=L(8, 3), place=nn.Parameter(draw(1, 5, 8))), SEQUENCE, ["head -"]
    ),
    "parameter list": Kind(
        lambda: Net(lambda m, x: torch.tanh(x @ m.w[0]) @ m.w[1], w=nn.ParameterList([draw(8, 8), draw(8, 3)])), X,
        ["Net -"],
    ),
    "spectral norm": Kind(lambda: nn.Sequential(parametrizations.spectral_norm(L(8, 8)), nn.Tanh()), X, ["0 tanh"]),
    "weight norm": Kind(lambda: nn.Sequential(parametrizations.weight_norm(L(8, 8)), nn.Tanh()), X, ["0 tanh"]),
    "orthogonal": Kind(lambda: nn.Sequential(parametrizations.orthogonal(L(8, 8)), nn.Tanh()), X, ["0 tanh"]),
    "spectral norm of old": Kind(lambda: nn.Sequential(nn.utils.spectral_norm(L(8, 8)), nn.Tanh()), X, ["0 tanh"]),
    "weight norm of old": Kind(lambda: nn.Sequential(nn.utils.weight_norm(L(8, 8)), nn.Tanh()), X, ["0 tanh"]),
    "pruned": Kind(pruned, X, STACK),
    "checkpointed": Kind(
        lambda: Net(lambda m, x: checkpoint(m.b, m.a(x), use_reentrant=False), a=L(8, 8), b=sequential()), X,
        ["a -", "b.0 relu", "b.2 -"],
    ),
    "checkpointed, frozen": Kind(
        lambda: frozen(Net(lambda m, x: checkpoint(m.b, m.a(x), use_reentrant=False), a=L(8, 8), b=sequential())), X,
        ["a -", "b.0 relu", "b.2 -"],
    ),
    "checkpointed, frozen from the start": Kind(
        lambda: Net(lambda m, x: checkpoint(m.b, x, use_reentrant=False), b=nn.Sequential(frozen(L(8, 8)), nn.Tanh(), L(8, 3))), X,
        ["b.0 tanh", "b.2 -"],
    ),
    "checkpointed, all frozen": Kind(
        lambda: frozen(Net(lambda m, x: checkpoint(m.b, x, use_reentrant=False), b=sequential())), X, ["b.0 relu", "b.2 -"]
    ),
    "written into before its activation": Kind(
        lambda: Net(lambda m, x: m.b(torch.tanh(m.a(x).mul_(2).add_(x))), a=L(8, 8), b=L(8, 3)), X, ["a tanh", "b -"]
    ),
    "float8 weight": Kind(lambda: nn.Sequential(Stored(torch.float8_e4m3fn), nn.ReLU(), L(8, 3)), X, STACK),
    "int8 weight": Kind(lambda: nn.Sequential(Stored(torch.int8), nn.ReLU(), L(8, 3)), X, STACK),
    "custom function": Kind(lambda: nn.Sequential(L(8, 8), Net(lambda m, x: Cube.apply(x)), L(8, 3)), X, ["0 -", "2 -"]),
    "compiled": Kind(lambda: torch.compile(sequential(), backend="eager"), X, STACK),
    "compiled in place": Kind(compiled_in_place, X, STACK),
    "compiled part": Kind(
        lambda: nn.Sequential(torch.compile(sequential(), backend="eager"), nn.ReLU(), L(3, 2)), X,
        ["0._orig_mod.0 relu", "0._orig_mod.2 relu", "2 -"],
    ),
    "data parallel": Kind(lambda: nn.DataParallel(sequential()), X, STACK),
    "traced to a graph": Kind(lambda: torch.fx.symbolic_trace(sequential()), X, STACK),
    "attributes": Kind(Attributes, X, ["layer -"]),
    "numpy's random numbers": Kind(lambda: Net(lambda m, x: m.a(x) * float(np.random.rand()), a=L(8, 3)), X, ["a -"]),
    "dict with words": Kind(lambda: Net(lambda m, x: {"name": "abc", "scores": m.a(x)}, a=L(8, 3)), X, ["a -"]),
    "dataclass": Kind(lambda: Net(lambda m, x: Output("abc", m.a(x)), a=L(8, 3)), X, ["a -"]),
    "namespace": Kind(lambda: Net(lambda m, x: SimpleNamespace(model=m, out=m.a(x)), a=L(8, 3)), X, ["a -"]),
    "generator beside": Kind(lambda: Net(lambda m, x: (m.a(x), (i for i in range(3))), a=L(8, 3)), X, ["a -"]),
    "scalar activation": Kind(lambda: Net(lambda m, x: torch.relu(m.a(x[0]).squeeze()), a=L(8, 1)), X, ["a relu"]),
    "no batch axis": Kind(sequential, draw(8), STACK),
    "batch of one": Kind(sequential, draw(1, 8), STACK),
    "no_grad body": Kind(lambda: Net(moody, body=sequential(), head=L(3, 2)), X, ["body.0 relu", "body.2 -", "head -"]),
    "float64": Kind(lambda: sequential().double(), X.double(), STACK),
    "bfloat16": Kind(lambda: sequential().bfloat16(), X.bfloat16(), STACK),
    "float16": Kind(lambda: sequential().half(), X.half(), STACK),
} | {
    f"writes into a weight: {how}": Kind(lambda how=how: Writer(how), X, ["layer -"])
    for how in ("data", "new data", "detach", *WRITES)
}  # fmt: skip
if pretend.here():  # without sparse tensors
    del KINDS["sparse gradients"]
