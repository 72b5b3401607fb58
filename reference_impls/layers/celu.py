"""Continuously differentiable exponential linear unit: an ELU whose alpha stretches x as well.

    forward      y  = x where x > 0, else a (exp(x / a) - 1)     x, y of any shape; a = alpha
    backward     dx = dy where x > 0, else dy exp(x / a)

No kink: at 0 the value is 0 and the slope 1 from both sides.
torch (2.13) rounds alpha to float32 on the way back, whatever the dtype: in float64 its gradient has only 7 right
digits, unless float32 holds alpha, as it holds 0.5 and 1.5 but not 0.3. That is a mismatch, and is called one.
Barron, Continuously Differentiable Exponential Linear Units, 2017, arXiv:1704.07483.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant, elementwise


def output_shape(inputs, params, *, alpha):
    """The shape of x."""
    if alpha == 0:
        raise Misfit("needs an alpha other than 0, got 0: x is divided by it")
    return inputs[0]


def numpy_forward(p, x, *, alpha):
    """Forward: y = x where x > 0, else a (exp(x / a) - 1)."""
    alive = x > 0
    below = np.where(alive, 0, x) / alpha
    return np.where(alive, x, alpha * np.expm1(below)), (alive, below)


def numpy_backward(p, saved, dy, *, alpha):
    """Backward: dx = dy where alive, else dy exp(x / a)."""
    alive, below = saved
    return (np.where(alive, dy, dy * np.exp(below)),), {}


def forward_by_reciprocal(p, x, *, alpha):
    """Forward: x / a as x times 1 / a, as torch does."""
    alive = x > 0
    below = np.where(alive, 0, x) * (1 / np.full_like(x, alpha))
    return np.where(alive, x, alpha * np.expm1(below)), (alive, below)


def backward_by_reciprocal(p, saved, dy, *, alpha):
    """Backward: dy (1 / a) a exp(x / a), as torch does; x / a has been rounded twice."""
    alive, below = saved
    inverse = 1 / np.full_like(dy, alpha)
    again = below * alpha * inverse
    return (np.where(alive, dy, dy * inverse * alpha * np.exp(again)),), {}


def backward_by_expm1(p, saved, dy, *, alpha):
    """Backward: dy a ((exp(x / a) - 1) + 1) / a, as jax differentiates its forward pass."""
    alive, below = saved
    return (np.where(alive, dy, dy * alpha * (np.expm1(below) + 1) / alpha),), {}


def torch_forward(torch, p, x, *, alpha):
    """The functional form of `torch.nn.CELU`."""
    return torch.nn.functional.celu(x, alpha)


def jax_forward(jax, p, x, *, alpha):
    """As in torch; it is max(x, 0) + a (exp(min(x, 0) / a) - 1), whose two halves at 0 add up to the slope 1."""
    return jax.nn.celu(x, alpha)


celu = Operation(
    name="celu",
    kind="layer",
    summary="y = x where x > 0, else a (exp(x / a) - 1)",
    inputs=("x",),
    hypers={"alpha": HyperSpec(default=1.0, low=0.0, typical=(0.5, 1.5, 3.0), meaning="-a is the limit far left")},
    bends=("x = 0",),
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="torch", numpy_forward=forward_by_reciprocal, numpy_backward=backward_by_reciprocal),
        Variant(who="jax", numpy_backward=backward_by_expm1),
    ),
    separable=elementwise,
    mistakes=(
        Mistake(
            "slope_of_elu", "dy * np.exp(below)),), {}", "dy * alpha * np.exp(below)),), {}",
            "ELU's factor a in the backward pass: here it cancels against the 1 / a inside",
        ),
        Mistake(
            "value_of_elu", "below = np.where(alive, 0, x) / alpha", "below = np.where(alive, 0, x)",
            "a (exp(x) - 1), which is ELU: x is not divided by a",
        ),
        Mistake(
            "value_as_slope", "dy * np.exp(below)),), {}", "dy * np.expm1(below)),), {}",
            "exp(x / a) - 1 taken for the derivative",
        ),
    ),
)
