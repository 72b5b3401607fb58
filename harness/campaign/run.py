"""Running one case through several implementations and judging what they return."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from harness.campaign import assemble
from harness.campaign.records import CaseRecord, Finding, RemarkRecord, Tested
from harness.case import Case
from harness.errors import NotSupportedError
from harness.generate.counts import facts
from harness.judge.findings import failed, find, headline
from harness.judge.judge import Judgement, check_trace, judge
from harness.judge.oracle import Undecided, exact_trajectory
from harness.protocol import Implementation
from harness.registry import Cards, installed_cards
from harness.spec import Shape
from harness.trace import Trace
from harness.worked_example import WorkedCase


def compare(
    case: Case,
    implementations: Sequence[Implementation],
    cards: Cards | None = None,
    worked: WorkedCase | None = None,
    example: str = "",
    generated: int = 0,
) -> CaseRecord:
    """Run a case through every implementation and judge each against the exact values.

    `worked` adds a worked example's printed numbers, remarks and checks to the record; `generated` is the case's number
    among those that a run has generated. An error in the judgement itself is told in the finding, as `undecided`: a
    long run does not end with it.

    Raises:
        CaseError: the case does not fit the cards.
    """
    cards = cards or installed_cards()
    shapes = cards.check(case)
    traces, seconds, findings = _run_all(case, shapes, implementations)
    judged: dict[str, Judgement] = {}
    trajectory, failure = _exact(case, cards)
    for name, trace in traces.items():
        try:
            if failure is not None:
                raise failure
            own = judge(case, cards, trace, trajectory[0][0] if 0 in trajectory else None)
            findings[name], judged[name] = find(case, name, own), own
        except Undecided as undecided:
            findings[name] = failed(name, "undecided", undecided)
        except Exception as error:  # noqa: BLE001 - a run of thousands of cases does not end with one of them
            findings[name] = _not_judged(name, error)
    ordered = [findings[one.name] for one in implementations]
    verdict, sentence = headline(case, ordered, judged)
    return CaseRecord(
        id=case.id,
        title=case.title,
        verdict=verdict,
        headline=sentence,
        dtype=case.dtype,
        steps=case.steps,
        optimizer=_optimizer(case, cards),
        generated=generated,
        tested=_tested(case, trajectory, traces, judged),
        example=example,
        key=worked.key if worked else "",
        explanation=worked.explanation if worked else "",
        draw_flow=worked.draw_flow if worked else False,
        graph=assemble.graph_of(case, cards, shapes),
        findings=ordered,
        quantities=assemble.quantities_of(case, trajectory, traces, judged),
        kinks=assemble.kinks_of(case, judged),
        printed=assemble.printed_of(worked.printed if worked else (), traces, judged),
        remarks=[
            RemarkRecord(kind=one.kind, text=one.text, evidence=one.evidence, quantity=str(one.quantity or ""))
            for one in (worked.remarks if worked else ())
        ],
        curves=assemble.curves_of(case, trajectory, traces),
        flow=assemble.flow_of(case, traces),
        gradient_checks=assemble.gradient_checks_of(case, cards, traces) if worked and worked.gradient_check else [],
        notes=_notes(traces, trajectory),
        seconds=seconds,
    )


def _exact(case: Case, cards: Cards) -> tuple[assemble.Trajectory, Exception | None]:
    """The exact run, or why there is none."""
    try:
        return exact_trajectory(case, cards), None
    except Exception as error:  # noqa: BLE001 - told in every finding
        return {}, error


def _run_all(
    case: Case, shapes: Mapping[str, Shape], implementations: Sequence[Implementation]
) -> tuple[dict[str, Trace], dict[str, float], dict[str, Finding]]:
    traces: dict[str, Trace] = {}
    seconds: dict[str, float] = {}
    findings: dict[str, Finding] = {}
    for one in implementations:
        began = time.perf_counter()
        try:
            trace = one.run(case)
            check_trace(case, shapes, trace)
            traces[one.name] = trace
        except NotSupportedError as error:
            findings[one.name] = failed(one.name, "not implemented", error)
        except Exception as error:  # noqa: BLE001 - whatever a user's implementation raises is its verdict
            findings[one.name] = failed(one.name, "crash", error)
        seconds[one.name] = time.perf_counter() - began
    return traces, seconds, findings


def _not_judged(name: str, error: Exception) -> Finding:
    """That gradparity itself failed, and where."""
    told = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(told.filename).name}, line {told.lineno}, in {told.name}"
    return Finding(
        implementation=name,
        verdict="undecided",
        sentence=f"{name} was not judged: gradparity itself failed with {type(error).__name__}: {error}",
        detail=f"An error in gradparity, not in {name}: {where}.",
        internal=True,
    )


def _tested(
    case: Case, trajectory: assemble.Trajectory, traces: Mapping[str, Trace], judged: Mapping[str, Judgement]
) -> Tested:
    """What the case put to the test, now that it has run."""
    known = facts(case)
    wild = [
        name
        for name, trace in traces.items()
        if not all(np.isfinite(array).all() for array in trace.quantities.values())
    ]
    branching = assemble.branching_of(case, trajectory, judged)
    return msgspec.structs.replace(known, non_finite=[*known.non_finite, *wild], branching=branching)


def _notes(traces: Mapping[str, Trace], trajectory: assemble.Trajectory) -> dict[str, str]:
    notes = {f"{name}: {key}": text for name, trace in traces.items() for key, text in trace.notes.items()}
    if trajectory:
        exact, _ = trajectory[max(trajectory)]
        notes["exact values"] = f"{exact.tier}, up to step {max(trajectory):,}"
    return notes


def _optimizer(case: Case, cards: Cards) -> str:
    if case.optimizer is None:
        return ""
    before = [rule for rule in (cards.clipping(case), cards.schedule(case)) if rule is not None]
    used = [(case.optimizer.name, cards.optimizer_hypers(case)), *((card.name, hypers) for card, hypers in before)]
    said = [f"{name}({', '.join(f'{key}={value}' for key, value in hypers.items())})" for name, hypers in used]
    return " with ".join([said[0], *([" and ".join(said[1:])] if before else [])])
