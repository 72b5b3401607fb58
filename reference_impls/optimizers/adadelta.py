"""AdaDelta: a step in the units of the parameter, made from the steps before; no learning rate is needed.

    g ← g + λ w                                                     weight decay: the gradient of λ/2 |w|²
    s ← ρ s + (1 - ρ) g²           starts at 0
    d = g √(x + ε) / √(s + ε)      with x of the step before
    x ← ρ x + (1 - ρ) d²           starts at 0
    w ← w - lr d                   lr = 1 in the paper

Torch and optax agree.
Zeiler, ADADELTA: An Adaptive Learning Rate Method, arXiv:1212.5701 (2012), Algorithm 1.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Optimizer


def numpy_init(w, **hypers):
    """Both running means start at 0."""
    return {"s": np.zeros_like(w), "x": np.zeros_like(w)}


def numpy_update(w, g, state, t, *, lr, rho, eps, weight_decay):
    """One step of Algorithm 1."""
    g = g + weight_decay * w
    s = rho * state["s"] + (1 - rho) * np.square(g)
    d = g * (np.sqrt(state["x"] + eps) / np.sqrt(s + eps))
    x = rho * state["x"] + (1 - rho) * np.square(d)
    return w - lr * d, {"s": s, "x": x}


def update_as_torch(w, g, state, t, *, lr, rho, eps, weight_decay):
    """The same step with each square's factors in torch's order."""
    g = g + w * weight_decay
    s = rho * state["s"] + (1 - rho) * g * g
    d = np.sqrt(eps + state["x"]) / np.sqrt(eps + s) * g
    x = rho * state["x"] + (1 - rho) * d * d
    return w - lr * d, {"s": s, "x": x}


def torch_optimizer(torch, params, *, lr, rho, eps, weight_decay):
    """Torch's own."""
    return torch.optim.Adadelta(params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay)


def torch_state(state):
    """Torch's names for s and x."""
    return {"s": state["square_avg"], "x": state["acc_delta"]}


def optax_optimizer(optax, *, lr, rho, eps, weight_decay):
    """Optax's own."""
    return optax.adadelta(lr, rho=rho, eps=eps, weight_decay=weight_decay)


def optax_state(state, name):
    """Behind the decay's comes `scale_by_adadelta`'s; optax's names for s and x."""
    return {"s": state[1].e_g[name], "x": state[1].e_x[name]}


adadelta = Optimizer(
    name="adadelta",
    summary="w - lr g √(x + ε) / √(s + ε)",
    slots=("s", "x"),
    hypers={
        "lr": HyperSpec(default=1.0, low=0.0, typical=(0.1,), meaning="learning rate"),
        "rho": HyperSpec(default=0.9, low=0.0, high=1.0, meaning="ρ, memory of both means"),
        "eps": HyperSpec(default=1e-6, low=0.0, meaning="ε, inside both roots"),
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
            "eps_outside_roots",
            '(np.sqrt(state["x"] + eps) / np.sqrt(s + eps))',
            '((np.sqrt(state["x"]) + eps) / (np.sqrt(s) + eps))',
            "ε outside of the roots: the first steps are tiny",
        ),
        Mistake(
            "mean_of_steps_taken", "np.square(d)", "np.square(lr * d)",
            "the learning rate inside the mean of the steps",
        ),
        Mistake("mean_of_gradients_twice", "np.square(d)", "np.square(g)", "g² where the squared step belongs"),
        Mistake("step_of_before_forgotten", 'np.sqrt(state["x"] + eps)', "1", "RMSprop: no numerator"),
    ),
)
