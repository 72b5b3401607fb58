"""Identity: the linear activation of an output layer.

    forward      y  = x            x, y of any shape
    backward     dx = dy

No kinks.
"""

from harness.spec import Operation, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = x."""
    return x, None


def numpy_backward(p, saved, dy):
    """Backward: dx = dy."""
    return (dy,), {}


def torch_forward(torch, p, x):
    """Nothing to write: `torch.nn.Identity` returns its argument as well."""
    return x


def jax_forward(jax, p, x):
    """Nothing to write."""
    return x


identity = Operation(
    name="identity",
    kind="layer",
    summary="y = x",
    inputs=("x",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=elementwise,
)
