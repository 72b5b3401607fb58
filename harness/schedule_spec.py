"""What goes before an optimizer's rule, written once for every implementation: clipped gradients, scheduled rates.

Like `harness.spec.Optimizer`, these are plain data, and hold no formula of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.spec import HyperSpec, Mistake


@dataclass(frozen=True, kw_only=True)
class RateVariant:
    """Another correct formula of a schedule's ``numpy_rate``, as some library has it.

    `double`: it is plain Python, which computes in double precision whatever the dtype of the case.
    """

    who: str
    numpy_rate: Callable[..., Any]
    double: bool = False


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate of each update.

    - ``numpy_rate(lr, t, **h) -> rate``: the rate of update number t = 1, 2, ..., made from the optimizer's own;
    - ``torch_scheduler(torch, optimizer, **h)``: out of `torch.optim.lr_scheduler`, stepped after every
      ``optimizer.step()``;
    - ``optax_schedule(optax, lr, **h)``: optax's function of the count, which is 0 in the first update.

    A hyperparameter whose default is a whole number needs whole numbers. Otherwise as `harness.spec.Optimizer`.
    """

    name: str
    summary: str
    hypers: Mapping[str, HyperSpec] = field(default_factory=dict)
    numpy_rate: Callable[..., Any]
    torch_scheduler: Callable[..., Any] | None = None
    optax_schedule: Callable[..., Any] | None = None
    variants: tuple[RateVariant, ...] = ()
    mistakes: tuple[Mistake, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Clipping:
    """What is done to all gradients together before the optimizer sees them.

    - ``numpy_clip(grads, **h) -> grads``: by the parameter's name;
    - ``torch_clip(torch, params, **h)``: changes ``param.grad`` in place, out of `torch.nn.utils`;
    - ``optax_clip(optax, **h)``: the gradient transformation.

    Otherwise as `harness.spec.Optimizer`; `variants` are in the form of ``numpy_clip``. It has no comparison that makes
    it jump: choosers (``maximum minimum clip``) may go either way.
    """

    name: str
    summary: str
    hypers: Mapping[str, HyperSpec] = field(default_factory=dict)
    numpy_clip: Callable[..., dict[str, Any]]
    torch_clip: Callable[..., Any] | None = None
    optax_clip: Callable[..., Any] | None = None
    variants: tuple[Callable[..., dict[str, Any]], ...] = ()
    mistakes: tuple[Mistake, ...] = ()


def cos_pi(k: int, n: int, like: Any) -> Any:
    """cos(pi k / n) for whole numbers with 0 <= k <= n: as the kind of number that `like` is.

    >>> cos_pi(1, 2, 0.5) + 1
    1.0
    """
    return like._cos_pi(k, n) if hasattr(like, "_cos_pi") else math.cos(math.pi * k / n)


__all__ = ["Clipping", "RateVariant", "Schedule", "cos_pi"]
