"""Numbers for a network: a regime, a seed, and a few special values at drawn places.

The bulk comes from NumPy, seeded by the draw: drawing element by element costs a tenth of a millisecond per number and
fails at a thousand. What shrinks is the regime, toward small whole numbers, the seed, and the list of specials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from harness.case import Dtype, Network
from harness.generate.fitting import WITHIN, input_domain, narrowest
from harness.registry import Cards
from harness.spec import Array, Domain, Shape

Regime = Callable[[np.random.Generator, Shape], Array]


def _fan(shape: Shape) -> float:
    """The number of terms in a sum over such weights, either way round."""
    return float(max((1, *shape)))


def _wide(rng: np.random.Generator, shape: Shape) -> Array:
    exponents: Array = rng.uniform(-5, 3, size=shape)
    return np.asarray(rng.normal(size=shape) * 10**exponents)


def _sparse(rng: np.random.Generator, shape: Shape) -> Array:
    return np.asarray(rng.normal(size=shape) * (rng.random(shape) < 0.4))


def _duplicate_rows(rng: np.random.Generator, shape: Shape) -> Array:
    drawn: Array = rng.normal(size=shape)
    return np.asarray(np.broadcast_to(drawn[:1], shape)) if shape else drawn


def _constant_features(rng: np.random.Generator, shape: Shape) -> Array:
    drawn: Array = rng.normal(size=shape)
    return np.asarray(np.broadcast_to(drawn[..., :1], shape)) if shape else drawn


def _orthogonal(rng: np.random.Generator, shape: Shape) -> Array:
    drawn: Array = rng.normal(size=shape)
    if len(shape) != 2:
        return drawn
    tall = shape[0] >= shape[1]
    factor = np.linalg.qr(drawn if tall else drawn.T)[0]
    return np.asarray(factor if tall else factor.T)


def _cancelling(rng: np.random.Generator, shape: Shape) -> Array:
    """Numbers around one size and of both signs that nearly add up to 0: ill-conditioned sums."""
    signs: Array = np.where(np.arange(int(np.prod(shape))) % 2 == 0, 1.0, -1.0).reshape(shape)
    return np.asarray(signs * (1 + 1e-6 * rng.normal(size=shape)))


REGIMES: Mapping[str, Regime] = {
    "lattice": lambda rng, shape: rng.integers(-3, 4, size=shape).astype(np.float64),
    "he": lambda rng, shape: rng.normal(size=shape) * np.sqrt(2 / _fan(shape)),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, size=shape),
    "zeros": lambda rng, shape: np.zeros(shape),
    "constant": lambda rng, shape: np.full(shape, rng.choice([1.0, 0.5, -1.0, 0.1, 1 / 3])),
    "saturating": lambda rng, shape: 10 * rng.normal(size=shape),
    "vanishing": lambda rng, shape: 1e-3 * rng.normal(size=shape),
    "wide": _wide,
    "sparse": _sparse,
    "duplicate rows": _duplicate_rows,
    "constant features": _constant_features,
    "orthogonal": _orthogonal,
    "cancelling": _cancelling,
    "offset": lambda rng, shape: 30 + 0.1 * rng.normal(size=shape),
}
"""How the bulk is drawn, simplest first. `lattice` has small whole numbers, whose sums and products are exact."""

Special = Callable[[Array, int], float]
"""From an array (flat, of the case's dtype) and a place in it to the number that is put there."""

SPECIALS: Mapping[str, Special] = {
    "zero": lambda flat, place: 0.0,
    "minus zero": lambda flat, place: -0.0,
    "one": lambda flat, place: 1.0,
    "a tie": lambda flat, place: float(flat[0]),
    "one ulp up": lambda flat, place: float(np.nextafter(flat[place], flat.dtype.type(np.inf))),
    "one ulp down": lambda flat, place: float(np.nextafter(flat[place], flat.dtype.type(-np.inf))),
    "above one": lambda flat, place: 1 + float(np.finfo(flat.dtype).eps),
    "below one": lambda flat, place: 1 - float(np.finfo(flat.dtype).epsneg),
    "smallest subnormal": lambda flat, place: float(np.finfo(flat.dtype).smallest_subnormal),
    "minus smallest subnormal": lambda flat, place: -float(np.finfo(flat.dtype).smallest_subnormal),
    "subnormal": lambda flat, place: float(np.finfo(flat.dtype).smallest_normal) / 8,
    "smallest normal": lambda flat, place: float(np.finfo(flat.dtype).smallest_normal),
    "large": lambda flat, place: float(2.0 ** (np.finfo(flat.dtype).maxexp // 2 - 2)),
    "huge": lambda flat, place: float(np.finfo(flat.dtype).max) / 4,
}
"""One ulp up or down of a 0 is a subnormal beside the kink of a ReLU."""
NON_FINITE: Mapping[str, Special] = {
    "inf": lambda flat, place: float("inf"),
    "minus inf": lambda flat, place: float("-inf"),
    "nan": lambda flat, place: float("nan"),
}
EXTREME = ("large", "huge", "smallest subnormal", "minus smallest subnormal", "subnormal", "smallest normal",
           "one ulp up", "one ulp down")  # fmt: skip
"""What may overflow or underflow on its way through a network."""
MILD = tuple(name for name in SPECIALS if name not in EXTREME)
MOST_SPECIALS = 6


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers for every input, constant and parameter of a network, and how they were made."""

    values: Mapping[str, Array]
    regime: str
    seed: int
    specials: tuple[tuple[str, int, str], ...] = ()

    def __repr__(self) -> str:
        return f"<{self.regime}, seed {self.seed}, specials {list(self.specials)}>"


def required_domains(network: Network, cards: Cards) -> dict[str, Domain]:
    """By name of what has to be given, the domain that everything that uses it accepts."""
    wanted: dict[str, list[Domain]] = {name: [] for name in network.tensors()}
    for path, node in network.operations():
        card = cards.operation(node.op, path)
        for role, name in zip(card.inputs, node.inputs, strict=True):
            if name in wanted:
                wanted[name].append(input_domain(card, role, cards.hypers(node)))
    return {name: narrowest(domains) for name, domains in wanted.items()}


@st.composite
def values_for(
    draw: st.DrawFn,
    network: Network,
    dtype: Dtype,
    cards: Cards,
    *,
    regimes: Sequence[str] = tuple(REGIMES),
    specials: Sequence[str] = tuple(SPECIALS),
    non_finite: bool = False,
) -> Numbers:
    """Numbers of the case's dtype for everything that the network has to be given.

    `non_finite` adds infinities and NaN to the specials; without it every number is finite. Domains are kept: where a
    card wants probabilities, whatever is drawn is folded into them.
    """
    regime = draw(st.sampled_from(regimes))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    shapes = {name: tuple(spec.shape) for name, spec in network.tensors().items()}
    ranges = cards.integer_ranges(network, cards.shapes(network))
    whole = {name: rng.integers(*ranges.get(name, (0, 2)), size=shape) for name, shape in shapes.items()
             if network.tensors()[name].dtype == "int64"}  # fmt: skip
    shapes = {name: shape for name, shape in shapes.items() if name not in whole}
    values = {name: np.array(REGIMES[regime](rng, shape), dtype) for name, shape in shapes.items()}
    kinds = {**{name: SPECIALS[name] for name in specials}, **(NON_FINITE if non_finite else {})}
    filled = [name for name, array in values.items() if array.size]
    placed: list[tuple[str, int, str]] = []
    if kinds and filled:
        one = st.tuples(st.sampled_from(filled), st.integers(0, 63), st.sampled_from(list(kinds)))
        for name, place, kind in draw(st.lists(one, max_size=MOST_SPECIALS)):
            flat = values[name].reshape(-1)
            flat[place % flat.size] = kinds[kind](flat, place % flat.size)
            placed.append((name, place % flat.size, kind))
    domains = required_domains(network, cards)
    folded = {name: into(domains[name], array) for name, array in values.items()}
    return Numbers(folded | whole, regime, seed, tuple(placed))


def into(domain: Domain, array: Array) -> Array:
    """The same numbers where they lie within the domain, and others that do where not; NaN stays.

    >>> into("probability", np.array([0.25, -0.5, 3.0, 1.75])), into("positive", np.array([-2.0, 0.0]))
    (array([0.25, 0.5 , 1.  , 0.75]), array([2., 1.]))
    """
    if domain == "real":
        return array
    size = np.abs(array)
    if domain in WITHIN["probability"]:
        with np.errstate(invalid="ignore"):
            fraction = np.mod(size, 1)
        return np.asarray(np.where(size <= 1, size, np.where(fraction == 0, 1, fraction)), array.dtype)
    return np.asarray(np.where(size == 0, 1, size) if domain == "positive" else size, array.dtype)
