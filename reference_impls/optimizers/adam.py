"""Adam: a running mean of the gradient over the root of a running mean of its square.

    g ← g + λ w                                                     weight decay: the gradient of λ/2 |w|²
    m ← β₁ m + (1 - β₁) g          v ← β₂ v + (1 - β₂) g²          both start at 0
    m̂ = m / (1 - β₁ᵗ)              v̂ = v / (1 - β₂ᵗ)              the bias correction, t = 1, 2, ...
    w ← w - lr m̂ / (√v̂ + ε)                                        ε outside the root

Torch and optax compute the same by other orders of operations: torch interpolates m + (1 - β₁)(g - m), and
divides √v by √(1 - β₂ᵗ). Decay that stays outside of the means is AdamW's.
Kingma, Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, Algorithm 1.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Mistake, Optimizer

BELOW_ONE = math.nextafter(1.0, 0.0)


def numpy_init(w, **hypers):
    """Both running means start at 0."""
    return {"m": np.zeros_like(w), "v": np.zeros_like(w)}


def numpy_update(w, g, state, t, *, lr, beta1, beta2, eps, weight_decay):
    """Step t of Algorithm 1."""
    g = g + weight_decay * w
    m = beta1 * state["m"] + (1 - beta1) * g
    v = beta2 * state["v"] + (1 - beta2) * np.square(g)
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(v_hat) + eps), {"m": m, "v": v}


def update_as_torch(w, g, state, t, *, lr, beta1, beta2, eps, weight_decay):
    """The same step in torch's order: m by interpolation, the corrections drawn out of the quotient."""
    g = g + w * weight_decay
    m = state["m"] + (1 - beta1) * (g - state["m"])
    v = beta2 * state["v"] + (1 - beta2) * g * g
    root = np.sqrt(v) / (1 - beta2**t) ** 0.5 + eps
    return w - lr / (1 - beta1**t) * (m / root), {"m": m, "v": v}


def torch_optimizer(torch, params, *, lr, beta1, beta2, eps, weight_decay):
    """Torch's own."""
    return torch.optim.Adam(params, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)


def torch_state(state):
    """Torch's names for m and v."""
    return {"m": state["exp_avg"], "v": state["exp_avg_sq"]}


def optax_optimizer(optax, *, lr, beta1, beta2, eps, weight_decay):
    """Optax's own, behind the decay, which it has no argument for."""
    adam = optax.adam(lr, b1=beta1, b2=beta2, eps=eps)
    return optax.chain(optax.add_decayed_weights(weight_decay), adam)


def optax_state(state, name):
    """Behind the decay's comes Adam's, and there `scale_by_adam`'s; optax's names for m and v."""
    return {"m": state[1][0].mu[name], "v": state[1][0].nu[name]}


adam = Optimizer(
    name="adam",
    summary="w - lr m̂ / (√v̂ + ε)",
    slots=("m", "v"),
    hypers={
        "lr": HyperSpec(default=1e-3, low=0.0, typical=(0.1,), meaning="learning rate"),
        "beta1": HyperSpec(default=0.9, low=0.0, high=BELOW_ONE, meaning="memory of the gradient"),
        "beta2": HyperSpec(default=0.999, low=0.0, high=BELOW_ONE, meaning="memory of the squared gradient"),
        "eps": HyperSpec(default=1e-8, low=0.0, meaning="ε, added to the root"),
        "weight_decay": HyperSpec(default=0.0, low=0.0, typical=(0.01,), meaning="λ"),
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
            "without_correction", "v_hat = v / (1 - beta2**t)", "v_hat = v",
            "the second moment's bias is not corrected",
        ),
        Mistake(
            "correction_off_by_one", "m_hat = m / (1 - beta1**t)", "m_hat = m / (1 - beta1 ** (t + 1))",
            "the steps counted from 1 where the correction counts from 0",
        ),
        Mistake("eps_inside_root", "np.sqrt(v_hat) + eps", "np.sqrt(v_hat + eps)", "ε inside the root"),
        Mistake("second_moment_without_square", "np.square(g)", "np.abs(g)", "v follows |g| instead of g²"),
        Mistake(
            "decay_decoupled", "g = g + weight_decay * w", "w = w - lr * weight_decay * w",
            "AdamW's decay, outside of the means, where the gradient's was asked for",
        ),
    ),
)
