"""RAdam: Adam that waits with its root until the variance of that is tame.

    m ← β₁ m + (1 - β₁) g          v ← β₂ v + (1 - β₂) g²          both start at 0
    m̂ = m / (1 - β₁ᵗ)              t = 1, 2, ...
    ρ∞ = 2 / (1 - β₂) - 1          ρ = ρ∞ - 2 t β₂ᵗ / (1 - β₂ᵗ)
    r² = (ρ - 4)(ρ - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρ)

    ρ > 5        w ← w - lr r m̂ / (√(v / (1 - β₂ᵗ)) + ε)           eps_place "corrected": optax
                 w ← w - lr r m̂ √(1 - β₂ᵗ) / (√v + ε)              "raw": torch
    otherwise    w ← w - lr m̂

The step jumps at ρ = 5. Formed in float32, ρ has few digits left: with β₂ = 0.999 its rounding reaches from the fifth
step's 4.997 to 5, and either side is right. The paper rectifies above 4, both libraries above 5.
Liu, Jiang, He, Chen, Liu, Gao, Han, On the Variance of the Adaptive Learning Rate and Beyond, ICLR 2020, Algorithm 2.
"""

import math

import numpy as np

from harness.errors import NotSupportedError
from harness.spec import HyperSpec, Mistake, Optimizer

BELOW_ONE = math.nextafter(1.0, 0.0)


def numpy_init(w, **hypers):
    """Both running means start at 0."""
    return {"m": np.zeros_like(w), "v": np.zeros_like(w)}


def numpy_update(w, g, state, t, *, lr, beta1, beta2, eps, eps_place):
    """Step t of Algorithm 2."""
    m = beta1 * state["m"] + (1 - beta1) * g
    v = beta2 * state["v"] + (1 - beta2) * np.square(g)
    return w - lr * m / (1 - beta1**t) * rectified(v, t, beta2, eps, eps_place), {"m": m, "v": v}


def rectified(v, t, beta2, eps, eps_place):
    """r over the root, or 1 where the variance is not tame yet."""
    limit = 2 / (1 - beta2) - 1
    rho = limit - 2 * t * beta2**t / (1 - beta2**t)
    if rho > 5:
        r = ((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)) ** 0.5
        if eps_place == "raw":
            return r * (1 - beta2**t) ** 0.5 / (np.sqrt(v) + eps)
        return r / (np.sqrt(v / (1 - beta2**t)) + eps)
    return 1


def update_by_interpolation(w, g, state, t, *, lr, beta1, beta2, eps, eps_place):
    """The same step with m as torch has it."""
    m = state["m"] + (1 - beta1) * (g - state["m"])
    v = beta2 * state["v"] + (1 - beta2) * g * g
    return w - (m / (1 - beta1**t) * lr) * rectified(v, t, beta2, eps, eps_place), {"m": m, "v": v}


def torch_optimizer(torch, params, *, lr, beta1, beta2, eps, eps_place):
    """Torch's own."""
    if eps_place != "raw" and eps > 0:
        raise NotSupportedError("torch.optim.RAdam adds ε to √v before the bias is corrected")
    return torch.optim.RAdam(params, lr=lr, betas=(beta1, beta2), eps=eps)


def torch_state(state):
    """Torch's names for m and v."""
    return {"m": state["exp_avg"], "v": state["exp_avg_sq"]}


def optax_optimizer(optax, *, lr, beta1, beta2, eps, eps_place):
    """Optax's own."""
    if eps_place != "corrected" and eps > 0:
        raise NotSupportedError("optax.radam adds ε after the bias of v is corrected")
    return optax.radam(lr, b1=beta1, b2=beta2, eps=eps)


def optax_state(state, name):
    """The first of the chained transformations is `scale_by_radam`; optax's names for m and v."""
    return {"m": state[0].mu[name], "v": state[0].nu[name]}


radam = Optimizer(
    name="radam",
    summary="w - lr r m̂ / (√v̂ + ε), or w - lr m̂ at first",
    slots=("m", "v"),
    steps=7,
    hypers={
        "lr": HyperSpec(default=1e-3, low=0.0, typical=(0.1,), meaning="learning rate"),
        "beta1": HyperSpec(default=0.9, low=0.0, high=BELOW_ONE, meaning="memory of the gradient"),
        "beta2": HyperSpec(default=0.999, low=0.0, high=BELOW_ONE, typical=(0.8,), meaning="memory of its square"),
        "eps": HyperSpec(default=1e-8, low=0.0, meaning="ε, added to the root"),
        "eps_place": HyperSpec(default="corrected", choices=("corrected", "raw"), meaning="the root it is added to"),
    },
    numpy_init=numpy_init,
    numpy_update=numpy_update,
    torch_optimizer=torch_optimizer,
    torch_state=torch_state,
    optax_optimizer=optax_optimizer,
    optax_state=optax_state,
    variants=(update_by_interpolation,),
    mistakes=(
        Mistake("papers_threshold", "if rho > 5:", "if rho > 4:", "the paper's 4 where both libraries have 5"),
        Mistake(
            "rectified_from_the_start", "return 1", "return 1 / (np.sqrt(v) + eps)",
            "the root without waiting for it",
        ),
        Mistake(
            "rho_without_limit", "(rho - 4) * (rho - 2) * limit", "(rho - 4) * (rho - 2) * rho",
            "r² with ρ for ρ∞",
        ),
        Mistake(
            "rectification_squared", "* (limit - 2) * rho)) ** 0.5", "* (limit - 2) * rho))",
            "r², the root forgotten",
        ),
    ),
)
