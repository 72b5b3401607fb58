"""What is kept of a run: plain data, made for being stored and shown, needing no framework to read.

Numbers that a report prints are strings already (the shortest digits that read back as the same float, or
20 digits of an exact value). Numbers that it computes with are floats, or the strings ``"nan"``, ``"inf"``
and ``"-inf"``, for which JSON has no number; `as_float` reads both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

SCHEMA = "gradparity.run/1"

Verdict = Literal[
    "exact",  # equal to the exact value, to the last bit
    "rounding",  # within the derived rounding bound
    "undetermined branch",  # at a kink nearer than rounding can tell, and right for the side it took
    "ill-conditioned",  # the bound is infinite: nothing can be said
    "convention",  # a catalogued difference that predicts this one
    "suspicious",  # within the worst case, but beyond what rounding does in all likelihood
    "mismatch",  # outside the bound: wrong
    "non-finite",  # NaN or infinity where the exact value is finite, or the other way round
    "crash",  # the implementation raised
    "not implemented",  # the implementation says that it lacks something
    "undecided",  # the exact value could not be had
]

SEVERITY: tuple[Verdict, ...] = (
    "exact",
    "rounding",
    "undetermined branch",
    "convention",
    "not implemented",
    "ill-conditioned",
    "undecided",
    "suspicious",
    "non-finite",
    "crash",
    "mismatch",
)
"""The verdicts from harmless to grave; a case has the gravest of its quantities'."""
AGREEING: tuple[Verdict, ...] = ("exact", "rounding")
AGAINST: tuple[Verdict, ...] = ("mismatch", "crash", "non-finite", "suspicious")
"""The verdicts that speak against an implementation."""

Number = float | str


def as_number(value: float) -> Number:
    """A float as it is kept in a record.

    >>> as_number(0.5), as_number(float("inf"))
    (0.5, 'inf')
    """
    return float(value) if math.isfinite(value) else str(float(value))


def as_float(number: Number) -> float:
    """The float that a record's number stands for.

    >>> as_float("-inf")
    -inf
    """
    return float(number)


def gravest(verdicts: list[Verdict]) -> Verdict:
    """The gravest of some verdicts; `undecided` when there is none.

    >>> gravest(["exact", "mismatch", "rounding"])
    'mismatch'
    """
    return max(verdicts, key=SEVERITY.index, default="undecided")


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base of all records."""


class Cell(Record, frozen=True, kw_only=True):
    """One implementation's array of one quantity, beside the exact one.

    The lists run over the shown elements. `errors_ulps` are signed errors against the exact value, in units in
    the last place of the exact value in the case's dtype. `ratios` are |error| / bound, where the implementation
    is judged from its own parameters at this step (so that a step is not blamed for the steps before it).
    The `worst_` fields speak of all elements, shown or not; `worst_index` is flat, -1 when there is none.

    `sharpness` is the smallest relative change that would have been seen in half of the elements (the median of
    bound / |value|). `vacuous` counts the elements that pass although their bound is as large as they are: there
    anything up to twice the value, or its opposite, would have passed as well.
    """

    implementation: str
    verdict: Verdict
    values: list[str] = []
    errors_ulps: list[Number] = []
    ratios: list[Number] = []
    worst_index: int = -1
    worst_ulps: Number = 0.0
    worst_ratio: Number = 0.0
    sharpness: Number = 0.0
    vacuous: int = 0


class QuantityRecord(Record, frozen=True, kw_only=True):
    """One quantity in all implementations. An implementation without a cell did not record it.

    `exact` holds 20 significant digits per shown element. It is the exact value of the whole case from its
    start, in real arithmetic. `bounds` are the rounding bounds that a first step from exact inputs allows.
    `shown` lists the flat indices shown; empty means all.
    """

    step: int
    kind: Literal["value", "grad", "param", "state"]
    name: str
    slot: str = ""
    shape: list[int] = []
    shown: list[int] = []
    exact: list[str] = []
    bounds: list[Number] = []
    cells: list[Cell] = []


class Side(Record, frozen=True, kw_only=True):
    """What one implementation has at a kink: its own number there, and the branch it took."""

    implementation: str
    value: str
    branch: str


class KinkRecord(Record, frozen=True, kw_only=True):
    """An undetermined branch: a value nearer to a kink than its own rounding bound.

    `gap` is the exact distance to the kink (20 digits, "0" when it lies exactly on it), `bound` the rounding
    bound of that distance.
    """

    step: int
    node: str
    op: str
    index: list[int]
    comparison: str
    gap: str
    bound: Number
    sides: list[Side] = []


class PrintedRecord(Record, frozen=True, kw_only=True):
    """A number that a source prints, and which implementations reproduce its digits."""

    step: int
    kind: str
    name: str
    slot: str = ""
    index: list[int] = []
    digits: str
    where: str = ""
    reproduced: dict[str, bool] = {}
    values: dict[str, str] = {}


class RemarkRecord(Record, frozen=True, kw_only=True):
    """A remark on the source; with the quantity it belongs to, where there is one."""

    kind: str
    text: str
    evidence: str = ""
    quantity: str = ""


class Finding(Record, frozen=True, kw_only=True):
    """The verdict on one implementation in one case, with its reason.

    `place` is the first quantity at fault in the order of computation, `sentence` the whole in words. `numbers`
    counts the elements judged, `vacuous` those whose pass says nothing, and `sharpness` is the smallest relative change
    that would have been seen in half of the gradients' elements. `internal` says that gradparity itself failed.
    """

    implementation: str
    verdict: Verdict
    place: str = ""
    op: str = ""
    worst_ratio: Number = 0.0
    worst_ulps: Number = 0.0
    sentence: str
    detail: str = ""
    numbers: int = 0
    vacuous: int = 0
    sharpness: Number = 0.0
    internal: bool = False


class Curve(Record, frozen=True, kw_only=True):
    """A series over steps: the loss, or the drift (largest |parameter - exact parameter|)."""

    kind: Literal["loss", "drift"]
    implementation: str
    steps: list[int]
    values: list[Number]


class FlowRecord(Record, frozen=True, kw_only=True):
    """Mean and largest |gradient| of one parameter or node, at step 0: how gradients flow through depth."""

    name: str
    kind: Literal["parameter", "node"]
    implementation: str
    mean: Number
    largest: Number
    zeros: int
    size: int


class GradientCheckRecord(Record, frozen=True, kw_only=True):
    """Central differences against one implementation's gradient of one parameter, over all elements.

    `float_difference` is ||g - d|| / (||g|| + ||d||) with differences in float64 and the step `epsilon`;
    `exact_error` is the largest |g - d| with differences in ball arithmetic, where only truncation is left.
    """

    name: str
    implementation: str
    elements: int
    epsilon: float
    float_difference: Number
    exact_error: Number
    exact_epsilon: str


class GraphNode(Record, frozen=True, kw_only=True):
    """A node of the network as it is drawn. `kind`: input, constant, parameter, layer, loss or penalty."""

    name: str
    kind: Literal["input", "constant", "parameter", "layer", "loss", "penalty"]
    op: str = ""
    inputs: list[str] = []
    params: dict[str, str] = {}
    hypers: dict[str, bool | int | float | str | tuple[int, ...]] = {}
    shape: list[int] = []


class Branching(Record, frozen=True, kw_only=True):
    """How near a card came to its kinks in one case, over the recorded steps.

    `comparisons` counts the numbers that it compared in the exact run, `ties` those of them that lie exactly on a kink
    there, and `undetermined` the places where some implementation is nearer to one than rounding can tell.
    """

    card: str
    comparisons: int = 0
    ties: int = 0
    undetermined: int = 0


class Tested(Record, frozen=True, kw_only=True):
    """What a case put to the test.

    `cards` has each of its operations once. `optimizer`, `schedule` and `clip` are empty where there is none, `regime`
    where the numbers were given and not drawn. `specials` are the kinds of special values that were placed.
    `non_finite` says where there were infinities or NaN: among the numbers ``given``, or in an implementation, by its
    name.
    """

    cards: list[str] = []
    optimizer: str = ""
    schedule: str = ""
    clip: str = ""
    dtype: str = ""
    depth: int = 0
    steps: int = 0
    regime: str = ""
    specials: list[str] = []
    non_finite: list[str] = []
    branching: list[Branching] = []


class CaseRecord(Record, frozen=True, kw_only=True):
    """Everything that is kept of one case.

    `generated` is its number among the generated cases of its run, from 1; 0 for a case that was not generated.
    `abridged` says that the numbers, tables and curves were left out, as `abridge` does.
    """

    id: str
    title: str
    verdict: Verdict
    headline: str
    dtype: str
    steps: int
    optimizer: str = ""
    generated: int = 0
    abridged: bool = False
    tested: Tested | None = None
    example: str = ""
    key: str = ""
    explanation: str = ""
    draw_flow: bool = False
    graph: list[GraphNode] = []
    findings: list[Finding] = []
    quantities: list[QuantityRecord] = []
    kinks: list[KinkRecord] = []
    printed: list[PrintedRecord] = []
    remarks: list[RemarkRecord] = []
    curves: list[Curve] = []
    flow: list[FlowRecord] = []
    gradient_checks: list[GradientCheckRecord] = []
    notes: dict[str, str] = {}
    seconds: dict[str, float] = {}


class ExampleRecord(Record, frozen=True, kw_only=True):
    """A worked example's heading; its cases refer to it by key."""

    key: str
    title: str
    source: str
    shows: str


class CardRecord(Record, frozen=True, kw_only=True):
    """A card as a reader sees it: its maths, and what is written in torch and in JAX. `kind`: a `Catalogue`'s field."""

    kind: str
    name: str
    summary: str = ""
    maths: str = ""
    torch: str = ""
    jax: str = ""


class Catalogue(Record, frozen=True, kw_only=True):
    """What there was to be tested, so that what was left out can be told. `branching` are the cards that have kinks."""

    layers: list[str] = []
    losses: list[str] = []
    penalties: list[str] = []
    optimizers: list[str] = []
    schedules: list[str] = []
    clippings: list[str] = []
    dtypes: list[str] = []
    regimes: list[str] = []
    specials: list[str] = []
    branching: list[str] = []
    cards: list[CardRecord] = []


class RunRecord(Record, frozen=True, kw_only=True):
    """A run as a whole. `finished` is empty while it runs, so a run that was killed can be told.

    `planned` counts all cases that were to be judged, `generated` those of them that were to be drawn, with the seed
    `seed`, from the edges of what is legal if `extreme`. `store` is the file that the run is kept in, as its user would
    name it.
    """

    schema: str = SCHEMA
    started: str
    finished: str = ""
    implementations: list[str] = []
    environment: dict[str, str] = {}
    examples: list[ExampleRecord] = []
    planned: int = 0
    generated: int = 0
    seed: int = 0
    extreme: bool = False
    store: str = ""
    catalogue: Catalogue | None = None


def tally(tested: Iterable[Tested], catalogue: Catalogue) -> dict[str, dict[str, int]]:
    """In how many cases each thing came up; what is in the catalogue and never came up is there with 0."""
    tables: dict[str, dict[str, int]] = {
        "layers": dict.fromkeys(catalogue.layers, 0),
        "losses": dict.fromkeys(catalogue.losses, 0),
        "penalties": dict.fromkeys(catalogue.penalties, 0),
        "optimizers": dict.fromkeys(["none", *catalogue.optimizers], 0),
        "schedules": dict.fromkeys(catalogue.schedules, 0),
        "clippings": dict.fromkeys(catalogue.clippings, 0),
        "dtypes": dict.fromkeys(catalogue.dtypes, 0),
        "depths": {},
        "steps": {},
        "regimes": dict.fromkeys(catalogue.regimes, 0),
        "specials": dict.fromkeys(catalogue.specials, 0),
    }
    kinds = {name: kind for kind in ("layers", "losses", "penalties") for name in tables[kind]}
    for one in tested:
        seen = [(kinds.get(name, "layers"), name) for name in one.cards]
        seen += [("optimizers", one.optimizer or "none"), ("dtypes", one.dtype), ("regimes", one.regime or "given")]
        seen += [("depths", str(one.depth)), ("steps", str(one.steps)), *(("specials", name) for name in one.specials)]
        seen += [("schedules", one.schedule), ("clippings", one.clip)]
        for table, name in (pair for pair in seen if pair[1]):
            tables[table][name] = tables[table].get(name, 0) + 1
    for numbers in ("depths", "steps"):
        tables[numbers] = dict(sorted(tables[numbers].items(), key=lambda item: int(item[0])))
    return tables
