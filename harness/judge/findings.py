"""From verdicts to sentences: whose fault, where first, by how much, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.campaign.records import SEVERITY, Finding, Verdict, as_float, as_number, gravest
from harness.case import Case
from harness.judge.judge import FAULTS, Judgement
from harness.trace import LOSS, Quantity


def computed_before(case: Case, quantity: Quantity) -> tuple[int, int, int]:
    """A sort key that puts quantities in the order of computation.

    In each step: the nodes forward, the loss, then gradients backward, then the update that leads to the next
    step's parameters.
    """
    operations = [node for _, node in case.network.operations()]
    forward = {node.name: index for index, node in enumerate(operations)} | {LOSS: len(operations)}
    if quantity.kind == "value":
        return quantity.step, 0, forward[quantity.name]
    if quantity.kind == "grad":
        # A parameter's or an input's gradient is complete when that of its first user is.
        first_use = min((forward[node.name] for node in operations if _uses(node, quantity.name)), default=0)
        return quantity.step, 1, -2 * forward[quantity.name] if quantity.name in forward else 1 - 2 * first_use
    return quantity.step - 1, 2, list(case.network.params).index(quantity.name)


def find(case: Case, name: str, judged: Judgement) -> Finding:
    """The finding on one implementation."""
    comparisons = judged.comparisons
    if not comparisons:
        return Finding(implementation=name, verdict="undecided", sentence=f"{name} recorded nothing to judge.")
    verdict = gravest([comparison.verdict for comparison in comparisons.values()])
    if verdict in ("exact", "rounding"):
        place = max(comparisons, key=lambda one: (comparisons[one].verdict == verdict, comparisons[one].worst_ratio))
    else:
        same = [quantity for quantity, comparison in comparisons.items() if comparison.verdict == verdict]
        # What an infinity brings about later is graver, and not what is at fault.
        roots = [q for q, one in comparisons.items() if q in judged.faults and one.verdict in FAULTS]
        same = roots if verdict in FAULTS and roots else same
        place = min(same, key=lambda quantity: computed_before(case, quantity))
        verdict = comparisons[place].verdict
    comparison = comparisons[place]
    worst = comparison.worst
    ratio = float(comparison.ratios.ravel()[worst]) if worst >= 0 else 0.0
    ulps = float(comparison.ulps.ravel()[worst]) if worst >= 0 else 0.0
    index = [int(i) for i in np.unravel_index(worst, comparison.errors.shape)] if worst >= 0 else []
    where = f"`{place}`" + (f" at {index}" if index else "")
    return Finding(
        implementation=name,
        verdict=verdict,
        place=str(place),
        op=responsible(case, place),
        worst_ratio=as_number(ratio),
        worst_ulps=as_number(ulps),
        sentence=_sentence(name, verdict, where, ratio, judged),
        detail=_detail(case, name, verdict, place, judged),
        numbers=sum(comparison.verdicts.size for comparison in comparisons.values()),
        vacuous=sum(int(judged.vacuous(quantity).sum()) for quantity in comparisons),
        sharpness=as_number(_sharpness(judged)),
    )


def responsible(case: Case, place: Quantity) -> str:
    """The operation that computes a quantity: a card forward or backward, or the optimizer."""
    operations = [node for _, node in case.network.operations()]
    if place.kind == "value":
        return next((f"{node.op} forward" for node in operations if node.name == place.name), "the sum of the loss")
    if place.kind == "grad":
        users = dict.fromkeys(f"{node.op} backward" for node in operations if _uses(node, place.name))
        return " or ".join(users) or "the gradient of something unused"
    if not case.optimizer or not place.step:
        return "the parameters it started from"
    rules = [rule.name for rule in (case.optimizer.schedule, case.optimizer.clip) if rule is not None]
    return f"{case.optimizer.name} update" + (f" with {' and '.join(rules)}" if rules else "")


def headline(
    case: Case, findings: Sequence[Finding], judged: Mapping[str, Judgement] | None = None
) -> tuple[Verdict, str]:
    """The case's verdict and its one sentence, from the findings on all implementations."""
    verdict = gravest([finding.verdict for finding in findings])
    worst = [finding for finding in findings if finding.verdict == verdict]
    agreeing = [finding.implementation for finding in findings if finding.verdict in ("exact", "rounding")]
    if verdict in ("exact", "rounding"):
        top = max((as_float(finding.worst_ratio) for finding in findings), default=0.0)
        how = "to the last bit" if verdict == "exact" else f"to within {_times(top)}"
        return verdict, f"{_and(agreeing)} {_agree(len(agreeing))} with the exact value everywhere, {how}."
    sentences: list[str] = []
    if verdict == "undetermined branch":
        sentences.append(_at_the_kink(findings, judged or {}))
    else:
        if verdict in FAULTS and len(worst) == len(findings) > 1 and len({finding.place for finding in worst}) == 1:
            place = f"All implementations lie outside the bound in `{worst[0].place}`"
            sentences.append(f"{place}: suspect the card or its bound first.")
        sentences += [_ended(" ".join(filter(None, (finding.sentence, finding.detail)))) for finding in worst]
    if agreeing and verdict != "undetermined branch":
        sentences.append(f"{_and(agreeing)} {_agree(len(agreeing))} with the exact value.")
    return verdict, " ".join(sentences)


def _ended(text: str) -> str:
    """A sentence; what an exception says often has no full stop."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _at_the_kink(findings: Sequence[Finding], judged: Mapping[str, Judgement]) -> str:
    """Who is on which side of the first kink at which they part, and that all of them are right."""
    for kink in (kink for one in judged.values() for kink in one.kinks):
        same = {
            name: other
            for name, one in judged.items()
            for other in one.kinks
            if (other.step, other.node, other.index) == (kink.step, kink.node, kink.index)
        }
        above = [name for name, other in same.items() if other.taken]
        below = [name for name, other in same.items() if other.taken is False]
        if above and below:
            index = list(map(int, kink.index))
            gap = str(kink.gap.digits(3)[()])
            where = "lies exactly on the kink" if gap == "0" else f"is {gap} away from the kink"
            return (
                f"An undetermined branch, not a bug. The number that `{kink.node}` compares at {index} {where}, and "
                f"rounding may move it by up to {kink.bound:.2g}. "
                f"{_and(above)} {'lands' if len(above) == 1 else 'land'} above it, {_and(below)} at or below it, so "
                "their gradients differ; each is right for the side it took."
            )
    return " ".join(finding.sentence for finding in findings if finding.verdict == "undetermined branch")


def gravity(finding: Finding) -> tuple[int, float]:
    """What the gravest of several findings has most of: the verdict, then error / bound."""
    return SEVERITY.index(finding.verdict), as_float(finding.worst_ratio)


def failed(name: str, verdict: Verdict, error: BaseException) -> Finding:
    """The finding on an implementation that gave no trace."""
    did = {"not implemented": "does not implement this case", "crash": "crashed"}.get(verdict, "was not judged")
    return Finding(
        implementation=name, verdict=verdict, sentence=f"{name} {did}: {error or type(error).__name__}"
    )


def _sentence(name: str, verdict: Verdict, where: str, ratio: float, judged: Judgement) -> str:
    if verdict in ("exact", "rounding"):
        verdicts = np.concatenate([one.verdicts.ravel() for one in judged.comparisons.values()])
        exact = int((verdicts == SEVERITY.index("exact")).sum())
        if exact == verdicts.size:
            return f"{name}: all {verdicts.size:,} numbers are the floats nearest to the exact values."
        return (
            f"{name}: {exact:,} of {verdicts.size:,} numbers are the floats nearest to the exact values; "
            f"the rest lie within the rounding bound, at most {_times(ratio)} (in {where})."
        )
    if verdict == "mismatch":
        return f"{name} disagrees with the exact value by {_times(ratio)} in {where}."
    if verdict == "non-finite":
        return f"{name} has NaN or infinity where the exact value has none, or the other way round, in {where}."
    if verdict == "undetermined branch":
        return (
            f"{name} takes a branch that rounding leaves open, and {where} is right for the branch it took: "
            "an undetermined branch, not a bug."
        )
    if verdict == "suspicious":
        return (
            f"{name} is further from the exact value than rounding is likely to take it, in {where}, though within the "
            "worst case. Record its intermediates, and each operation can be judged by itself."
        )
    if verdict == "convention":
        return (
            f"{name} takes another subgradient than the card does where a number lies exactly on a kink, in {where}: "
            "a convention, not a bug."
        )
    if verdict == "ill-conditioned":
        return f"{name}: the rounding bound is infinite in {where}, so nothing can be said there."
    return f"{name}: the exact value could not be had in {where}."


def _detail(case: Case, name: str, verdict: Verdict, place: Quantity, judged: Judgement) -> str:
    if verdict == "undetermined branch":
        kink = next((kink for kink in judged.kinks if kink.own_gap is not None), None)
        if kink is None:
            return ""
        index = list(map(int, kink.index))
        return (
            f"The number that `{kink.node}` compares at {index} is exactly {kink.gap.digits(3)[()]}; "
            f"{name} has {kink.own_gap:.3g}, which its own rounding bound of {kink.bound:.2g} cannot tell from a kink."
        )
    if verdict in ("undecided", "ill-conditioned"):
        wild = [f"`{name}`" for name, array in case.values.items() if not np.isfinite(array).all()]
        return f"The case itself has NaN or infinity in {_and(wild)}." if wild else ""
    if verdict not in FAULTS:
        return ""
    op = responsible(case, place)
    if place.kind == "value":
        return f"Everything before it agrees, so {op} is at fault."
    if place.kind == "grad":
        return f"Its forward pass agrees, and every gradient computed before it, so {op} is at fault."
    return f"Its forward pass and all its gradients agree, so {op} is at fault, not the model."


def _sharpness(judged: Judgement) -> float:
    """The median over the gradients' elements; 0 when there are none."""
    grads = [array.ravel() for quantity, array in judged.sharpness.items() if quantity.kind == "grad"]
    known = np.concatenate(grads or [np.zeros(0)])
    known = known[~np.isnan(known)]
    return float(np.median(known)) if known.size else 0.0


def _uses(node: object, name: str) -> bool:
    return name in node.inputs or name in node.params.values()  # type: ignore[attr-defined]


def _times(ratio: float) -> str:
    if ratio == 0:
        return "0 times the rounding bound"
    return f"{ratio:,.2f} times the rounding bound" if ratio < 1e6 else f"{ratio:.1e} times the rounding bound"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "nobody"


def _agree(count: int) -> str:
    return "agrees" if count == 1 else "agree"



