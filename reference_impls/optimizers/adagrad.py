"""AdaGrad: the gradient over the root of the sum of all squared gradients so far.

    s ← s + g²                     starts at `initial`

    eps_place "outside"   w ← w - lr g / (√s + ε)                          torch, which starts at 0
              "inside"    w ← w - lr g / √(s + ε), 0 where s is 0          optax, which starts at 0.1

Duchi, Hazan, Singer, Adaptive Subgradient Methods for Online Learning and Stochastic Optimization, JMLR 12 (2011),
section 1.1; the paper's δ is the outer ε.
"""

import numpy as np

from harness.errors import NotSupportedError
from harness.spec import HyperSpec, Mistake, Optimizer


def numpy_init(w, *, initial, **others):
    """The sum starts at `initial`."""
    return {"s": np.zeros_like(w) + initial}


def numpy_update(w, g, state, t, *, lr, eps, eps_place, initial):
    """The lines above."""
    s = state["s"] + np.square(g)
    if eps_place == "outside":
        return w - lr * g / (np.sqrt(s) + eps), {"s": s}
    return w - lr * np.where(s > 0, g / np.sqrt(s + eps), 0), {"s": s}


def update_by_reciprocal(w, g, state, t, *, lr, eps, eps_place, initial):
    """The same step as optax has it: the root's reciprocal first."""
    s = g * g + state["s"]
    if eps_place == "outside":
        return w - lr * (g * (1 / (np.sqrt(s) + eps))), {"s": s}
    return w - lr * (g * np.where(s > 0, 1 / np.sqrt(s + eps), 0)), {"s": s}


def torch_optimizer(torch, params, *, lr, eps, eps_place, initial):
    """Torch's own."""
    if eps_place != "outside":
        raise NotSupportedError("torch.optim.Adagrad adds ε outside of the root")
    return torch.optim.Adagrad(params, lr=lr, initial_accumulator_value=initial, eps=eps)


def torch_state(state):
    """Torch's name for s."""
    return {"s": state["sum"]}


def optax_optimizer(optax, *, lr, eps, eps_place, initial):
    """Optax's own."""
    if eps_place != "inside":
        raise NotSupportedError("optax.adagrad adds ε inside of the root")
    return optax.adagrad(lr, initial_accumulator_value=initial, eps=eps)


def optax_state(state, name):
    """The first of the chained transformations is `scale_by_rss`; optax's name for s."""
    return {"s": state[0].sum_of_squares[name]}


adagrad = Optimizer(
    name="adagrad",
    summary="w - lr g / (√s + ε), with s the sum of g²",
    slots=("s",),
    hypers={
        "lr": HyperSpec(default=0.01, low=0.0, typical=(0.5,), meaning="learning rate"),
        "eps": HyperSpec(default=1e-7, low=0.0, meaning="ε"),
        "eps_place": HyperSpec(default="outside", choices=("outside", "inside"), meaning="of the root"),
        "initial": HyperSpec(default=0.0, low=0.0, typical=(0.1,), meaning="where the sum starts"),
    },
    numpy_init=numpy_init,
    numpy_update=numpy_update,
    torch_optimizer=torch_optimizer,
    torch_state=torch_state,
    optax_optimizer=optax_optimizer,
    optax_state=optax_state,
    variants=(update_by_reciprocal,),
    mistakes=(
        Mistake(
            "root_forgotten", "g / (np.sqrt(s) + eps), {", "g / (s + eps), {",
            "divided by the sum of squares itself",
        ),
        Mistake("square_forgotten", "np.square(g)", "np.abs(g)", "the sum of |g|"),
        Mistake(
            "sum_of_before", "g / (np.sqrt(s) + eps), {", 'g / (np.sqrt(state["s"]) + eps), {',
            "this step's g² left out",
        ),
        Mistake(
            "initial_forgotten", "np.zeros_like(w) + initial", "np.zeros_like(w)",
            "the sum starts at 0 all the same",
        ),
        Mistake(
            "eps_exchanged", "g / np.sqrt(s + eps)", "g / (np.sqrt(s) + eps)",
            "ε outside where it was asked inside",
        ),
    ),
)
