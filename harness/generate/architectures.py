"""Networks that are valid by construction: directed acyclic graphs of whatever cards there are.

A network grows node by node. Each node's card is drawn among those that fit something that is already there, then what
it stands on: mostly the newest node, so that chains are common, but any other as well, and the same one twice. So there
are residual sums, forks, dead ends, gates by constants. Parameters are new, or shared with an earlier role of the same
shape. Then come loss terms, and penalties on the parameters. A node that wants numbers of some domain, as a
cross-entropy wants probabilities, gets an earlier node that holds such numbers, or a layer that makes them, or an input
of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from harness.case import Network, Node, TensorSpec
from harness.errors import GradparityError
from harness.generate.fitting import WITHIN, Fitting, Way, candidates, fits, free_hypers, input_domain
from harness.registry import Cards
from harness.spec import Domain, Hyper, Operation, Shape

WIDTHS = (1, 2, 3)
BATCHES = (1, 2, 3)
"""Few and small: compiled programs are used again, and shapes coincide often enough for sharing."""
LENGTHS = (1, 2, 4, 5)
"""Of more than two axes, the sizes of all but the first: channels that make groups, and room for windows to slide."""
ONWARD = 3
"""How much likelier the newest node is than any other."""
USUAL = 3
"""How much likelier inputs of two axes are than those of any other number of axes."""
ENDS = 6
"""After each layer, the odds against the network ending there."""


@dataclass(frozen=True)
class Architecture:
    """A network without its numbers.

    `samples_axis` is the axis along which every input and constant has its samples, where the network treats samples
    separately; None where that is not known.
    """

    network: Network
    samples_axis: int | None = None

    @property
    def depth(self) -> int:
        """The number of layers, those on no path to the loss included."""
        return len(self.network.nodes)

    def __repr__(self) -> str:
        return f"Architecture({self.network!r}, samples_axis={self.samples_axis!r})"


@dataclass
class _Draft:
    """A network while it grows."""

    fitting: Fitting
    batch: int
    network: Network = field(default_factory=Network)
    shapes: dict[str, Shape] = field(default_factory=dict)
    domains: dict[str, Domain] = field(default_factory=dict)
    pool: list[str] = field(default_factory=list)
    """What nodes may stand on: inputs and nodes, in order."""
    params: dict[str, Shape] = field(default_factory=dict)

    def fresh(self, prefix: str) -> str:
        """A name that is not yet in use."""
        taken = {*self.shapes, *self.params, *(term.name for term in self.network.loss), "loss"}
        return next(name for number in range(1, len(taken) + 2) if (name := f"{prefix}{number}") not in taken)

    def whole(self, shape: Shape) -> str:
        """A new constant of whole numbers."""
        name = self.fresh("i")
        self.network.constants[name] = TensorSpec(list(shape), "int64")
        self.shapes[name] = shape
        return name

    def given(self, group: dict[str, TensorSpec], prefix: str, shape: Shape, domain: Domain) -> str:
        """A new input or constant."""
        name = self.fresh(prefix)
        group[name] = TensorSpec(list(shape))
        self.shapes[name], self.domains[name] = shape, domain
        if group is self.network.inputs:
            self.pool.append(name)
        return name

    def available(self) -> list[Shape]:
        """The shapes that there are, the newest first."""
        return list(dict.fromkeys(self.shapes[name] for name in reversed(self.pool)))

    def holding(self, shape: Shape, domain: Domain) -> list[str]:
        """What has this shape and holds such numbers, the newest first."""
        names = reversed(self.pool)
        return [name for name in names if self.shapes[name] == shape and self.domains[name] in WITHIN[domain]]


def architectures(
    cards: Cards,
    *,
    min_depth: int = 0,
    max_depth: int = 8,
    widths: Sequence[int] = WIDTHS,
    batches: Sequence[int] = BATCHES,
    lengths: Sequence[int] = LENGTHS,
    max_inputs: int = 2,
    min_terms: int = 1,
    max_terms: int = 2,
    max_penalties: int = 2,
    share: bool | None = None,
    separable: bool = False,
    featuring: str | None = None,
) -> st.SearchStrategy[Architecture]:
    """Networks of these cards, with `min_depth` to `max_depth` layers; a loss may bring one more, which it needs.

    Inputs have as many axes as some card wants; most have two, with samples in rows or in columns. Shapes are made of
    `widths` and `batches`, those of more than two axes of `batches` and `lengths`. With `featuring`, that card is the
    first layer, or the first loss term, and the input has a shape that fits it. The loss has `min_terms` to `max_terms`
    terms, and up to `max_penalties` penalties beside. `share` says whether a parameter is shared wherever there is one
    of its shape; None leaves that to the draw. `separable` asks for networks in which each sample counts for itself and
    the loss is a sum over samples; penalties are left out.

    Raises:
        GradparityError: when drawn, if there is no loss among the cards that fits, or no input that fits the featured.
    """
    axes = (0, 1) if separable else (None,)
    fittings = {axis: Fitting(cards, tuple(widths), axis) for axis in axes}
    sizes = _Sizes(
        depth=(min_depth, max_depth),
        widths=tuple(widths),
        batches=tuple(batches),
        lengths=tuple(lengths),
        inputs=max_inputs,
        terms=(min_terms, max(min_terms, max_terms)),
        penalties=0 if separable else max_penalties,
    )
    return _networks(fittings, sizes, share, None if featuring is None else cards.operation(featuring))


@dataclass(frozen=True)
class _Sizes:
    """Between which numbers everything is drawn."""

    depth: tuple[int, int]
    widths: tuple[int, ...]
    batches: tuple[int, ...]
    lengths: tuple[int, ...]
    inputs: int
    terms: tuple[int, int]
    penalties: int


@st.composite
def _networks(
    draw: st.DrawFn,
    fittings: Mapping[int | None, Fitting],
    sizes: _Sizes,
    share: bool | None,
    featured: Operation | None,
) -> Architecture:
    possible = {axis: starts for axis, fitting in fittings.items() if (starts := _starts(fitting, sizes, featured))}
    if not possible:
        raise GradparityError("no input shape fits" + (f" {featured.name!r}" if featured is not None else ""))
    axis = draw(st.sampled_from(list(possible)))
    starts = possible[axis]
    usual = [*starts][:1] * (USUAL - 1) if 2 in starts else []
    batch, first = draw(st.sampled_from(starts[draw(st.sampled_from([*usual, *starts]))]))
    draft = _Draft(fittings[axis], batch)
    for _ in range(draw(st.integers(1, sizes.inputs))):
        draft.given(draft.network.inputs, "x", first, "real")
    for kind, (least, most) in (("layer", sizes.depth), ("loss", sizes.terms)):
        number = 0
        if featured is not None and featured.kind == kind:
            _add_operation(draw, draft, kind, share, [featured])
            number += 1
        while draw(_one_more(draft, kind, share, needed=number < least, full=number == most)):
            number += 1
    if not draft.network.loss:
        raise GradparityError(f"there is no loss that fits a value of shape {first} among the cards")
    if draft.params:
        for _ in range(draw(st.integers(0, sizes.penalties))):
            _add_penalty(draw, draft)
    draft.network.params.update({name: TensorSpec(list(shape)) for name, shape in draft.params.items()})
    return Architecture(draft.network, axis)


def _starts(fitting: Fitting, sizes: _Sizes, featured: Operation | None) -> dict[int, list[tuple[int, Shape]]]:
    """By number of axes, two first as that is the usual one: the batch sizes and shapes that an input may have."""
    cards = fitting.cards.operations.values() if featured is None else [featured]
    counts = sorted({count for card in cards for count in card.axes}, key=lambda count: (abs(count - 2), count))
    starts: dict[int, list[tuple[int, Shape]]] = {}
    for count in counts:
        found = []
        further = [sizes.widths if count == 2 else sizes.lengths] * (count - 1)
        for batch, *rest in itertools.product(sizes.batches, *further):
            shapes = [(batch, *rest)]
            if count == 2:
                shapes = {None: [*shapes, (*rest, batch)], 0: shapes, 1: [(*rest, batch)]}[fitting.samples_axis]
            elif fitting.samples_axis == 1:
                continue
            found += [(batch, shape) for shape in shapes]
        if featured is not None and featured.inputs:
            found = [(batch, shape) for batch, shape in found if fitting.placements(featured, [shape], batch)]
        if found:
            starts[count] = found
    return starts


def _of_kind(cards: Cards, kind: str) -> list[Operation]:
    """The cards of a kind, the simplest first: what is drawn shrinks toward them."""
    found = [card for card in cards.operations.values() if card.kind == kind]
    return sorted(found, key=lambda card: (len(card.params), len(card.inputs), len(card.hypers), card.name))


@st.composite
def _one_more(draw: st.DrawFn, draft: _Draft, kind: str, share: bool | None, *, needed: bool, full: bool) -> bool:
    """Whether there is one more operation, and the operation: one draw, so that it shrinks away as a whole.

    It is drawn even where it is certain, so that what follows keeps its place when one of them goes.
    """
    more = draw(st.integers(0, ENDS)) > 0
    if full or not (more or needed):
        return False
    _add_operation(draw, draft, kind, share)
    return True


def _add_operation(
    draw: st.DrawFn, draft: _Draft, kind: str, share: bool | None, only: Sequence[Operation] | None = None
) -> None:
    """One more layer or loss term: card, shapes, hyperparameters, what it stands on, parameters."""
    shapes = draft.available()
    cards = _of_kind(draft.fitting.cards, kind) if only is None else only
    places = {card.name: draft.fitting.placements(card, shapes, draft.batch) for card in cards}
    usable = [card for card in cards if places[card.name]]
    if not usable:
        return
    learning = [card for card in usable if card.params]
    if learning and len(learning) < len(usable):
        # Between them stand nonlinearities: cards with parameters would be rare among so many.
        wanted = draw(st.booleans())
        usable = learning if wanted else [card for card in usable if not card.params]
    card = draw(st.sampled_from(usable))
    newest = [place for place in places[card.name] if place[:1] == tuple(shapes[:1])]
    inputs = draw(st.sampled_from(newest * ONWARD + places[card.name]))
    way = draw(st.sampled_from(draft.fitting.ways(card, inputs, draft.batch)))
    _place(draw, draft, card, way, share)


def _place(draw: st.DrawFn, draft: _Draft, card: Operation, way: Way, share: bool | None) -> str:
    hypers = _hypers(draw, card, way)
    inputs: list[str] = []
    for role, shape in zip(card.inputs, way.inputs, strict=True):
        if role in card.integers:
            inputs.append(draft.whole(shape))
        else:
            inputs.append(_source(draw, draft, shape, input_domain(card, role, hypers), first=not inputs))
    params = _parameters(draw, draft, card, way, hypers, share)
    name = draft.fresh("L" if card.kind == "loss" else "h")
    node = Node(name, card.name, inputs, params, _stated(card, hypers))
    if card.kind == "loss":
        draft.network.loss.append(node)
    else:
        draft.network.nodes.append(node)
        draft.shapes[name], draft.domains[name] = way.output, card.range
        draft.pool.append(name)
    return name


def _hypers(draw: st.DrawFn, card: Operation, way: Way) -> dict[str, Hyper]:
    hypers = dict(way.hypers)
    for name, values in free_hypers(card, way).items():
        drawn = {**hypers, name: draw(st.sampled_from(values))} if values else hypers
        if fits(card, way.inputs, way.params, drawn) == way.output:
            hypers = drawn
    return hypers


def _stated(card: Operation, hypers: dict[str, Hyper]) -> dict[str, Hyper]:
    """Without those that are at their default anyway."""
    return {name: value for name, value in hypers.items() if value != card.hypers[name].default}


def _source(draw: st.DrawFn, draft: _Draft, shape: Shape, domain: Domain, *, first: bool) -> str:
    """What an operation stands on: an earlier node, most likely the newest; or an input or constant of its own."""
    there = draft.holding(shape, domain)
    if first and not there:
        there = _bridged(draw, draft, shape, domain)
    if first and there:
        return draw(st.sampled_from([there[0]] * ONWARD + there))
    own = ["an input of its own"] if first else ["a constant", "an input of its own"]
    choice = draw(st.sampled_from(own[:1] + there + own[1:]))
    if choice == "a constant":
        return draft.given(draft.network.constants, "t", shape, domain)
    if choice == "an input of its own":
        return draft.given(draft.network.inputs, "x", shape, domain)
    return choice


def _bridged(draw: st.DrawFn, draft: _Draft, shape: Shape, domain: Domain) -> list[str]:
    """A new layer that makes such numbers of what there is, where there is a card for it."""
    before = draft.holding(shape, "real")
    ways = [
        (card, way)
        for card in _of_kind(draft.fitting.cards, "layer")
        if card.range in WITHIN[domain] and len(card.inputs) == 1 and not card.params
        for way in draft.fitting.ways(card, (shape,), draft.batch)
        if way.output == shape and input_domain(card, card.inputs[0], way.hypers) == "real"
    ]
    if not before or not ways:
        return []
    card, way = draw(st.sampled_from(ways))
    source = draw(st.sampled_from([before[0]] * ONWARD + before))
    name = draft.fresh("h")
    draft.network.nodes.append(Node(name, card.name, [source], {}, _stated(card, dict(way.hypers))))
    draft.shapes[name], draft.domains[name] = shape, card.range
    draft.pool.append(name)
    return [name]


def _parameters(
    draw: st.DrawFn, draft: _Draft, card: Operation, way: Way, hypers: dict[str, Hyper], share: bool | None
) -> dict[str, str]:
    """A name for every role: new, or one that is already used elsewhere; optional roles may stay away."""
    roles = list(card.params)
    for role in card.optional_params:
        if role in way.params and draw(st.booleans()):
            kept = {name: way.params[name] for name in (*roles, role)}
            if fits(card, way.inputs, kept, hypers) == way.output:
                roles.append(role)
    named: dict[str, str] = {}
    for role in roles:
        alike = [name for name, shape in draft.params.items() if shape == way.params[role]]
        again = bool(alike) and (share if share is not None else draw(st.sampled_from((False, False, True))))
        if again:
            named[role] = draw(st.sampled_from(alike))
        else:
            name = draft.fresh(role)
            draft.params[name] = way.params[role]
            named[role] = name
    return named


def _add_penalty(draw: st.DrawFn, draft: _Draft) -> None:
    choices = [
        (card, name, Way((), {card.params[0]: shape}, hypers, output))
        for card in _of_kind(draft.fitting.cards, "penalty")
        if len(card.params) == 1 and not card.inputs
        for name, shape in draft.params.items()
        for hypers in [{role: candidates(spec)[0] for role, spec in card.hypers.items()}]
        if (output := fits(card, (), {card.params[0]: shape}, hypers)) is not None
    ]
    if not choices:
        return
    card, name, way = draw(st.sampled_from(choices))
    hypers = _hypers(draw, card, way)
    draft.network.loss.append(Node(draft.fresh("P"), card.name, [], {card.params[0]: name}, _stated(card, hypers)))
