"""Running one case through several implementations and judging what they return."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from harness.campaign import assemble
from harness.campaign.records import CaseRecord, Finding, RemarkRecord
from harness.case import Case
from harness.errors import NotSupportedError
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
) -> CaseRecord:
    """Run a case through every implementation and judge each against the exact values.

    `worked` adds a worked example's printed numbers, remarks and checks to the record.

    Raises:
        CaseError: the case does not fit the cards.
    """
    cards = cards or installed_cards()
    shapes = cards.check(case)
    traces, seconds, findings = _run_all(case, shapes, implementations)
    judged: dict[str, Judgement] = {}
    trajectory: assemble.Trajectory = {}
    try:
        trajectory = exact_trajectory(case, cards)
        for name, trace in traces.items():
            judged[name] = judge(case, cards, trace, trajectory[0][0] if 0 in trajectory else None)
            findings[name] = find(case, name, judged[name])
    except Undecided as undecided:
        findings |= {name: failed(name, "undecided", undecided) for name in traces}
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


def _notes(traces: Mapping[str, Trace], trajectory: assemble.Trajectory) -> dict[str, str]:
    notes = {f"{name}: {key}": text for name, trace in traces.items() for key, text in trace.notes.items()}
    if trajectory:
        exact, _ = trajectory[max(trajectory)]
        notes["exact values"] = f"ball arithmetic with {exact.bits:,} bits, up to step {max(trajectory):,}"
    return notes


def _optimizer(case: Case, cards: Cards) -> str:
    if case.optimizer is None:
        return ""
    hypers = ", ".join(f"{name}={value}" for name, value in cards.optimizer_hypers(case).items())
    return f"{case.optimizer.name}({hypers})"
