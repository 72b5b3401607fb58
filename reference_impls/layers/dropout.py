"""Dropout with a given mask, scaled while training (inverted dropout).

    forward      y  = m x / (1 - rate)             mask m of 0 and 1, of the shape of x; 1 keeps an element
    backward     dx = m dy / (1 - rate)

The mask is given, because random numbers differ between frameworks; the mean of y over masks is x. No kinks.
Srivastava and others, Dropout, JMLR 15 (2014), section 10; that paper scales by 1 - rate when testing instead.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation, elementwise, same_shape

BELOW_ONE = math.nextafter(1.0, 0.0)


def output_shape(inputs, params, *, rate):
    """The shape that x and the mask share."""
    return same_shape(inputs)


def zero_or_one(inputs, params, *, rate):
    """What the mask may hold: from 0 to below 2."""
    return 0, 2


def numpy_forward(p, x, mask, *, rate):
    """Forward: y = x / (1 - rate) where kept, else 0."""
    kept = mask == 1
    return np.where(kept, x / (1 - rate), 0), kept


def numpy_backward(p, kept, dy, *, rate):
    """Backward: dx = dy / (1 - rate) where kept, else 0; a mask has no derivative."""
    return (np.where(kept, dy / (1 - rate), 0), None), {}


def torch_forward(torch, p, x, mask, *, rate):
    """`torch.nn.functional.dropout` draws its own mask, and multiplies by it: 0 times infinity is NaN there."""
    return torch.where(mask == 1, x / (1 - rate), 0)


def jax_forward(jax, p, x, mask, *, rate):
    """As in flax."""
    return jax.numpy.where(mask, x / (1 - rate), 0)


dropout = Operation(
    name="dropout",
    kind="layer",
    summary="y = m x / (1 - rate)",
    inputs=("x", "mask"),
    hypers={
        "rate": HyperSpec(
            default=0.5, low=0.0, high=BELOW_ONE, typical=(0.1, 0.25), meaning="the share that is dropped"
        ),
    },
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    integers={"mask": zero_or_one},
    separable=elementwise,
    mistakes=(
        Mistake("scale_forgotten", "np.where(kept, dy / (1 - rate), 0), None", "np.where(kept, dy, 0), None",
                "1 / (1 - rate) forgotten on the way back"),
        Mistake("mask_forgotten", "np.where(kept, dy / (1 - rate), 0), None", "dy / (1 - rate), None",
                "the gradient passes through what was dropped"),
        Mistake("scaled_by_rate", "np.where(kept, x / (1 - rate), 0), kept", "np.where(kept, x / rate, 0), kept",
                "divided by the share that is dropped: right for 1/2 alone"),
    ),
)
