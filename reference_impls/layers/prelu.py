"""Parametric ReLU: a leaky ReLU that learns its slope, one slope or one for each channel.

    shapes       x (n,), (batch, channels) or (batch, channels, ...)      a (1,) or (channels,); y as x
    forward      y  = x where x > 0, else a x
    backward     dx = dy where x > 0, else a dy
                 da = sum of x dy where x <= 0, over everything that shares the slope

Channels lie along the second axis, as in torch; x of one axis has one channel.
Kink: x = 0, where any slope from a to 1 is a subgradient. NumPy and torch take a, jax takes 1: its condition is x >= 0.
da has no kink: where x = 0 it gets 0 from either side.
At x = inf jax's da is NaN, 0 times inf; the others' is not.
He, Zhang, Ren, Sun, Delving Deep into Rectifiers, ICCV 2015, section 2.1.
"""

import numpy as np

from harness.spec import Misfit, Mistake, Operation


def output_shape(inputs, params):
    """The shape of x."""
    x, a = inputs[0], params["a"]
    if not x:
        raise Misfit(f"needs x of at least one axis, got {x}")
    channels = x[1] if len(x) > 1 else 1
    if a not in ((1,), (channels,)):
        raise Misfit(f"needs a of shape (1,), or ({channels},) for the channels of x {x}, got {a}")
    return x


def param_shapes(inputs, size):
    """One slope for size 1, else one for each channel."""
    x = inputs[0]
    return {"a": (1,) if size == 1 or len(x) < 2 else (x[1],)}


def separable(axis):
    """Along the batch."""
    return axis == 0


def along_channels(a, x):
    """The slopes, shaped so that they meet the channels of x."""
    return a.reshape((-1,) + (1,) * (x.ndim - 2))


def numpy_forward(p, x):
    """Forward: y = x where x > 0, else a x."""
    alive = x > 0
    return np.where(alive, x, along_channels(p["a"], x) * x), (x, alive)


def numpy_backward(p, saved, dy):
    """Backward: dx = dy where alive, else a dy; da = sum of x dy over the rest."""
    x, alive = saved
    dx = np.where(alive, dy, along_channels(p["a"], x) * dy)
    da = np.where(alive, 0, x * dy)
    shared = tuple(axis for axis in range(x.ndim) if p["a"].shape == (1,) or axis != 1)
    return (dx,), {"a": np.sum(da, axis=shared).reshape(p["a"].shape)}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.PReLU`."""
    return torch.nn.functional.prelu(x, p["a"])


def jax_forward(jax, p, x):
    """A leaky ReLU with an array of slopes; slope 1 at 0."""
    return jax.nn.leaky_relu(x, along_channels(p["a"], x))


prelu = Operation(
    name="prelu",
    kind="layer",
    summary="y = x where x > 0, else a x, with a learned",
    inputs=("x",),
    params=("a",),
    summed_params=("a",),
    kinks=("x = 0",),
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    axes=(2, 1, 3, 4),
    param_shapes=param_shapes,
    separable=separable,
    mistakes=(
        Mistake(
            "slope_gradient_of_all", "da = np.where(alive, 0, x * dy)", "da = x * dy",
            "positive inputs counted in the slope's gradient, though they do not depend on it",
        ),
        Mistake(
            "slope_gradient_averaged", "np.sum(da, axis=shared)", "np.mean(da, axis=shared)",
            "the slope's gradient averaged over what shares the slope, instead of summed",
        ),
        Mistake(
            "gate_of_relu", 'dx = np.where(alive, dy, along_channels(p["a"], x) * dy)', "dx = np.where(alive, dy, 0)",
            "the backward pass of a plain ReLU: nothing passes below 0",
        ),
        Mistake(
            "slopes_along_last_axis", "a.reshape((-1,) + (1,) * (x.ndim - 2))", "a",
            "the slopes meet the last axis instead of the channels: with two axes it is the same",
        ),
    ),
)
