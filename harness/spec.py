"""What a card is: one operation, or one optimizer, written once for every implementation.

A card is plain data: a name, what it accepts, and the functions that compute it. It holds no state and
knows no network. The functions receive the framework as an argument, so importing a card imports neither
torch nor jax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Hyper = bool | int | float | str | tuple[int, ...]
"""A hyperparameter: a number, a name, or several whole numbers (a shape, an order of axes)."""
Kind = Literal["layer", "loss", "penalty"]
Domain = Literal["real", "nonnegative", "positive", "probability"]
"""What numbers something may hold: any, at least 0, above 0, from 0 to 1."""


class Misfit(ValueError):  # noqa: N818 - it is raised by cards and caught by the case, which adds where
    """A card's word that shapes or hyperparameters do not fit it: what is needed, what came, why."""


@dataclass(frozen=True, kw_only=True)
class HyperSpec:
    """One hyperparameter of a card: its default, and what is legal.

    `choices` lists the legal values; for numbers `low` and `high` are inclusive limits instead. Where all values that
    are named here are whole, only whole numbers are legal. `default=None` means that a case has to state it. `typical`
    are numbers that generated cases try beside the default and the limits; a hyperparameter that decides on shapes has
    `choices`, or `typical` whole numbers.
    """

    default: Hyper | None = None
    choices: tuple[Hyper, ...] = ()
    low: float | None = None
    high: float | None = None
    typical: tuple[Hyper, ...] = ()
    meaning: str = ""

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are legal."""
        named = (self.default, *self.typical, *self.choices)
        return {type(value) for value in named if value is not None} == {int}

    def check(self, value: Hyper) -> None:
        """Raise `Misfit` unless `value` is legal.

        >>> HyperSpec(low=0.0, meaning="learning rate").check(-1.0)
        Traceback (most recent call last):
            ...
        harness.spec.Misfit: needs a number of at least 0.0, got -1.0
        """
        if self.whole and type(value) is not int:
            raise Misfit(f"needs a whole number, got {value!r}")
        if self.choices:
            if value not in self.choices:
                legal = ", ".join(repr(choice) for choice in self.choices)
                raise Misfit(f"needs one of {legal}, got {value!r}")
            return
        if isinstance(self.default, tuple) or (self.typical and isinstance(self.typical[0], tuple)):
            if not isinstance(value, tuple) or not all(type(one) is int for one in value):
                raise Misfit(f"needs a list of whole numbers, got {value!r}")
            return
        if isinstance(value, bool | str | tuple):
            raise Misfit(f"needs a number, got {value!r}")
        if np.isnan(value):
            raise Misfit("needs a number, got nan")
        if self.low is not None and value < self.low:
            raise Misfit(f"needs a number of at least {self.low!r}, got {value!r}")
        if self.high is not None and value > self.high:
            raise Misfit(f"needs a number of at most {self.high!r}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Another correct way of computing an operation, as some library does it.

    Frameworks use other formulas than a card's, and round otherwise. A variant is held to nothing and compared with
    nothing: it widens the rounding bound to the envelope of all formulas. It has a forward pass, or a backward
    pass that takes what the card's own forward saved, in the card's calling conventions.

    Where a framework's line uses an input several times (x - tanh(x)), the gradient comes in as many parts, and those
    are added to the parts of other uses in any order: one may swallow digits of another. Then `numpy_backward` gives,
    in place of that input's gradient, a tuple of its parts; or the card says only how many there are, by `parts`.
    """

    who: str
    numpy_forward: Callable[..., tuple[Any, Any]] | None = None
    numpy_backward: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]] | None = None


@dataclass(frozen=True)
class Mistake:
    """A mistake that people make in an operation or optimizer, as a change of its source.

    `old` is text that stands exactly once in the functions of the card's module, on one line, and `new` what stands
    there instead. `story` says which mistake it is, in the words of somebody who has just found it.
    """

    name: str
    old: str
    new: str
    story: str


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of a network: a layer, a loss, or a penalty on a parameter.

    The functions, with `p` the parameters by role and `h` the hyperparameters as keywords:

    - ``numpy_forward(p, *inputs, **h) -> (y, saved)``: the value, and what the backward pass needs;
    - ``numpy_backward(p, saved, dy, **h) -> (dinputs, dparams)``: given dL/dy, a tuple with dL/dinput for
      every input (None where the operation has no derivative, as for a target) and dL/dparameter by role;
    - ``torch_forward(torch, p, *inputs, **h) -> y`` and ``jax_forward(jax, p, *inputs, **h) -> y``: the
      lines that a user of that framework would write.

    The NumPy forward is also what the exact values and the rounding bounds are computed from, over other
    kinds of number (see `harness.arrays`), so it keeps to their vocabulary.

    `output_shape(inputs, params, **h)` returns the value's shape, or raises `Misfit`.
    A loss returns a scalar, shape (). A penalty has no inputs and one parameter, role ``w``.
    `summed_params` are the roles whose gradient is a mere sum over the upstream gradient, as a bias's is: a compiler
    may fuse what makes the upstream gradient into that sum, and compute it anew there, rounding otherwise.
    `parts` says of inputs and parameters that a framework's line uses more than once (x - tanh(x)) how often it does:
    by role a number, or a function of the inputs' shapes. Their gradient comes in so many parts, which are added to
    those of other uses in any order.
    `kinks` says in words where the derivative is not unique, `bends` where it is but the second one is not.
    `variants` are formulas that the frameworks use instead.

    `integers` lists the inputs that hold whole numbers (indices, class labels): by role, the function
    ``(inputs, params, **h) -> (low, high)`` that says from which number to below which. They are int64 constants of a
    case, plain arrays whatever kind of number the rest is of, and have no derivative.
    `mistakes` are what people get wrong here, each planted to prove that it would be found.

    The rest helps `harness.generate` to make cases that fit, and may be left out:

    - ``axes``: how many axes the first input may have, the usual number first;
    - ``other_inputs(first) -> [shapes, ...]``: given the first input's shape, shapes that the others may have together,
      where they are not those of other nodes, or these transposed, or without an axis;

    - ``param_shapes(inputs, size, **h) -> {role: shape}``: parameters, optional ones too, that fit inputs of these
      shapes, where `size` is the wanted number of output features, or several such, or `Misfit`; without it, shapes are
      found by trying;
    - ``domains``: by input role, what numbers it may hold, or a function of the hyperparameters that says so; what is
      not listed may hold any;
    - ``range``: what the value holds, whatever the inputs are;
    - ``separable(axis, **h) -> bool``: with a sample at each place along `axis` of every input, whether each sample's
      value comes from that sample alone; for a loss, whether it is the sum of the samples' losses.
    """

    name: str
    kind: Kind
    summary: str
    inputs: tuple[str, ...]
    params: tuple[str, ...] = ()
    optional_params: tuple[str, ...] = ()
    summed_params: tuple[str, ...] = ()
    parts: Mapping[str, int | Callable[[Sequence[Shape]], int]] = field(default_factory=dict)
    hypers: Mapping[str, HyperSpec] = field(default_factory=dict)
    kinks: tuple[str, ...] = ()
    bends: tuple[str, ...] = ()
    output_shape: Callable[..., Shape]
    numpy_forward: Callable[..., tuple[Any, Any]]
    numpy_backward: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]
    torch_forward: Callable[..., Any] | None = None
    jax_forward: Callable[..., Any] | None = None
    variants: tuple[Variant, ...] = ()
    integers: Mapping[str, Callable[..., tuple[int, int]]] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()
    axes: tuple[int, ...] = (2,)
    other_inputs: Callable[[Shape], Sequence[tuple[Shape, ...]]] | None = None
    param_shapes: Callable[..., Mapping[str, Shape] | Sequence[Mapping[str, Shape]]] | None = None
    domains: Mapping[str, Domain | Callable[..., Domain]] = field(default_factory=dict)
    range: Domain = "real"
    separable: Callable[..., bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """One optimizer: the hand-written rule, and the two libraries' own.

    - ``numpy_init(w, **h) -> state``: the state of one parameter before the first step, slot name to array; which slots
      there are may depend on the hyperparameters;
    - ``numpy_update(w, g, state, t, **h) -> (w, state)``: step number t = 1, 2, ...;
    - ``torch_optimizer(torch, params, **h)``: an instance out of `torch.optim`;
    - ``torch_state(state) -> slots``: the slots in that optimizer's own state of one parameter;
    - ``optax_optimizer(optax, **h)``: the gradient transformation; a scheduled rate arrives as optax's function of the
      count;
    - ``optax_state(state, name) -> slots``: the slots of parameter `name` in its state.

    Where a library defines the update otherwise for some hyperparameters, ``torch_optimizer`` or ``optax_optimizer``
    raises `harness.errors.NotSupportedError` for those, and says in which way.

    `variants` are other correct orders of the same arithmetic, in the form of ``numpy_update``; they widen the rounding
    bound, as an `Operation`'s do. `mistakes` are as there.

    An update may jump, at a comparison or a sign. Where rounding leaves one undecided, each side is right for whoever
    took it. So the card makes one comparison for one decision, and its variants make the same ones in the same order.

    `rate` is the hyperparameter that a schedule changes; empty where there is none. `steps` is how many updates a
    generated case has to take at most to meet every line of the rule.

    The slots have the same names on all three sides; a slot that a library does not keep is left out.
    """

    name: str
    summary: str
    slots: tuple[str, ...] = ()
    hypers: Mapping[str, HyperSpec] = field(default_factory=dict)
    rate: str = "lr"
    steps: int = 3
    numpy_init: Callable[..., dict[str, Any]]
    numpy_update: Callable[..., tuple[Any, dict[str, Any]]]
    torch_optimizer: Callable[..., Any] | None = None
    torch_state: Callable[..., dict[str, Any]] | None = None
    optax_optimizer: Callable[..., Any] | None = None
    optax_state: Callable[..., dict[str, Any]] | None = None
    variants: tuple[Callable[..., tuple[Any, dict[str, Any]]], ...] = ()
    mistakes: tuple[Mistake, ...] = ()


def same_shape(inputs: Sequence[Shape]) -> Shape:
    """The shape that all inputs share; `Misfit` when they differ.

    >>> same_shape([(2, 3), (2, 3)])
    (2, 3)
    """
    if len(set(inputs)) != 1:
        raise Misfit(f"needs inputs of one shape, got {' and '.join(map(str, inputs))}")
    return inputs[0]


def elementwise(axis: int, **hypers: Hyper) -> bool:
    """The `separable` of an operation that takes each number by itself, or a sum of such: always."""
    return True


def complete_hypers(specs: Mapping[str, HyperSpec], given: Mapping[str, Hyper]) -> dict[str, Hyper]:
    """The given hyperparameters, checked, with the defaults filled in.

    >>> complete_hypers({"lr": HyperSpec(default=0.1, low=0.0)}, {})
    {'lr': 0.1}
    """
    unknown = sorted(set(given) - set(specs))
    if unknown:
        known = ", ".join(sorted(specs)) or "none"
        raise Misfit(f"has no hyperparameter {unknown[0]!r}; it has: {known}")
    complete: dict[str, Hyper] = {}
    for name, spec in specs.items():
        value = given.get(name, spec.default)
        if value is None:
            raise Misfit(f"needs the hyperparameter {name!r} ({spec.meaning or 'no default'})")
        try:
            spec.check(value)
        except Misfit as misfit:
            raise Misfit(f"hyperparameter {name!r} {misfit}") from None
        complete[name] = value
    return complete
