"""How `readings` and the kernels in `fused` talk: what the kernels are told of a tensor, and what they give back."""

NUMBERS = 8
"""Numbers of a tensor that are found in a pass over it: see `initviz._core.fused`."""
BLOCK, LANES, PROGRAMS = 1024, 8, 1024
"""Of the fused kernels: values a step, columns in which they look for values other than zero, and the most programs that share a tensor."""
COLUMNS = 14
"""What the fused kernels are told of a tensor: address, number of values, programs, the first of these, values in the sample, every which
one that is, the bounds beyond which values are saturated, and of its units kind, place, units, inner, apart, places: see `Units`."""
NOTHING, PLACES, ALIVE = 0, 1, 2
"""What the fused kernels find of the units: nothing, their values at a few places, or which of them are not zero everywhere."""
