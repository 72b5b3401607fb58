"""One case's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.campaign.records import CaseRecord
from reports import graph, plots
from reports.chart_view import CheckView, FlowView, checks, curves, flows
from reports.finding_view import FindingView, finding_view
from reports.kink_view import Consequence, KinkView, consequences, kink_view
from reports.network_view import network
from reports.quantity_view import StepView, kept_steps, steps_view
from reports.source_view import PrintedView, RemarkView, printed_count, printed_view, remark_view
from reports.verdict_view import Badge, Note, Prose, badge, prose
from reports.wording import WRONG, commands, counted, short, training_text

KINKS_DRAWN = 6
"""So many kinks have a number line; the others stand in a table."""


@dataclass(frozen=True)
class CaseView:
    """One case's page."""

    anchor: str
    id: str
    title: str
    example: str
    badge: Badge
    headline: Prose
    explanation: Prose
    facts: tuple[Note, ...]
    implementations: tuple[str, ...]
    findings: tuple[FindingView, ...]
    kinks: tuple[KinkView, ...]
    more_kinks: tuple[KinkView, ...]
    consequences: tuple[Consequence, ...]
    graph: graph.Drawing | None
    graph_note: str
    steps: tuple[StepView, ...]
    steps_left_out: str
    rows_left_out: str
    printed: tuple[PrintedView, ...]
    printed_count: str
    remarks: tuple[RemarkView, ...]
    curves: tuple[plots.Plot, ...]
    curves_told: tuple[str, ...]
    flows: tuple[FlowView, ...]
    flow_open: bool
    checks: tuple[CheckView, ...]
    notes: tuple[Note, ...]
    again: tuple[Note, ...]
    again_open: bool
    texts: tuple[Note, ...]
    previous: str
    next: str


def case_view(
    case: CaseRecord,
    anchor: str,
    example: str,
    implementations: Sequence[str],
    previous: str,
    following: str,
    store: str = "",
    texts: Sequence[Note] = (),
) -> CaseView:
    """Decide everything that the page of a case says."""
    everyone = list(dict.fromkeys([*implementations, *(finding.implementation for finding in case.findings)]))
    kept = kept_steps(case)
    views, left_out = steps_view(case, everyone, kept)
    steps = sorted({quantity.step for quantity in case.quantities})
    dropped = len(steps) - len(kept)
    remarks = tuple(remark_view(remark.kind, remark.text, remark.evidence, remark.quantity) for remark in case.remarks)
    kinks, more_kinks = _kinks(case, everyone)
    drawing = network(case)
    drawn, told = curves(case)
    return CaseView(
        anchor=anchor,
        id=case.id,
        title=case.title or case.key or case.id,
        example=example or case.example,
        badge=badge(case.verdict),
        headline=prose(case.headline),
        explanation=prose(case.explanation),
        facts=_facts(case),
        implementations=tuple(everyone),
        findings=tuple(finding_view(case, name) for name in everyone),
        kinks=kinks,
        more_kinks=more_kinks,
        consequences=consequences(case, everyone),
        graph=drawing,
        graph_note=""
        if drawing or not case.graph
        else f"The network has {len(case.graph)} nodes, which is too many to be drawn.",
        steps=views,
        steps_left_out=f"In the store, not shown: {counted(dropped, 'more recorded step')}." if dropped else "",
        rows_left_out=f"In the store, not shown: {counted(left_out, 'more element')} of these quantities."
        if left_out
        else "",
        printed=printed_view(case, everyone, remarks),
        printed_count=printed_count(case, everyone),
        remarks=remarks,
        curves=drawn,
        curves_told=told,
        flows=flows(case),
        flow_open=case.draw_flow,
        checks=checks(case),
        notes=_notes(case),
        again=tuple(Note(what, command) for what, command in commands(case, store)),
        again_open=case.verdict in WRONG,
        texts=tuple(texts),
        previous=previous,
        next=following,
    )


def _kinks(case: CaseRecord, implementations: Sequence[str]) -> tuple[tuple[KinkView, ...], tuple[KinkView, ...]]:
    """Those that are drawn, where implementations part, or else the first one; and the others."""
    views = [kink_view(kink, implementations) for kink in case.kinks]
    parted = [view for view in views if len({side.branch for side in view.sides}) > 1]
    drawn = parted[:KINKS_DRAWN] or views[:1]
    return tuple(drawn), tuple(view for view in views if not any(view is one for one in drawn))


def _facts(case: CaseRecord) -> tuple[Note, ...]:
    return Note("numbers", case.dtype), Note("training", training_text(case)), Note("case", case.id)


def _notes(case: CaseRecord) -> tuple[Note, ...]:
    notes = []
    for name in dict.fromkeys([*case.notes, *case.seconds]):
        parts = [case.notes[name]] if name in case.notes else []
        if name in case.seconds:
            parts.append(f"{short(1000 * case.seconds[name])} ms")
        notes.append(Note(name, " · ".join(parts)))
    return tuple(notes)
