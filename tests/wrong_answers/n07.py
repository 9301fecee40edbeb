"""Wrong answers to the exercises of notebook 07, with words of the reason."""

import torch


def settle(
    power=0.5, again=True, look_first=True, stop=True, count=True, bias=False, dim=None, times=-1, old=False, place=True
):
    """The inner loop with one thing wrong."""

    def spread(out):
        return out.var() if dim is None else out.var(dim=dim).mean()

    def answer(layer, h, tol, max_iter):
        out, tries = layer(h), 0
        if not look_first:
            layer.weight /= spread(out).sqrt()
            out, tries = layer(h), 1
        while abs(spread(out) - 1) >= tol and (tries < max_iter or not stop):
            if place:
                layer.weight *= spread(out) ** (times * power)
            else:
                layer.weight * spread(out) ** -0.5
            if bias:
                layer.bias *= spread(out) ** -0.5
            tries += 1
            last = out
            out = layer(h) if again else out
            if old and abs(spread(out) - 1) < tol:
                return last, tries
        return out, tries if count else tries + 1

    return answer


def once(layer, h, tol, max_iter):
    out = layer(h)
    if abs(out.var() - 1) < tol:
        return out, 0
    layer.weight /= out.std()
    return layer(h), 1


def factor(rule):
    def answer(phi):
        z = torch.randn(
            10**6, generator=torch.Generator(torch.get_default_device()).manual_seed(0), dtype=torch.float64
        ).requires_grad_()
        a = phi(z)
        (slope,) = torch.autograd.grad(a.sum(), z)
        return float(rule(a.detach(), slope))

    return answer


def looks(tries):
    return len(tries) + sum(tries)


WRONG = {
    "inner_loop": [
        (settle(power=1), "divided by the variance"),
        (settle(times=1), "multiplied by the standard deviation|does not end"),
        (settle(again=False, stop=False), "the loop does not end"),
        (settle(again=False), "never computed again"),
        (settle(stop=False), "bias alone has variance 2.*the loop does not end"),
        (settle(look_first=False), "its weight stays; look before"),
        (settle(count=False), "it says 2 tries; a try is one division"),
        (settle(bias=True), "the bias was changed"),
        (settle(dim=0), "over the samples of each unit"),
        (settle(old=True), "not the layer's output now"),
        (settle(place=False), "the weight is the same as before"),
        (once, "bias has variance 0.5.*at the end, which is not within 0.01"),
        (lambda layer, h, tol, max_iter: layer(h), "returns two things"),
        (lambda layer, h: (layer(h), 0), "raised TypeError"),
    ],
    "saving": [
        (lambda tries: (looks(tries), looks(tries)), "a pass of the network computes all its layers"),
        (lambda tries: (len(tries) * sum(tries), sum(tries)), "looked at once more than it is divided"),
        (lambda tries: (len(tries) * (sum(tries) + 1), looks(tries)), "a last look of its own"),
        (lambda tries: (len(tries) * looks(tries), sum(tries) + 1), "once before its first division"),
        (
            lambda tries: (sum(k * (t + 1) for k, t in enumerate(tries, 1)), looks(tries)),
            "runs to the end of the network",
        ),
        (lambda tries: (looks(tries), len(tries) * looks(tries)), "wrong way round"),
        (lambda tries: (7, 7), "count how often"),
        (lambda tries: len(tries), "two numbers"),  # the saving itself, without the counting
        (lambda tries, layers: (1, 1), "raised TypeError"),
    ],
    "between_samples": [
        (lambda out: out.var(dim=1).mean() / out.var(), "dim=1 is the units"),
        (lambda out: out.var(dim=0).mean(), "divide it by the variance of all values"),
        (lambda out: 1 - out.var(dim=0).mean() / out.var(), "what is between units"),
        (lambda out: 1 - out.mean(dim=0).var() / out.var(), "divides by n - 1"),
        (lambda out: out.var() / out.var(dim=0).mean(), "wrong way up"),
        (lambda out: out.std(dim=0).mean() / out.std(), "ratio of standard deviations"),
        (lambda out: out.square().mean() / out.var(), "holds the mean too"),
        (lambda out: 0.5, "it gives 0.5, not"),
    ],
    "factor": [
        (factor(lambda a, s: (s**2).mean() / (a**2).mean()), "goes with its root"),
        (factor(lambda a, s: ((a**2).mean() / (s**2).mean()).sqrt()), "upside down"),
        (factor(lambda a, s: (s**2).mean().sqrt()), "the weight is missing"),
        (factor(lambda a, s: (s**2).mean().sqrt() / a.std()), "passes the mean of φ on too"),
        (factor(lambda a, s: s.mean() / (a**2).mean().sqrt()), "not the slopes"),
        (factor(lambda a, s: s.std() / a.std()), "takes the mean away"),
        (factor(lambda a, s: 1e-6 * ((s**2).mean() / (a**2).mean()).sqrt()), "differentiate the sum"),
        (lambda phi: 3.0, "it gives 3, not"),
    ],
}
