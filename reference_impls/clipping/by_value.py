"""Clipping by value: every element of every gradient limited to [-limit, limit].

    g ← min(max(g, -limit), limit)

Torch and optax agree. The direction of the gradient changes.
"""

import numpy as np

from harness.schedule_spec import Clipping
from harness.spec import HyperSpec, Mistake


def numpy_clip(grads, *, limit):
    """The line above."""
    return {name: np.clip(g, -limit, limit) for name, g in grads.items()}


def torch_clip(torch, params, *, limit):
    """Torch's own."""
    torch.nn.utils.clip_grad_value_(params, limit)


def optax_clip(optax, *, limit):
    """Optax's own."""
    return optax.clip(limit)


by_value = Clipping(
    name="by_value",
    summary="each element limited to [-limit, limit]",
    hypers={"limit": HyperSpec(default=1.0, low=0.0, typical=(0.1,), meaning="the largest magnitude")},
    numpy_clip=numpy_clip,
    torch_clip=torch_clip,
    optax_clip=optax_clip,
    mistakes=(
        Mistake(
            "from_above_alone", "np.clip(g, -limit, limit)", "np.minimum(g, limit)",
            "negative gradients not limited",
        ),
        Mistake(
            "to_the_limit", "np.clip(g, -limit, limit)", "limit * np.sign(g)",
            "every gradient as large as the limit",
        ),
    ),
)
