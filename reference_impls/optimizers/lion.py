"""Lion: the sign of a mean of the gradient; every parameter moves by the same length.

    c = β₁ m + (1 - β₁) g          what is followed
    m ← β₂ m + (1 - β₂) g          what is remembered; starts at 0
    w ← w - lr (sign c + λ w)      decoupled weight decay

The step jumps at c = 0, where it is 0: next to it rounding decides the whole step, and either side is right.
Torch has no Lion. Optax's default for λ is 0.001.
Chen et al., Symbolic Discovery of Optimization Algorithms, NeurIPS 2023, Algorithm 2.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Mistake, Optimizer

BELOW_ONE = math.nextafter(1.0, 0.0)


def numpy_init(w, **hypers):
    """The mean starts at 0."""
    return {"m": np.zeros_like(w)}


def numpy_update(w, g, state, t, *, lr, beta1, beta2, weight_decay):
    """One step of Algorithm 2."""
    c = beta1 * state["m"] + (1 - beta1) * g
    m = beta2 * state["m"] + (1 - beta2) * g
    return w - lr * (np.sign(c) + weight_decay * w), {"m": m}


def optax_optimizer(optax, *, lr, beta1, beta2, weight_decay):
    """Optax's own."""
    return optax.lion(lr, b1=beta1, b2=beta2, weight_decay=weight_decay)


def optax_state(state, name):
    """The first of the chained transformations is `scale_by_lion`; optax's name for m."""
    return {"m": state[0].mu[name]}


lion = Optimizer(
    name="lion",
    summary="w - lr (sign c + λ w)",
    slots=("m",),
    hypers={
        "lr": HyperSpec(default=1e-4, low=0.0, typical=(0.1,), meaning="learning rate"),
        "beta1": HyperSpec(default=0.9, low=0.0, high=BELOW_ONE, typical=(0.5,), meaning="weight of m in the step"),
        "beta2": HyperSpec(default=0.99, low=0.0, high=BELOW_ONE, meaning="memory of the gradient"),
        "weight_decay": HyperSpec(default=0.0, low=0.0, typical=(0.01,), meaning="λ"),
    },
    numpy_init=numpy_init,
    numpy_update=numpy_update,
    optax_optimizer=optax_optimizer,
    optax_state=optax_state,
    mistakes=(
        Mistake("sign_forgotten", "np.sign(c)", "c", "a step along the mean itself"),
        Mistake("sign_of_memory", "np.sign(c)", "np.sign(m)", "what is remembered followed, and not what β₁ weighs"),
        Mistake(
            "betas_exchanged", "c = beta1 *", "beta1, beta2 = beta2, beta1; c = beta1 *",
            "β₂ in the step, β₁ in the memory",
        ),
        Mistake(
            "decay_inside_sign", "np.sign(c) + weight_decay * w", "np.sign(c + weight_decay * w)",
            "the decay coupled to the sign",
        ),
    ),
)
