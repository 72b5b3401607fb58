"""Hard sigmoid: a sigmoid of three straight lines.

    forward      y  = min(max(x + 3, 0), 6) / 6              x, y of any shape
    backward     dx = dy / 6 where 0 < x + 3 < 6, else 0

Kinks: x = -3 and x = 3, where any slope from 0 to 1/6 is a subgradient. All three implementations take 0.
Other definitions go by this name: Keras 2 has clip(0.2 x + 0.5, 0, 1), BinaryConnect clip((x + 1) / 2, 0, 1).
`torch.nn.functional.hardsigmoid` (2.13) is not what torch runs here: it multiplies by float32's 1/6 on the way back,
whatever the dtype, so in float64 its gradient has only 7 right digits.
It reaches 0 and 1, so it makes no probabilities for a cross-entropy, which is infinite there.
Howard et al., Searching for MobileNetV3, ICCV 2019, section 5.2.
"""

import numpy as np

from harness.spec import Mistake, Operation, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = min(max(z, 0), 6) / 6 with z = x + 3."""
    z = x + 3
    inside = (z > 0) & (z < 6)
    return np.clip(z, 0, 6) / 6, inside


def numpy_backward(p, inside, dy):
    """Backward: dx = dy / 6 inside, else 0."""
    return (np.where(inside, dy / 6, 0),), {}


def torch_forward(torch, p, x):
    """By its ReLU6, whose gradient is right in float64 too."""
    return torch.nn.functional.relu6(x + 3) / 6


def jax_forward(jax, p, x):
    """It is relu6(x + 3) / 6."""
    return jax.nn.hard_sigmoid(x)


hard_sigmoid = Operation(
    name="hard_sigmoid",
    kind="layer",
    summary="y = min(max(x + 3, 0), 6) / 6",
    inputs=("x",),
    kinks=("x = -3", "x = 3"),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    range="nonnegative",
    separable=elementwise,
    mistakes=(
        Mistake(
            "gate_forgotten", "np.where(inside, dy / 6, 0)", "dy / 6",
            "the slope 1/6 beyond the ends as well",
        ),
        Mistake(
            "slope_forgotten", "np.where(inside, dy / 6, 0)", "np.where(inside, dy, 0)",
            "ReLU6's slope 1 instead of 1/6",
        ),
        Mistake(
            "slope_of_keras", "np.where(inside, dy / 6, 0)", "np.where(inside, dy * 0.2, 0)",
            "the slope 0.2 of another library's hard sigmoid",
        ),
        Mistake(
            "gate_of_input", "inside = (z > 0) & (z < 6)", "inside = (x > 0) & (x < 6)",
            "the gate on x instead of x + 3",
        ),
    ),
)
