"""What is written on the nodes of the drawn network."""

from __future__ import annotations

from collections.abc import Sequence

from harness.campaign.records import CaseRecord, Cell, GraphNode, gravest
from reports import graph
from reports.verdict_view import percent
from reports.wording import (
    MISSING,
    SIGNS,
    VERDICT_SHORT,
    WRONG,
    largest,
    listing,
    place_name,
    quantities_by_label,
    ratio_text,
    severity,
)

TOTAL = "loss"
"""The name under which the sum of the loss and its penalties is recorded."""


def total_of(case: CaseRecord) -> GraphNode | None:
    """The sum of a loss and its penalties, which is a value but no node; None where there is nothing to be summed."""
    losses = [node.name for node in case.graph if node.kind == "loss"]
    penalties = [node.name for node in case.graph if node.kind == "penalty"]
    taken = any(node.name == TOTAL or (node.kind == "penalty" and node.inputs) for node in case.graph)
    if len(losses) != 1 or not penalties or taken:
        return None
    return GraphNode(name=TOTAL, kind="loss", op="total", inputs=[*losses, *penalties])


def drawn_nodes(case: CaseRecord) -> list[GraphNode]:
    """The nodes of a case as they are numbered in the drawing: those of the record, and the total."""
    total = total_of(case)
    return [*case.graph, *([total] if total else [])]


def network(case: CaseRecord) -> graph.Drawing | None:
    """The network with the worst error / bound of every value, gradient and update on it."""
    lanes: dict[str, list[graph.Lane]] = {}
    parameters = {node.name for node in case.graph if node.kind == "parameter"}
    parameters |= {name for node in case.graph for name in node.params.values()}
    by: dict[tuple[str, str], list[Cell]] = {}
    for quantity in case.quantities:
        what = {"grad": "gradient", "value": "value"}.get(quantity.kind, "update")
        if quantity.kind == "param" and quantity.step == 0:
            continue
        by.setdefault((quantity.name, what), []).extend(quantity.cells)
    for node in drawn_nodes(case):
        if node.kind == "constant":
            continue
        given = node.kind in ("input", "parameter")
        wanted = ["gradient", "update"] if node.name in parameters else ["gradient"] if given else ["value", "gradient"]
        if node.kind in ("loss", "penalty"):
            wanted = ["value"]
        lanes[node.name] = [
            _lane(what, by[node.name, what]) if (node.name, what) in by else graph.Lane(what, MISSING, "none")
            for what in wanted
            if (node.name, what) in by or (what != "update" and not given)
        ]
    labels = quantities_by_label(case)
    faults: dict[str, list[str]] = {}
    for finding in case.findings:
        if finding.place and finding.verdict in WRONG:
            name = labels[finding.place].name if finding.place in labels else place_name(finding.place)
            who = finding.implementation + (f", {name}" if name in parameters else "")
            faults.setdefault(name, []).append(who)
    return graph.draw(
        case.graph,
        lanes,
        frozenset(kink.node for kink in case.kinks),
        {name: listing(who) for name, who in faults.items()},
        total_of(case),
    )


def _lane(label: str, cells: Sequence[Cell]) -> graph.Lane:
    if not cells:
        return graph.Lane(label, MISSING, "none")
    verdict = gravest([cell.verdict for cell in cells])
    ratio = largest(cell.worst_ratio for cell in cells if severity(cell.verdict) == severity(verdict))
    sign = SIGNS[verdict]
    words = {"exact": "exact", **VERDICT_SHORT}
    text = f"{sign.symbol} {words.get(verdict) or ratio_text(ratio)}"
    return graph.Lane(label, text, sign.tone, percent(ratio) if verdict != "exact" else 0)
