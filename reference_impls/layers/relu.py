"""Rectified linear unit.

    forward      y  = max(x, 0)                    x, y of any shape
    backward     dx = dy where x > 0, else 0

Kink: x = 0, where any slope from 0 to 1 is a subgradient. All three implementations take 0.
NaN stays NaN, in all three (`np.where(x > 0, x, 0)` would hide it). On the way back torch lets dy through there, NumPy
and jax do not; neither is right or wrong, and the verdict is `undecided`.
Nair, Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines, ICML 2010.
"""

import numpy as np

from harness.spec import Mistake, Operation, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = max(x, 0); which units are alive is decided here, once."""
    alive = x > 0
    return np.maximum(x, 0), alive


def numpy_backward(p, alive, dy):
    """Backward: dx = dy where alive, else 0."""
    return (np.where(alive, dy, 0),), {}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.ReLU`."""
    return torch.relu(x)


def jax_forward(jax, p, x):
    """Slope 0 at 0 by a custom rule; `jnp.maximum(x, 0)` would take 1/2 there."""
    return jax.nn.relu(x)


relu = Operation(
    name="relu",
    kind="layer",
    summary="y = max(x, 0)",
    inputs=("x",),
    kinks=("x = 0",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    range="nonnegative",
    separable=elementwise,
    mistakes=(
        Mistake(
            "gate_forgotten", "return (np.where(alive, dy, 0),), {}", "return (dy,), {}",
            "the gradient passes through dead units",
        ),
        Mistake(
            "gate_inverted", "return (np.where(alive, dy, 0),), {}", "return (np.where(alive, 0, dy),), {}",
            "dead and living units exchanged",
        ),
        Mistake(
            "gate_as_value", "return np.maximum(x, 0), alive", "return np.maximum(x, 0), np.maximum(x, 0) > 1",
            "the gate opens at 1 instead of 0",
        ),
    ),
)
