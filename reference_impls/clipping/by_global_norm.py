"""Clipping by the global norm: all gradients shrunk together, so that their common norm is at most the limit.

    n = √(sum of the squares of all elements of all gradients) + ε
    g ← g limit / max(n, limit)

    torch     ε = 10⁻⁶: gradients whose norm lies less than that below the limit shrink too
    optax     ε = 0

A squared norm that overflows makes every gradient 0, in both.
Pascanu, Mikolov, Bengio, On the difficulty of training recurrent neural networks, ICML 2013, Algorithm 1.
"""

import numpy as np

from harness.errors import NotSupportedError
from harness.schedule_spec import Clipping
from harness.spec import HyperSpec, Mistake


def numpy_clip(grads, *, limit, eps):
    """The lines above."""
    n = np.sqrt(sum(np.sum(np.square(g)) for g in grads.values())) + eps
    return {name: g * (limit / np.maximum(n, limit)) for name, g in grads.items()}


def clip_norm_of_norms(grads, *, limit, eps):
    """The same as torch has it: first every gradient's own norm."""
    norms = [np.sqrt(np.sum(g * g)) for g in grads.values()]
    factor = limit / np.maximum(sum(norm * norm for norm in norms) ** 0.5 + eps, limit)
    return {name: factor * g for name, g in grads.items()}


def clip_quotient_first(grads, *, limit, eps):
    """The same as optax has it: the gradient over the norm, times the limit."""
    n = sum(np.sum(g * g) for g in grads.values()) ** 0.5 + eps
    return {name: g / np.maximum(n, limit) * limit for name, g in grads.items()}


def torch_clip(torch, params, *, limit, eps):
    """Torch's own."""
    if eps != 1e-6:
        raise NotSupportedError("torch.nn.utils.clip_grad_norm_ adds 1e-6 to the norm")
    torch.nn.utils.clip_grad_norm_(params, limit)


def optax_clip(optax, *, limit, eps):
    """Optax's own."""
    if eps != 0:
        raise NotSupportedError("optax.clip_by_global_norm adds nothing to the norm")
    if limit == 0:
        raise NotSupportedError("optax.clip_by_global_norm divides by the norm, 0 / 0 where limit and gradients are 0")
    return optax.clip_by_global_norm(limit)


by_global_norm = Clipping(
    name="by_global_norm",
    summary="all shrunk by limit / max(n, limit), n their common norm",
    hypers={
        "limit": HyperSpec(default=1.0, low=0.0, typical=(0.1, 100.0), meaning="the largest norm"),
        "eps": HyperSpec(default=0.0, choices=(0.0, 1e-6), meaning="ε, added to the norm"),
    },
    numpy_clip=numpy_clip,
    torch_clip=torch_clip,
    optax_clip=optax_clip,
    variants=(clip_norm_of_norms, clip_quotient_first),
    mistakes=(
        Mistake(
            "each_by_its_own",
            "g * (limit / np.maximum(n, limit))",
            "g * (limit / np.maximum(np.sqrt(np.sum(np.square(g))) + eps, limit))",
            "every gradient clipped by its own norm",
        ),
        Mistake(
            "root_forgotten",
            "np.sqrt(sum(np.sum(np.square(g)) for g in grads.values()))",
            "sum(np.sum(np.square(g)) for g in grads.values())",
            "the squared norm compared with the limit",
        ),
        Mistake(
            "always_to_the_limit", "limit / np.maximum(n, limit)", "limit / n",
            "small gradients grown to the limit",
        ),
    ),
)
