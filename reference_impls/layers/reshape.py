"""The same elements in another shape, the last axis running fastest: flatten, un-flatten.

    forward      y  = x in the given shape         -1 stands for the one size that makes the numbers of elements equal
    backward     dx = dy in the shape of x

No kinks: nothing is computed. NumPy, torch and jax read in the same order; Fortran's and MATLAB's has the first axis
running fastest.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation


def output_shape(inputs, params, *, shape):
    """The given shape, with the size that -1 stands for."""
    size = math.prod(inputs[0])
    known = math.prod(one for one in shape if one != -1)
    if any(one < -1 for one in shape) or shape.count(-1) > 1:
        raise Misfit(f"needs a shape of sizes, -1 at most once among them, got {shape}")
    if (known != size) if -1 not in shape else (known == 0 or size % known != 0):
        raise Misfit(f"needs a shape for {size} elements, got {shape}, because x is {inputs[0]}")
    return tuple(size // known if one == -1 else one for one in shape)


def numpy_forward(p, x, *, shape):
    """Forward: y = x in the given shape."""
    return np.reshape(x, shape), x.shape


def numpy_backward(p, before, dy, *, shape):
    """Backward: dx = dy in the shape of x."""
    return (np.reshape(dy, before),), {}


def torch_forward(torch, p, x, *, shape):
    """A view of x."""
    return torch.reshape(x, shape)


def jax_forward(jax, p, x, *, shape):
    """As in NumPy."""
    return jax.numpy.reshape(x, shape)


FLAT = ((-1,), (1, -1), (2, -1), (3, -1), (-1, 1), (-1, 2), (-1, 3))
DEEP = ((1, 1, -1), (2, 1, -1), (-1, 2, 2), (3, -1, 2), (-1, 1, 2, 2), (2, -1, 1, 3))

reshape = Operation(
    name="reshape",
    kind="layer",
    summary="y = x in another shape",
    inputs=("x",),
    hypers={"shape": HyperSpec(typical=FLAT + DEEP, meaning="the shape of y; -1 for what remains")},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    axes=(2, 3, 4, 1),
    mistakes=(
        Mistake("first_axis_fastest", "np.reshape(x, shape), x.shape", 'np.reshape(x, shape, order="F"), x.shape',
                "read in the order of Fortran and MATLAB"),
        Mistake("transposed", "return (np.reshape(dy, before),), {}", "return (np.reshape(dy.T, before),), {}",
                "the gradient read with the first axis running fastest"),
    ),
)
