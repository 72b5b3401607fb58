"""Stores of any size, drawn by a seed: what a long campaign leaves behind, without the days that it takes."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.campaign.records import Branching, CaseRecord, Catalogue, Finding, RunRecord, Tested, Verdict, gravest
from harness.campaign.store import Store, checksum
from property_tests import report_fixtures as fixtures

LAYERS = (
    "dense", "conv1d", "conv2d", "relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid", "softplus", "elu", "selu",
    "layer_norm", "batch_norm", "rms_norm", "group_norm", "softmax", "log_softmax", "dropout", "identity", "slice",
    "add", "multiply", "subtract", "concatenate", "bilinear", "attention", "lstm_cell", "gru_cell", "embedding",
    "max_pool", "average_pool", "reshape", "transpose",
)  # fmt: skip
LOSSES = (
    "squared_error", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "smooth_l1", "huber",
    "hinge", "cosine_embedding", "triplet_margin", "poisson_nll", "kl_divergence",
)  # fmt: skip
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam", "adamax", "lion")
REGIMES = ("he", "wide", "saturating", "offset", "orthogonal", "constant features", "tiny", "ill-conditioned")
SPECIALS = ("zero", "one", "below one", "a tie", "huge", "subnormal")
NEVER = ("never_drawn",)
DTYPES = ("float64", "float32")


class Fault(NamedTuple):
    """A mistake that some cases show: where, who, what, and how often among the faulty ones."""

    op: str
    who: tuple[str, ...]
    verdict: Verdict
    place: str
    weight: int


FAULTS = (
    Fault("binary_cross_entropy_with_logits backward", ("numpy",), "mismatch", "grad h{} at step 0", 40),
    Fault("adam update", ("jax",), "mismatch", "param W{} at step 1", 30),
    Fault("max_pool backward", ("torch",), "mismatch", "grad h{} at step 0", 12),
    Fault("layer_norm backward", ("jax",), "mismatch", "grad W{} at step 0", 8),
    Fault("softmax forward", ("numpy",), "non-finite", "value h{} at step 0", 5),
    Fault("gru_cell backward", ("numpy", "torch", "jax"), "mismatch", "grad W{} at step 0", 2),
    Fault("", ("torch",), "crash", "", 2),
    Fault("lion update", ("torch",), "suspicious", "param b{} at step 2", 1),
)
RARE: tuple[tuple[Verdict, float], ...] = (
    ("undetermined branch", 0.02),
    ("not implemented", 0.03),
    ("undecided", 0.008),
    ("convention", 0.004),
    ("ill-conditioned", 0.002),
)
FAULTY = 0.01
POOL = 32


def described(cases: int, seed: int = 0, **changes: object) -> RunRecord:
    """The run's own record."""
    catalogue = Catalogue(
        layers=[*LAYERS, *NEVER], losses=list(LOSSES), optimizers=list(OPTIMIZERS), dtypes=list(DTYPES),
        regimes=list(REGIMES), specials=list(SPECIALS), branching=["relu", "max_pool"],
    )  # fmt: skip
    facts = {"planned": cases, "generated": cases, "seed": seed, "store": "out/results.sqlite", "examples": []}
    return fixtures.run(**{**facts, "catalogue": catalogue, **changes})


def drawn_case(number: int, dice: random.Random) -> CaseRecord:
    """A case as a campaign draws them; its quantities are added where it is stored."""
    layers = [dice.choice(LAYERS) for _ in range(min(12, 1 + int(dice.expovariate(0.4))))]
    loss, dtype, regime = dice.choice(LOSSES), dice.choice(DTYPES), dice.choice(REGIMES)
    optimizer = dice.choice(OPTIMIZERS) if dice.random() < 0.5 else ""
    steps = dice.choice((1, 2, 3)) if optimizer else 0
    numbers = 20 + int(dice.expovariate(0.01))
    fault = dice.choices(FAULTS, [one.weight for one in FAULTS])[0] if dice.random() < FAULTY else None
    if fault and fault.op:
        card = fault.op.rpartition(" ")[0]
        if card in OPTIMIZERS:
            optimizer, steps = card, 2
        elif card in LOSSES:
            loss = card
        else:
            layers[dice.randrange(len(layers))] = card
    findings = list(_findings(dice, fault, numbers, len(layers)))
    verdict = gravest([finding.verdict for finding in findings])
    tested = Tested(
        cards=list(dict.fromkeys([*layers, loss])), optimizer=optimizer, dtype=dtype, depth=len(layers), steps=steps,
        regime=regime, specials=[one for one in SPECIALS if dice.random() < 0.3],
        branching=[Branching(card="relu", comparisons=8, ties=int(dice.random() < 0.05))] if "relu" in layers else [],
    )  # fmt: skip
    wrong = next((one.sentence for one in findings if one.verdict == verdict), "")
    return CaseRecord(
        id=f"{dice.getrandbits(64):016x}",
        title=f"#{number} {' → '.join(layers)} → {loss}; {regime}, {dtype}",
        verdict=verdict, headline=wrong, dtype=dtype, steps=steps, optimizer=optimizer, generated=number,
        tested=tested, findings=findings, seconds={"numpy": 0.0003, "torch": 0.0014, "jax": 0.0014},
        notes={"exact values": "ball arithmetic with 128 bits"},
    )  # fmt: skip


def _findings(dice: random.Random, fault: Fault | None, numbers: int, depth: int) -> Iterator[Finding]:
    rare = None
    if fault is None:
        chance = dice.random()
        for verdict, share in RARE:
            if chance < share:
                rare = verdict
                break
            chance -= share
    odd = dice.choice(fixtures.IMPLEMENTATIONS)
    for name in fixtures.IMPLEMENTATIONS:
        ratio, place = round(dice.random(), 4), f"grad W{dice.randrange(depth)} at step 0"
        common = {"implementation": name, "numbers": numbers, "worst_ulps": round(12 * ratio, 2), "sharpness": 2e-16}
        if fault and name in fault.who:
            where = fault.place.format(dice.randrange(depth))
            far = 10 ** dice.uniform(1, 14) if fault.verdict == "mismatch" else 0.7
            sentence = f"{name} disagrees with the exact value by {far:.1e} times the rounding bound in `{where}`."
            if fault.verdict == "crash":
                sentence = f"{name} raised an error: RuntimeError: shapes ({numbers}, 3) and (4, {depth})"
            ratio, place = (math_nan() if fault.verdict == "non-finite" else far), where
            yield Finding(**common, verdict=fault.verdict, place=place, op=fault.op, worst_ratio=ratio,
                          sentence=sentence, detail=f"Everything before it agrees, so {fault.op} is at fault.")
        elif rare and (name == odd or rare in ("undecided", "ill-conditioned")):
            reason = f"{name} does not implement this case: it has no {OPTIMIZERS[depth % 3]} of this kind"
            said = reason if rare == "not implemented" else f"{name}: {rare} in `{place}`."
            yield Finding(**common, verdict=rare, place=place, op="relu backward", worst_ratio=0.4, sentence=said)
        else:
            verdict: Verdict = "exact" if ratio < 0.05 else "rounding"
            sentence = (
                f"{name}: {numbers // 2} of {numbers} numbers are the floats nearest to the exact values; the rest lie "
                f"within the rounding bound, at most {ratio:.2f} times the rounding bound (in `{place}` at [0, 1])."
            )
            yield Finding(**common, verdict=verdict, place=place, op="dense backward", worst_ratio=ratio,
                          sentence=sentence)


def math_nan() -> str:
    """How a record writes that it is no number."""
    return "nan"


def drawn_cases(cases: int, seed: int = 0) -> Iterator[tuple[CaseRecord, bytes]]:
    """So many cases, each with its record as it is stored: a dozen quantities and a graph, out of a pool."""
    dice = random.Random(seed)  # noqa: S311
    pool = []
    for number in range(POOL):
        base = fixtures.agreeing(number, steps=0)
        parts = {"quantities": base.quantities[:12], "graph": base.graph, "flow": base.flow}
        pool.append(b"," + msgspec.json.encode(parts)[1:])
    for number in range(1, cases + 1):
        case = drawn_case(number, dice)
        yield case, msgspec.json.encode(case)[:-1] + dice.choice(pool)


def synthetic_store(path: Path, cases: int, seed: int = 0, **changes: object) -> Path:
    """A store of so many cases; a second of time for ten thousand."""
    with Store(path) as store:
        store.describe(described(cases, seed, **changes))
    spec = b'{"schema": "synthetic"}'
    rows = (
        (case.id, case.verdict, case.title, record, spec, checksum(record + spec))
        for case, record in drawn_cases(cases, seed)
    )
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany("INSERT INTO cases (id, verdict, title, record, spec, checksum) VALUES (?, ?, ?, ?, ?, ?)", rows)
    return path
