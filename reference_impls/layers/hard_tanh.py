"""Hard tanh: a line between two ends.

    forward      y  = min(max(x, min_val), max_val)              x, y of any shape
    backward     dx = dy where min_val < x < max_val, else 0

Kinks: x = min_val and x = max_val, where any slope from 0 to 1 is a subgradient. NumPy and torch take 0,
`jax.nn.hard_tanh` takes 1 and `jax.numpy.clip` 1/2. (`torch.clamp` takes 1 in torch 2.13.)
`jax.nn.hard_tanh` has the ends -1 and 1 only; for others a jax user clips.
Collobert, Large Scale Machine Learning, PhD thesis 2004; documentation of `torch.nn.Hardtanh`.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, elementwise


def output_shape(inputs, params, *, min_val, max_val):
    """The shape of x."""
    if not min_val < max_val:
        raise Misfit(f"needs a min_val below max_val, got {min_val!r} and {max_val!r}")
    return inputs[0]


def numpy_forward(p, x, *, min_val, max_val):
    """Forward: y = min(max(x, min_val), max_val)."""
    inside = (x > min_val) & (x < max_val)
    return np.clip(x, min_val, max_val), inside


def numpy_backward(p, inside, dy, *, min_val, max_val):
    """Backward: dx = dy inside, else 0."""
    return (np.where(inside, dy, 0),), {}


def torch_forward(torch, p, x, *, min_val, max_val):
    """The functional form of `torch.nn.Hardtanh`."""
    return torch.nn.functional.hardtanh(x, min_val, max_val)


def jax_forward(jax, p, x, *, min_val, max_val):
    """The function of this name has the usual ends built in."""
    if (min_val, max_val) == (-1, 1):
        return jax.nn.hard_tanh(x)
    return jax.numpy.clip(x, min_val, max_val)


hard_tanh = Operation(
    name="hard_tanh",
    kind="layer",
    summary="y = min(max(x, min_val), max_val)",
    inputs=("x",),
    hypers={
        "min_val": HyperSpec(default=-1.0, typical=(-0.5, 0.0, -1 / 3), meaning="the lower end"),
        "max_val": HyperSpec(default=1.0, typical=(2.0, 0.1), meaning="the upper end"),
    },
    kinks=("x = min_val", "x = max_val"),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=elementwise,
    mistakes=(
        Mistake("gate_forgotten", "np.where(inside, dy, 0)", "dy", "the gradient passes beyond the ends"),
        Mistake(
            "gate_on_one_side", "inside = (x > min_val) & (x < max_val)", "inside = x > min_val",
            "the upper end forgotten, as if it were a ReLU",
        ),
        Mistake(
            "usual_ends_built_in", "inside = (x > min_val) & (x < max_val)", "inside = (x > -1) & (x < 1)",
            "the gate at -1 and 1, wherever the ends are",
        ),
        Mistake(
            "slope_of_tanh", "(np.where(inside, dy, 0),), {}", "(np.where(inside, dy * 0.75, 0),), {}",
            "a slope other than 1 between the ends",
        ),
    ),
)
