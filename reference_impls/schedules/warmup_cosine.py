"""Linear warm-up, then half a cosine down, then constant.

With k = t - 1 updates made, t = 1, 2, ...:

    k < warmup            lr (start + (1 - start) k / warmup)
    then                  lr (end + (1 - end) (1 + cos(π min(k - warmup, decay) / decay)) / 2)

So the first update has the rate start lr (none at all for start = 0), update warmup + 1 the full one, and from update
warmup + decay + 1 on it is end lr. Torch's own cosine would rise again after that, so the card goes on with a constant.
Torch computes each rate from the one before, in double precision; optax from the count, in the network's.
Loshchilov, Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR 2017, equation 5; the warm-up is that of
Goyal et al., Accurate, Large Minibatch SGD, arXiv:1706.02677 (2017), section 2.2.
"""

import sys

from harness.errors import NotSupportedError
from harness.schedule_spec import RateVariant, Schedule, cos_pi
from harness.spec import HyperSpec, Mistake


def numpy_rate(lr, t, *, warmup, decay, start, end):
    """The two lines above."""
    k = t - 1
    if k < warmup:
        return lr * (start + (1 - start) * k / warmup)
    return lr * (end + (1 - end) * (1 + cos_pi(min(k - warmup, decay), decay, lr)) / 2)


def rate_as_optax(lr, t, *, warmup, decay, start, end):
    """From the other end: by what is left of the line, and with the last rate as a part of the full one."""
    k = t - 1
    if k < warmup:
        return lr + (lr * start - lr) * (warmup - k) / warmup
    part = end * lr / lr if lr != 0 else end
    fallen = cos_pi(min(k - warmup, decay), decay, lr)
    return lr * ((1 - part) * ((1 + fallen) / 2) + part)


def rate_as_torch(lr, t, *, warmup, decay, start, end):
    """Each rate from the one before."""
    k = t - 1
    if k < warmup and start == 0:
        return numpy_rate(lr, t, warmup=warmup, decay=decay, start=start, end=end)
    if k < warmup:
        rate = lr * start
        for step in range(1, k + 1):
            rate = rate * (1 + (1 - start) / (warmup * start + (step - 1) * (1 - start)))
        return rate
    if k >= warmup + decay:
        return lr * end
    rate, low = lr, end * lr
    for step in range(1, k - warmup + 1):
        now, before = (1 + cos_pi(one, decay, lr) for one in (step, step - 1))
        rate = now / before * (rate - low) + low
    return rate


def torch_scheduler(torch, optimizer, *, warmup, decay, start, end):
    """Torch's own, one after the other."""
    schedulers, lr = torch.optim.lr_scheduler, optimizer.param_groups[0]["lr"]
    if warmup and start == 0:
        raise NotSupportedError("torch's LinearLR needs a first factor above 0")
    linear = [schedulers.LinearLR(optimizer, start_factor=start, total_iters=warmup)] if warmup else []
    cosine = schedulers.CosineAnnealingLR(optimizer, T_max=decay, eta_min=end * lr)
    constant = schedulers.ConstantLR(optimizer, factor=end, total_iters=sys.maxsize)
    milestones = [warmup, warmup + decay] if warmup else [decay]
    return schedulers.SequentialLR(optimizer, [*linear, cosine, constant], milestones)


def optax_schedule(optax, lr, *, warmup, decay, start, end):
    """Optax's own; its decay steps count the warm-up as well.

    The count is made no int32: that makes a float32 of the rate while it rises, in float64 networks too.
    """
    rate = optax.warmup_cosine_decay_schedule(start * lr, lr, warmup, warmup + decay, end * lr)
    return lambda count: rate(1.0 * count)


warmup_cosine = Schedule(
    name="warmup_cosine",
    summary="a line up to lr, half a cosine down to end lr",
    hypers={
        "warmup": HyperSpec(default=2, low=0, typical=(5,), meaning="updates before the full rate"),
        "decay": HyperSpec(default=4, low=1, typical=(10,), meaning="updates from the full rate to the last"),
        "start": HyperSpec(default=0.1, low=0.0, high=1.0, meaning="the first rate, as a part of lr"),
        "end": HyperSpec(default=0.0, low=0.0, high=1.0, typical=(0.1,), meaning="the last rate, as a part of lr"),
    },
    numpy_rate=numpy_rate,
    torch_scheduler=torch_scheduler,
    optax_schedule=optax_schedule,
    variants=(
        RateVariant(who="optax", numpy_rate=rate_as_optax),
        RateVariant(who="torch", numpy_rate=rate_as_torch, double=True),
    ),
    mistakes=(
        Mistake(
            "one_update_early", "(1 - start) * k / warmup", "(1 - start) * t / warmup",
            "the scheduler stepped before the optimizer",
        ),
        Mistake(
            "cosine_from_the_start",
            "cos_pi(min(k - warmup, decay), decay, lr)) / 2)",
            "cos_pi(min(k, decay), decay, lr)) / 2)",
            "the cosine counts the warm-up's updates as its own",
        ),
        Mistake(
            "rises_again", "(1 + cos_pi(min(k - warmup, decay), decay", "(1 + cos_pi(k - warmup, decay",
            "the cosine goes on after its half",
        ),
        Mistake("last_rate_added", "(end + (1 - end) *", "(end + 1 *", "the cosine starts above the full rate"),
    ),
)
