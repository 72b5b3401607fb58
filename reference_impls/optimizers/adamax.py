"""AdaMax: Adam with the largest |g| of the recent past in the place of the root.

    m ← β₁ m + (1 - β₁) g          u ← max(β₂ u, |g| + ε)           both start at 0
    w ← w - lr / (1 - β₁ᵗ) m / u                                     t = 1, 2, ...; u needs no bias correction

The paper has no ε; both libraries add it to |g|, so that the first u is not 0. Continuous where the two of the maximum
are equal.
Kingma, Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, Algorithm 2.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Mistake, Optimizer

BELOW_ONE = math.nextafter(1.0, 0.0)


def numpy_init(w, **hypers):
    """Both start at 0."""
    return {"m": np.zeros_like(w), "u": np.zeros_like(w)}


def numpy_update(w, g, state, t, *, lr, beta1, beta2, eps):
    """Step t of Algorithm 2."""
    m = beta1 * state["m"] + (1 - beta1) * g
    u = np.maximum(beta2 * state["u"], np.abs(g) + eps)
    return w - lr / (1 - beta1**t) * m / u, {"m": m, "u": u}


def update_as_torch(w, g, state, t, *, lr, beta1, beta2, eps):
    """The same step with m by interpolation."""
    m = state["m"] + (1 - beta1) * (g - state["m"])
    u = np.maximum(beta2 * state["u"], np.abs(g) + eps)
    return w - lr / (1 - beta1**t) * (m / u), {"m": m, "u": u}


def torch_optimizer(torch, params, *, lr, beta1, beta2, eps):
    """Torch's own."""
    return torch.optim.Adamax(params, lr=lr, betas=(beta1, beta2), eps=eps)


def torch_state(state):
    """Torch's names for m and u."""
    return {"m": state["exp_avg"], "u": state["exp_inf"]}


def optax_optimizer(optax, *, lr, beta1, beta2, eps):
    """Optax's own."""
    return optax.adamax(lr, b1=beta1, b2=beta2, eps=eps)


def optax_state(state, name):
    """The first of the chained transformations is `scale_by_adamax`; optax's names for m and u."""
    return {"m": state[0].mu[name], "u": state[0].nu[name]}


adamax = Optimizer(
    name="adamax",
    summary="w - lr m̂ / u, with u the largest |g| of late",
    slots=("m", "u"),
    hypers={
        "lr": HyperSpec(default=2e-3, low=0.0, typical=(0.1,), meaning="learning rate"),
        "beta1": HyperSpec(default=0.9, low=0.0, high=BELOW_ONE, meaning="memory of the gradient"),
        "beta2": HyperSpec(default=0.999, low=0.0, high=BELOW_ONE, meaning="memory of the largest gradient"),
        "eps": HyperSpec(default=1e-8, low=0.0, meaning="ε, added to |g|"),
    },
    numpy_init=numpy_init,
    numpy_update=numpy_update,
    torch_optimizer=torch_optimizer,
    torch_state=torch_state,
    optax_optimizer=optax_optimizer,
    optax_state=optax_state,
    variants=(update_as_torch,),
    mistakes=(
        Mistake(
            "mean_instead_of_maximum", "m / u, {", 'm / (beta2 * state["u"] + (1 - beta2) * np.abs(g) + eps), {',
            "a running mean of |g|, as Adam's of g², where the maximum belongs",
        ),
        Mistake(
            "memory_does_not_fade",
            "return w - lr / (1 - beta1**t) * m / u",
            'u = np.maximum(state["u"], np.abs(g) + eps); return w - lr / (1 - beta1**t) * m / u',
            "AMSGrad's maximum: β₂ forgotten",
        ),
        Mistake(
            "maximum_corrected_too", "m / u, {", "m / (u / (1 - beta2**t)), {",
            "a bias correction that the maximum needs not",
        ),
        Mistake(
            "correction_off_by_one", "lr / (1 - beta1**t) * m / u", "lr / (1 - beta1 ** (t - 1 or 1)) * m / u",
            "the correction lags one step behind",
        ),
    ),
)
