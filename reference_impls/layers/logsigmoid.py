"""Logarithm of the logistic sigmoid, in one step, without overflow.

    forward      y  = -log(1 + exp(-x))            x, y of any shape
    backward     dx = dy / (1 + exp x)             because dy/dx = 1 - sigmoid(x) = sigmoid(-x)

No kinks, in this form. The other common form, min(x, 0) - log(1 + exp(-|x|)), which torch uses, has branches at 0 that
cancel. Far right, where exp x overflows, dx is 0; far left y = x.
Documentation of `torch.nn.LogSigmoid` and `jax.nn.log_sigmoid`.
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = -log(1 + exp(-x))."""
    return -np.logaddexp(0, -x), x


def numpy_backward(p, x, dy):
    """Backward: dx = dy / (1 + exp x)."""
    return (dy / (1 + np.exp(x)),), {}


def backward_by_exponential(p, x, dy):
    """Backward: exp(-x - log(1 + exp(-x))), which is how jax differentiates its softplus."""
    return (dy * np.exp(-x - np.logaddexp(0, -x)),), {}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.LogSigmoid`."""
    return torch.nn.functional.logsigmoid(x)


def jax_forward(jax, p, x):
    """-softplus(-x)."""
    return jax.nn.log_sigmoid(x)


logsigmoid = Operation(
    name="logsigmoid",
    kind="layer",
    summary="y = -log(1 + exp(-x))",
    inputs=("x",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_by_exponential),),
    separable=elementwise,
    mistakes=(
        Mistake(
            "slope_on_the_other_side", "dy / (1 + np.exp(x))", "dy / (1 + np.exp(-x))",
            "sigmoid(x), softplus's slope, instead of sigmoid(-x)",
        ),
        Mistake(
            "logarithm_of_sigmoid", "-np.logaddexp(0, -x)", "np.log(1 / (1 + np.exp(-x)))",
            "the logarithm of a sigmoid that has rounded to 1 or 0",
        ),
        Mistake(
            "slope_of_sigmoid", "dy / (1 + np.exp(x))", "dy * np.exp(x) / np.square(1 + np.exp(x))",
            "sigmoid' where the slope of its logarithm is meant",
        ),
    ),
)
