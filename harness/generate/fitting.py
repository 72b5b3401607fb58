"""What fits a card: found by asking the card itself, so that a new card needs no edit here.

A card says what it accepts by `output_shape`, which raises `Misfit`, and more with `param_shapes`, `domains` and
`separable` (see `harness.spec.Operation`). Everything that is drawn later is drawn from what was found to fit, so
nothing that is drawn has to be thrown away.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from harness.registry import Cards
from harness.spec import Domain, Hyper, HyperSpec, Misfit, Operation, Shape

WITHIN: Mapping[Domain, tuple[Domain, ...]] = {
    "real": ("real", "nonnegative", "positive", "probability"),
    "nonnegative": ("nonnegative", "positive", "probability"),
    "positive": ("positive",),
    "probability": ("probability",),
}
"""By domain, the domains that lie within it."""
NUMBERS = (1.0, 0.5, 2.0, 0.0)
"""What a number may be of which a card says nothing at all."""
MOST_PLACEMENTS = 64


@dataclass(frozen=True)
class Way:
    """One way to use a card: shapes of inputs and parameters, the hyperparameters that decide on them, the result."""

    inputs: tuple[Shape, ...]
    params: Mapping[str, Shape]
    hypers: Mapping[str, Hyper]
    output: Shape


def candidates(spec: HyperSpec) -> tuple[Hyper, ...]:
    """The values of a hyperparameter that are tried: the usual ones first, the edges of what is legal last.

    >>> candidates(HyperSpec(default=1e-3, low=0.0, typical=(0.1,)))
    (0.001, 0.1, 0.0)
    """
    if spec.choices:
        first = () if spec.default is None else (spec.default,)
        return tuple(dict.fromkeys((*first, *spec.choices)))
    known = [value for value in (spec.default, *spec.typical) if value is not None]
    edges = [limit for limit in (spec.low, spec.high) if limit is not None]
    return tuple(dict.fromkeys(value for value in (*(known or NUMBERS), *edges) if _legal(spec, value)))


def without_edges(spec: HyperSpec) -> HyperSpec:
    """The same for the generator, where it is known what is usual: without the edges of what is legal."""
    usual = spec.default is not None or spec.typical
    return replace(spec, low=None, high=None) if usual else spec


def input_domain(card: Operation, role: str, hypers: Mapping[str, Hyper]) -> Domain:
    """What the input of this role may hold."""
    says = card.domains.get(role, "real")
    return says(**hypers) if callable(says) else says


def narrowest(domains: Iterable[Domain]) -> Domain:
    """The domain that lies within all of these.

    >>> narrowest(["real", "probability", "nonnegative"]), narrowest([])
    ('probability', 'real')
    """
    found: Domain = "real"
    for domain in domains:
        if domain in WITHIN[found]:
            found = domain
    return found


@dataclass(frozen=True)
class Fitting:
    """The ways to use cards, remembered: the cards and the sizes are the same for every example of a strategy.

    With a `samples_axis`, only what treats the samples along it separately, and only shapes of `batch` samples.
    """

    cards: Cards
    sizes: tuple[int, ...]
    samples_axis: int | None = None
    _ways: dict[tuple[str, tuple[Shape, ...], int], list[Way]] = field(default_factory=dict, repr=False)
    _used: dict[tuple[str, tuple[Shape, ...], int], bool] = field(default_factory=dict, repr=False)

    def ways(self, card: Operation, inputs: tuple[Shape, ...], batch: int) -> list[Way]:
        """Every way to use a card on inputs of these shapes."""
        key = (card.name, inputs, batch)
        if key not in self._ways:
            self._ways[key] = list(self._found(card, inputs, batch))
        return self._ways[key]

    def placements(self, card: Operation, shapes: Sequence[Shape], batch: int) -> list[tuple[Shape, ...]]:
        """The shapes of inputs that a card can be used on, when the first input has one of these shapes."""
        if not card.inputs:
            return [()] if self.ways(card, (), batch) else []
        found: list[tuple[Shape, ...]] = []
        for first in dict.fromkeys(shapes):
            others = list(dict.fromkeys((first, *shapes, *_made_of(first))))
            rests: Iterable[tuple[Shape, ...]] = itertools.product(others, repeat=len(card.inputs) - 1)
            if card.other_inputs is not None:
                rests = dict.fromkeys((*card.other_inputs(first), *itertools.islice(rests, MOST_PLACEMENTS)))
            fitting = ((first, *rest) for rest in rests if self._usable(card, (first, *rest), batch))
            found += itertools.islice(fitting, MOST_PLACEMENTS)
        return found

    def _usable(self, card: Operation, inputs: tuple[Shape, ...], batch: int) -> bool:
        """Whether there is a way at all: of some cards there are a thousand, and one is found soon."""
        key = (card.name, inputs, batch)
        if key not in self._used:
            self._used[key] = any(True for _ in self._found(card, inputs, batch))
        return self._used[key]

    def _found(self, card: Operation, inputs: tuple[Shape, ...], batch: int) -> Iterator[Way]:
        axis = self.samples_axis
        if axis is not None and any(len(shape) <= axis or shape[axis] != batch for shape in inputs):
            return
        decisive = [name for name, spec in card.hypers.items() if _decides(spec)]
        fixed = {name: candidates(spec)[0] for name, spec in card.hypers.items() if candidates(spec)}
        for chosen in itertools.product(*(candidates(card.hypers[name]) for name in decisive)):
            hypers = fixed | dict(zip(decisive, chosen, strict=True))
            if axis is not None and not (card.separable is not None and card.separable(axis, **hypers)):
                continue
            seen: list[Mapping[str, Shape]] = []
            for size in self.sizes:
                for params in _params(card, inputs, size, hypers):
                    if params in seen:
                        continue
                    seen.append(params)
                    output = fits(card, inputs, params, hypers)
                    if output is not None:
                        yield Way(inputs, params, hypers, output)


def fits(
    card: Operation, inputs: Sequence[Shape], params: Mapping[str, Shape], hypers: Mapping[str, Hyper]
) -> Shape | None:
    """The value's shape, or None when the card does not accept these."""
    try:
        return tuple(card.output_shape(list(inputs), dict(params), **hypers))
    except Misfit:
        return None


def free_hypers(card: Operation, way: Way) -> dict[str, list[Hyper]]:
    """By hyperparameter that does not decide on shapes, the values that go with this way."""
    return {
        name: [
            value
            for value in candidates(spec)
            if fits(card, way.inputs, way.params, {**way.hypers, name: value}) == way.output
        ]
        for name, spec in card.hypers.items()
        if not _decides(spec)
    }


def _legal(spec: HyperSpec, value: Hyper) -> bool:
    try:
        spec.check(value)
    except Misfit:
        return False
    return True


def _decides(spec: HyperSpec) -> bool:
    """Whether a hyperparameter may decide on shapes: names and whole numbers may, alone or several."""
    return bool(spec.choices) or (bool(spec.typical) and all(isinstance(value, int | tuple) for value in spec.typical))


def _made_of(shape: Shape) -> list[Shape]:
    """Shapes that another input may have beside this one: transposed, or without an axis."""
    return [shape[::-1], *(shape[:axis] + shape[axis + 1 :] for axis in range(len(shape)))]


def _params(
    card: Operation, inputs: tuple[Shape, ...], size: int, hypers: Mapping[str, Hyper]
) -> list[Mapping[str, Shape]]:
    """Shapes of a card's parameters, with the optional ones where they fit too; none when nothing fits."""
    if card.param_shapes is not None:
        try:
            stated = card.param_shapes(list(inputs), size, **hypers)
        except Misfit:
            return []
        several: Sequence[Mapping[str, Shape]] = [stated] if isinstance(stated, Mapping) else stated
        return [
            given if fits(card, inputs, given, hypers) is not None else {role: given[role] for role in card.params}
            for given in several
        ]
    tried = _tried(inputs, size)
    for shapes in itertools.product(tried, repeat=len(card.params)):
        found = dict(zip(card.params, shapes, strict=True))
        if fits(card, inputs, found, hypers) is not None:
            break
    else:
        return []
    for role in card.optional_params:
        fitting = (shape for shape in tried if fits(card, inputs, {**found, role: shape}, hypers) is not None)
        shape = next(fitting, None)
        if shape is not None:
            found[role] = shape
    return [found]


@lru_cache(maxsize=10_000)
def _tried(inputs: tuple[Shape, ...], size: int) -> list[Shape]:
    """Shapes of up to two axes, made of the inputs' sizes and the wanted one; those with the wanted one first."""
    sizes = list(dict.fromkeys((size, 1, *(length for shape in inputs for length in shape))))
    shapes: list[Shape] = [(), *((n,) for n in sizes), *itertools.product(sizes, sizes), *inputs]
    return sorted(dict.fromkeys(shapes), key=lambda shape: size not in shape)
