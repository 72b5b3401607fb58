"""Hard swish: x times its hard sigmoid.

    forward      y  = x min(max(x + 3, 0), 6) / 6            x, y of any shape
    backward     dx = dy (2 x + 3) / 6 where 0 < x + 3 < 6, dy beyond 3, 0 below -3

Kinks: x = -3, with slopes 0 and -1/2, and x = 3, with slopes 3/2 and 1. All three implementations take 0 and 1,
those of the straight sides. (Earlier versions of torch took -1/2 at -3.)
Howard et al., Searching for MobileNetV3, ICCV 2019, section 5.2.
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = x min(max(z, 0), 6) / 6 with z = x + 3."""
    z = x + 3
    above, inside = z > 0, (z > 0) & (z < 6)
    return x * np.clip(z, 0, 6) / 6, (x, above, inside)


def numpy_backward(p, saved, dy):
    """Backward: dx = dy (2 x + 3) / 6 inside, dy above that, 0 below."""
    x, above, inside = saved
    return (np.where(inside, dy * (2 * x + 3) / 6, np.where(above, dy, 0)),), {}


def backward_by_thirds(p, saved, dy):
    """Backward: dy (x / 3 + 1 / 2), as torch does; near -3 / 2 the two cancel."""
    x, above, inside = saved
    return (np.where(inside, dy * (x / 3 + 0.5), np.where(above, dy, 0)),), {}


def backward_by_product_rule(p, saved, dy):
    """Backward: dy min(max(x + 3, 0), 6) / 6 + dy x / 6, as jax multiplies it out; so dy 6 / 6 beyond 3."""
    x, above, inside = saved
    limited = np.where(inside, x + 3, np.where(above, np.full_like(x, 6.0), 0))
    return ((dy * limited / 6, np.where(inside, dy * x / 6, 0)),), {}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.Hardswish`."""
    return torch.nn.functional.hardswish(x)


def jax_forward(jax, p, x):
    """x times `jax.nn.hard_sigmoid`."""
    return jax.nn.hard_swish(x)


hard_swish = Operation(
    name="hard_swish",
    kind="layer",
    summary="y = x min(max(x + 3, 0), 6) / 6",
    inputs=("x",),
    kinks=("x = -3", "x = 3"),
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="torch", numpy_backward=backward_by_thirds),
        Variant(who="jax", numpy_backward=backward_by_product_rule),
    ),
    separable=elementwise,
    mistakes=(
        Mistake(
            "product_rule_first_half", "dy * (2 * x + 3) / 6", "dy * (x + 3) / 6",
            "dy times the hard sigmoid: the gate is not differentiated",
        ),
        Mistake(
            "gate_of_relu6", "np.where(inside, dy * (2 * x + 3) / 6, np.where(above, dy, 0))",
            "np.where(inside, dy * (2 * x + 3) / 6, 0)",
            "nothing passes beyond 3, as in a hard sigmoid: there the slope is 1",
        ),
        Mistake(
            "gate_forgotten", "np.where(inside, dy * (2 * x + 3) / 6, np.where(above, dy, 0))",
            "dy * (2 * x + 3) / 6", "the parabola's slope everywhere",
        ),
    ),
)
