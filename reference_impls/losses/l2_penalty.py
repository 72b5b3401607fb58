"""L2 penalty on one parameter, also called weight decay or ridge.

    forward      L  = s/2 (sum of w²)              w of any shape, s the strength; L a scalar
    backward     dw = dL s w

No kinks.
Krogh, Hertz, A Simple Weight Decay Can Improve Generalization, NIPS 1991.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation


def output_shape(inputs, params, *, strength):
    """A scalar."""
    return ()


def numpy_forward(p, *, strength):
    """Forward: L = s/2 (sum of w²)."""
    return strength / 2 * np.sum(np.square(p["w"])), None


def numpy_backward(p, saved, dL, *, strength):
    """Backward: dw = dL s w."""
    return (), {"w": dL * (strength * p["w"])}


def torch_forward(torch, p, *, strength):
    """As on paper."""
    return strength / 2 * (p["w"] ** 2).sum()


def jax_forward(jax, p, *, strength):
    """As on paper."""
    return strength / 2 * (p["w"] ** 2).sum()


l2_penalty = Operation(
    name="l2_penalty",
    kind="penalty",
    summary="L = s/2 (sum of w²)",
    inputs=(),
    params=("w",),
    hypers={"strength": HyperSpec(low=0.0, typical=(0.5, 0.01), meaning="s")},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    mistakes=(
        Mistake(
            "without_half", 'dL * (strength * p["w"])', 'dL * (2 * strength * p["w"])', "λ‖w‖² where λ/2 ‖w‖² is meant",
        ),
        Mistake(
            "without_square", 'np.sum(np.square(p["w"]))', 'np.sum(np.abs(p["w"]))', "the sum of |w| in the loss",
        ),
    ),
)
