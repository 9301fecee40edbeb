"""Wrong answers to the exercises of notebook 01, with words of the reason."""

import math

import initviz as iv


def first_that_diverges(scales, depth):
    race = iv.race({str(s): {"scale": s} for s in scales}, depth=depth, seeds=3, steps=20, lr=0.02)
    return min(s for s in scales if race.diverged(str(s)))


def first_in_the_list(scales, depth):
    race = iv.race({str(s): {"scale": s} for s in scales}, depth=depth, seeds=3, steps=20, lr=0.02)
    return next(s for s in scales if race.diverged(str(s)) == 0)


def at_depth_ten(scales, depth):
    race = iv.race({str(s): {"scale": s} for s in scales}, depth=5, seeds=3, steps=20, lr=0.02)
    return max(s for s in scales if race.diverged(str(s)) == 0)


def fixed_guess(losses, classes):
    if not all(math.isfinite(loss) for loss in losses):
        return "diverged"
    return "learning" if losses[-1] <= 0.9 * math.log(10) else "stuck"


def nan_by_equality(losses, classes):
    if losses[-1] == math.nan:
        return "diverged"
    return "learning" if losses[-1] <= 0.9 * math.log(classes) else "stuck"


def only_nan(losses, classes):
    if any(math.isnan(loss) for loss in losses):
        return "diverged"
    return "learning" if losses[-1] <= 0.9 * math.log(classes) else "stuck"


def against_the_first(losses, classes):
    if not all(math.isfinite(loss) for loss in losses):
        return "diverged"
    return "learning" if losses[-1] < losses[0] else "stuck"


def ten_percent_below_the_first(losses, classes):
    if not all(math.isfinite(loss) for loss in losses):
        return "diverged"
    return "learning" if losses[-1] <= 0.9 * losses[0] else "stuck"


def below_either(losses, classes):
    if not all(math.isfinite(loss) for loss in losses):
        return "diverged"
    return "learning" if losses[-1] <= 0.9 * min(losses[0], math.log(classes)) else "stuck"


WRONG = {
    "loss_of_guessing": [
        (lambda classes: -math.log(classes), "The sign"),
        (lambda classes: math.log2(classes), "natural logarithm"),
        (lambda classes: math.log10(classes), "natural logarithm"),
        (lambda classes: 1 / classes, "That is a probability"),
        (lambda classes: 2.302585, "ten classes only"),
        (lambda classes: classes, r"-ln\(1/10\) = 2.303"),
        (2.3, "the answer is a function"),
    ],
    "largest_stable_scale": [
        (first_that_diverges, "first that diverges"),
        (lambda scales, depth: min(scales), "smallest that is stable"),
        (lambda scales, depth: max(scales), "3 of 3 runs diverge"),
        (first_in_the_list, "none does at 2 either"),
        (at_depth_ten, "Do you use the depth"),
        (lambda scales, depth: 1.75, "not one of the scales"),
    ],
    "health": [
        (fixed_guess, "guessing among 100 classes"),
        (nan_by_equality, "Every comparison with NaN is false"),
        (only_nan, "Infinity is not a finite number"),
        (against_the_first, "not 10 % below"),
        (ten_percent_below_the_first, "Its first loss says how it began"),
        (below_either, "compare the last one with that of guessing"),
        (lambda losses, classes: "fine", 'the answer is "diverged"'),
        (lambda losses, classes: True, 'the answer is "diverged"'),
    ],
}
