"""Sound models of the kinds that people train, as torch.nn makes them: (how to make it, a batch, its target)."""

import torch
import torch.nn.functional as F
from torch import nn

import initviz as iv


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator(torch.get_default_device()).manual_seed(0))


class Block(nn.Module):
    """Two convolutions with batch normalization around a skip connection, as in ResNet."""

    def __init__(self, n_in, n_out, stride, closed):
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out)
        self.second, self.norm2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out)
        same = stride == 1 and n_in == n_out
        self.skip = nn.Identity() if same else nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride), nn.BatchNorm2d(n_out))
        if closed:
            nn.init.zeros_(self.norm2.weight)

    def forward(self, x):
        inner = F.relu(self.norm1(self.first(x)))
        return F.relu(self.norm2(self.second(inner)) + self.skip(x))


def resnet(blocks=2, closed=False):
    sizes = (
        [(16, 16, 1)] * blocks
        + [(16, 32, 2)]
        + [(32, 32, 1)] * (blocks - 1)
        + [(32, 64, 2)]
        + [(64, 64, 1)] * (blocks - 1)
    )
    body = [Block(*size, closed) for size in sizes]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Text(nn.Module):
    """Word vectors, a recurrent part, and a layer on its last output or state."""

    def __init__(self, rnn, by_state=False):
        super().__init__()
        self.embedding, self.rnn, self.out, self.by_state = nn.Embedding(100, 32), rnn, nn.Linear(48, 5), by_state

    def forward(self, words):
        outputs, state = self.rnn(self.embedding(words))
        state = state[0] if isinstance(state, tuple) else state
        return self.out(state[-1] if self.by_state else outputs[:, -1])


class Language(nn.Module):
    """A small language model: positions, transformer blocks, words."""

    def __init__(self, blocks, before, gpt2=False):
        super().__init__()
        self.words, self.places = nn.Embedding(100, 48), nn.Parameter(0.02 * torch.randn(1, 32, 48))
        block = nn.TransformerEncoderLayer(48, 4, 192, 0.0, F.gelu, batch_first=True, norm_first=before)
        self.blocks = nn.TransformerEncoder(block, blocks, enable_nested_tensor=False)
        self.norm, self.out = nn.LayerNorm(48), nn.Linear(48, 100)
        for name, p in self.named_parameters() if gpt2 else ():
            if p.dim() == 2:
                last = name.endswith(("linear2.weight", "out_proj.weight"))
                nn.init.normal_(p, 0, 0.02 / (2 * blocks) ** 0.5 if last else 0.02)

    def forward(self, words):
        return self.out(self.norm(self.blocks(self.words(words) + self.places)))


class Stream(nn.Module):
    """A residual stream without normalization, at torch's default start, closed by a factor of zero, or by Fixup's rule."""

    def __init__(self, start="default", blocks=40, width=48):
        super().__init__()
        self.stem, self.out = nn.Linear(width, width), nn.Linear(width, 10)
        two = lambda: nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))  # noqa: E731
        self.blocks = nn.ModuleList([two() for _ in range(blocks)])
        self.factors = nn.ParameterList([torch.zeros(1) if start == "rezero" else torch.ones(1) for _ in range(blocks)])
        if start == "fixup":
            for first, _, second in self.blocks:
                nn.init.kaiming_normal_(first.weight, nonlinearity="relu")
                first.weight.data *= blocks**-0.5
                nn.init.zeros_(second.weight), nn.init.zeros_(second.bias)
            nn.init.zeros_(self.out.weight), nn.init.zeros_(self.out.bias)

    def forward(self, x):
        x = self.stem(x)
        for factor, block in zip(self.factors, self.blocks):
            x = x + factor * block(x)
        return self.out(x)


def normed(depth=30, width=48):
    parts = [m for _ in range(depth) for m in (nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU())]
    return nn.Sequential(*parts, nn.Linear(width, 10))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(10, 20, 5), nn.Dropout2d(), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(320, 50), nn.ReLU(), nn.Dropout(), nn.Linear(50, 10),
    )  # fmt: skip


def autoencoder():
    parts = [
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, 2),
        nn.Linear(2, 32),
        nn.ReLU(),
        nn.Linear(32, 64),
        nn.Sigmoid(),
    ]
    return nn.Sequential(*parts)


def plain(activation, depth=2):
    return nn.Sequential(*[m for _ in range(depth) for m in (nn.Linear(48, 48), activation())], nn.Linear(48, 10))


def half():
    return iv.init_(plain(nn.ReLU, 6), "he_normal").bfloat16()


WORDS = torch.randint(100, (8, 32), generator=torch.Generator(torch.get_default_device()).manual_seed(0))
IMAGES, DIGITS, FLAT, TEN = draw(8, 3, 32, 32), draw(8, 1, 28, 28), draw(20, 48), torch.arange(20) % 10
LABELS, FIVE = torch.arange(8), torch.arange(8) % 5
RNN = {"batch_first": True}

HEALTHY = {
    "ResNet": (resnet, IMAGES, LABELS),
    "ResNet, deep": (lambda: resnet(7), IMAGES, LABELS),
    "ResNet, branches closed": (lambda: resnet(closed=True), IMAGES, LABELS),
    "ResNet, eval": (lambda: resnet().eval(), IMAGES, LABELS),
    "LSTM": (lambda: Text(nn.LSTM(32, 48, **RNN)), WORDS, FIVE),
    "LSTM, two layers, by its state": (lambda: Text(nn.LSTM(32, 48, 2, **RNN), True), WORDS, FIVE),
    "GRU": (lambda: Text(nn.GRU(32, 48, **RNN), True), WORDS, FIVE),
    "encoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(48, 4, 96, batch_first=True), 6),
        draw(4, 9, 48),
        None,
    ),
    "language model, norm first": (lambda: Language(12, True), WORDS, WORDS),
    "language model, norm last": (lambda: Language(12, False), WORDS, WORDS),
    "GPT-2's start": (lambda: Language(12, True, gpt2=True), WORDS, WORDS),
    "layer normalization": (normed, FLAT, TEN),
    "residual stream": (Stream, FLAT, TEN),
    "ReZero": (lambda: Stream("rezero"), FLAT, TEN),
    "Fixup": (lambda: Stream("fixup"), FLAT, TEN),
    "LeNet with dropout": (lenet, DIGITS, LABELS),
    "autoencoder": (autoencoder, draw(20, 64), draw(20, 64)),
    "two ReLU layers": (lambda: plain(nn.ReLU), FLAT, TEN),
    "two sigmoid layers": (lambda: plain(nn.Sigmoid), FLAT, TEN),
    "two GELU layers, one sample": (lambda: plain(nn.GELU), FLAT[:1], TEN[:1]),
    "regression": (lambda: nn.Linear(48, 1), FLAT, draw(20, 1)),
    "bfloat16": (half, FLAT.bfloat16(), TEN),
}
