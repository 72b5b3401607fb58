"""Gradient descent; stochastic when the batch is a sample of the data.

    w ← w - lr g

No state.
Robbins, Monro, A Stochastic Approximation Method, Ann. Math. Statist. 22 (1951).
"""

from harness.spec import HyperSpec, Mistake, Optimizer


def numpy_init(w):
    """Nothing to remember."""
    return {}


def numpy_update(w, g, state, t, *, lr):
    """The line above."""
    return w - lr * g, {}


def torch_optimizer(torch, params, *, lr):
    """Torch's own."""
    return torch.optim.SGD(params, lr=lr)


def torch_state(state):
    """Torch keeps nothing without momentum."""
    return {}


def optax_optimizer(optax, *, lr):
    """Optax's own."""
    return optax.sgd(lr)


def optax_state(state, name):
    """Optax keeps nothing without momentum."""
    return {}


sgd = Optimizer(
    name="sgd",
    summary="w - lr g",
    hypers={"lr": HyperSpec(low=0.0, typical=(0.5, 0.1), meaning="learning rate")},
    numpy_init=numpy_init,
    numpy_update=numpy_update,
    torch_optimizer=torch_optimizer,
    torch_state=torch_state,
    optax_optimizer=optax_optimizer,
    optax_state=optax_state,
    mistakes=(
        Mistake("uphill", "w - lr * g", "w + lr * g", "a step along the gradient"),
    ),
)
