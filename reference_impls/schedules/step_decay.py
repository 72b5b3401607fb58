"""Step decay: the rate stays for a number of updates, then falls by a factor.

    rate of update t = lr factor^⌊k / every⌋         k = t - 1 updates have been made, t = 1, 2, ...

So updates 1 to `every` have the full rate: torch's scheduler is stepped after the optimizer, and optax counts from 0.
Torch multiplies the rate that it has by the factor, again and again.
"""

from harness.errors import NotSupportedError
from harness.schedule_spec import RateVariant, Schedule
from harness.spec import HyperSpec, Mistake


def numpy_rate(lr, t, *, every, factor):
    """The line above."""
    return lr * factor ** ((t - 1) // every)


def rate_as_torch(lr, t, *, every, factor):
    """Factor by factor."""
    for _ in range((t - 1) // every):
        lr = lr * factor
    return lr


def torch_scheduler(torch, optimizer, *, every, factor):
    """Torch's own."""
    return torch.optim.lr_scheduler.StepLR(optimizer, step_size=every, gamma=factor)


def optax_schedule(optax, lr, *, every, factor):
    """Optax's own, of a count that is no int32: that makes a float32 of the rate, in float64 networks too."""
    if factor == 0:
        raise NotSupportedError("optax.exponential_decay keeps the rate constant when the factor is 0")
    rate = optax.exponential_decay(lr, transition_steps=every, decay_rate=factor, staircase=True)
    return lambda count: rate(1.0 * count)


step_decay = Schedule(
    name="step_decay",
    summary="lr factor^⌊k / every⌋",
    hypers={
        "every": HyperSpec(default=2, low=1, typical=(3,), meaning="so many updates have the same rate"),
        "factor": HyperSpec(default=0.5, low=0.0, high=1.0, typical=(0.1,), meaning="what the rate falls by"),
    },
    numpy_rate=numpy_rate,
    torch_scheduler=torch_scheduler,
    optax_schedule=optax_schedule,
    variants=(RateVariant(who="torch", numpy_rate=rate_as_torch, double=True),),
    mistakes=(
        Mistake(
            "one_update_early", "factor ** ((t - 1) // every)", "factor ** (t // every)",
            "the scheduler stepped before the optimizer",
        ),
        Mistake(
            "no_stairs", "factor ** ((t - 1) // every)", "factor ** ((t - 1) / every)",
            "a smooth fall instead of stairs",
        ),
    ),
)
