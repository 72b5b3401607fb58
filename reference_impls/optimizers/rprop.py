"""Rprop: steps whose length depends on the gradient's sign alone, longer as long as it stays, shorter when it turns.

    c = sign(g g'), with g' the gradient of the step before, 0 at first
    s ← s η₊ where c > 0, s η₋ where c < 0, then limited to [low, high]          s starts at lr
    g ← 0 where c < 0              the step after a turn neither moves w nor counts as a turn
    w ← w - s sign(g)

The step jumps where g g' is 0 and where g is. Torch follows this. Optax 0.2.8 applies every step one update late (its
pull request 1725 says so too), so its column is not implemented.
Riedmiller, Braun, A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm, ICNN 1993; without
its step back after a turn, as here: Igel, Hüsken, Improving the Rprop Learning Algorithm, NC 2000, iRprop-.
"""

import numpy as np

from harness.errors import NotSupportedError
from harness.spec import HyperSpec, Mistake, Optimizer


def numpy_init(w, *, lr, **others):
    """No gradient before, and first steps of lr."""
    return {"g": np.zeros_like(w), "s": np.zeros_like(w) + lr}


def numpy_update(w, g, state, t, *, lr, eta_minus, eta_plus, low, high):
    """The lines above."""
    c = np.sign(g * state["g"])
    stays, turns = c > 0, c < 0
    s = np.where(stays, state["s"] * eta_plus, np.where(turns, state["s"] * eta_minus, state["s"]))
    s = np.clip(s, low, high)
    g = np.where(turns, 0, g)
    return w - s * np.sign(g), {"g": g, "s": s}


def torch_optimizer(torch, params, *, lr, eta_minus, eta_plus, low, high):
    """Torch's own."""
    return torch.optim.Rprop(params, lr=lr, etas=(eta_minus, eta_plus), step_sizes=(low, high))


def torch_state(state):
    """Torch's names for the gradient before and s."""
    return {"g": state["prev"], "s": state["step_size"]}


def optax_optimizer(optax, *, lr, eta_minus, eta_plus, low, high):
    """None that does the same."""
    raise NotSupportedError("optax.rprop applies every step one update late (google-deepmind/optax pull request 1725)")


def optax_state(state, name):
    """Optax keeps the step before instead of the gradient; its name for s."""
    return {"s": state[0].step_sizes[name]}


rprop = Optimizer(
    name="rprop",
    summary="w - s sign(g), with s by how often the sign has stayed",
    slots=("g", "s"),
    rate="",
    hypers={
        "lr": HyperSpec(default=0.01, low=0.0, typical=(0.1,), meaning="the first step's length"),
        "eta_minus": HyperSpec(default=0.5, low=0.01, high=0.99, meaning="η₋, after a turn"),
        "eta_plus": HyperSpec(default=1.2, low=1.01, meaning="η₊, without a turn"),
        "low": HyperSpec(default=1e-6, low=0.0, meaning="the shortest step"),
        "high": HyperSpec(default=50.0, low=0.0, typical=(0.011,), meaning="the longest step"),
    },
    numpy_init=numpy_init,
    numpy_update=numpy_update,
    torch_optimizer=torch_optimizer,
    torch_state=torch_state,
    optax_optimizer=optax_optimizer,
    optax_state=optax_state,
    mistakes=(
        Mistake(
            "turn_remembered", "g = np.where(turns, 0, g)", "g = g",
            "w moves after a turn, and the next step counts it again",
        ),
        Mistake(
            "etas_exchanged", "stays, turns = c > 0, c < 0", "turns, stays = c > 0, c < 0",
            "longer after a turn, shorter without one",
        ),
        Mistake("length_of_gradient", "s * np.sign(g)", "s * g", "a step along the gradient instead of its sign"),
        Mistake("limits_forgotten", "s = np.clip(s, low, high)", "s = s", "steps without a limit"),
    ),
)
