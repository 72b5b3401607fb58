"""Soft shrinkage, or soft thresholding: x drawn toward 0 by lambda, and cut off there.

    forward      y  = x - l where x > l, x + l where x < -l, else 0       x, y of any shape; l = lambd
    backward     dx = dy where |x| > l, else 0

Kinks: x = l and x = -l, where any slope from 0 to 1 is a subgradient. NumPy and torch take 0; jax has no such function,
and what its users write splits the tie of `maximum`: 1/2.
It is the proximal operator of l |x|. Donoho, De-noising by Soft-Thresholding, IEEE Transactions on Information
Theory 41 (1995); documentation of `torch.nn.Softshrink`.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation, elementwise


def output_shape(inputs, params, *, lambd):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x, *, lambd):
    """Forward: y = x - l above l, x + l below -l, 0 between."""
    above = x > lambd
    between = ~above & (x >= -lambd)
    return np.where(above, x - lambd, np.where(between, 0, x + lambd)), between


def numpy_backward(p, between, dy, *, lambd):
    """Backward: dx = dy beyond l on either side, 0 between."""
    return (np.where(between, 0, dy),), {}


def torch_forward(torch, p, x, *, lambd):
    """The functional form of `torch.nn.Softshrink`."""
    return torch.nn.functional.softshrink(x, lambd)


def jax_forward(jax, p, x, *, lambd):
    """The usual composition."""
    return jax.numpy.sign(x) * jax.numpy.maximum(jax.numpy.abs(x) - lambd, 0)


softshrink = Operation(
    name="softshrink",
    kind="layer",
    summary="y = x - l above l, x + l below -l, 0 between",
    inputs=("x",),
    hypers={"lambd": HyperSpec(default=0.5, low=0.0, typical=(1.0, 0.1), meaning="how far x is drawn toward 0, l")},
    kinks=("x = lambd", "x = -lambd"),
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=elementwise,
    mistakes=(
        Mistake(
            "hard_shrinkage", "np.where(above, x - lambd, np.where(between, 0, x + lambd))", "np.where(between, 0, x)",
            "hard shrinkage: cut off, but not drawn toward 0",
        ),
        Mistake("gate_forgotten", "np.where(between, 0, dy)", "dy", "the gradient passes where y is 0"),
        Mistake(
            "one_sided", "between = ~above & (x >= -lambd)", "between = ~above",
            "what lies below -l is cut off too",
        ),
    ),
)
