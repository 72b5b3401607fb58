"""The table of all cases as one compact JSON text: a column is a dictionary of what occurs in it, and one letter a row.

Compressed, a row takes about 27 bytes so, and a browser reads a million of them in a second or two. Dictionaries of
numbers are in order, so that the letters of a column sort as its numbers do. Nothing here is HTML: `packed` leaves
letters and digits alone, and `as_json` escapes what could end the element that it is put into.
"""

from __future__ import annotations

import base64
import json
import math
import re
import shlex
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.campaign.records import SEVERITY, CaseRecord
from reports.clusters import Cluster
from reports.finding_view import finding_of, size_beside
from reports.looks import title_of
from reports.verdict_view import NOT_RECORDED, Badge, badge
from reports.wording import largest, ratio_text, size_text

APART, NUMBER, ALONE = " ", "!", "!"
"""What stands between words and rows, for a generated case's own number, and before operations that a title does not
tell. None is a letter."""
_FIRST, _LAST = 35, 0xD800


def _letters() -> str:
    """One letter for each entry of a dictionary, those that take the fewest bytes first; `report.js` has the same."""
    plain = (code for code in range(_FIRST, 127) if chr(code) not in "&<>\\")
    wide = (code for code in range(192, _LAST) if code not in (0x2028, 0x2029))
    return "".join(map(chr, (*plain, *wide)))


LETTERS = _letters()
_HEX = re.compile(r"[0-9a-f]{16}")


def columns(
    cases: Sequence[CaseRecord],
    implementations: Sequence[str],
    found: Sequence[Cluster],
    examples: Mapping[str, str],
    store: str,
) -> dict[str, Any]:
    """All that the table shows, sorts by and filters by; which of the rows have a page is added by who makes them."""
    badges = [*(badge(verdict) for verdict in SEVERITY), NOT_RECORDED]
    rank = {one.word: place for place, one in enumerate(badges)}
    ids = [case.id for case in cases]
    absent = (rank[NOT_RECORDED.word], -1.0, "")
    who = []
    for name in implementations:
        own = [finding_of(case, name) for case in cases]
        told = [(rank[one.verdict], largest((one.worst_ratio,)), size_beside(one)) if one else absent for one in own]
        verdicts, sizes, texts = zip(*told, strict=True) if told else ((), (), ())
        who.append({"verdict": _ranks(verdicts), "size": _numbers(sizes, texts)})
    ratios = [largest([one.worst_ratio for one in case.findings]) if case.findings else -1.0 for case in cases]
    ulps = [largest([one.worst_ulps for one in case.findings]) if case.findings else -1.0 for case in cases]
    titles = _titles(cases)
    return {
        "rows": len(cases),
        "store": shlex.quote(store) if store else "",
        "implementations": list(implementations),
        "badges": [_sign(one) for one in badges],
        "ids": "".join(ids) if all(_HEX.fullmatch(one) for one in ids) else ids,
        "titles": titles,
        "numbers": _runs(cases),
        "examples": _names([examples.get(case.example, case.example) for case in cases]),
        "verdict": _ranks(rank[case.verdict] for case in cases),
        "dtype": _names([case.dtype for case in cases]),
        "cards": _cards(cases, told=isinstance(titles, dict)),
        "who": who,
        "ulps": _numbers(ulps, ["–" if one == -1 else size_text(one) for one in ulps]),
        "ratio": _numbers(ratios, ["–" if one == -1 else ratio_text(one) for one in ratios]),
        "bugs": {one.key.anchor: {"name": one.key.what, "rows": one.members} for one in found},
    }


def as_json(value: object) -> str:
    """JSON that holds nothing which a browser could take for markup or for the end of a line of script."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    # Half of a pair of surrogates is no text in UTF-8; a record that holds one has come through JSON as well.
    return text.encode("utf-8", "replace").decode()


def packed(table: object) -> str:
    """A table as letters and digits: JSON, compressed, in base 64."""
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode()


def _sign(one: Badge) -> dict[str, str]:
    return {"word": one.word, "short": one.short, "symbol": one.symbol, "tone": one.tone}


def _operations(case: CaseRecord) -> list[str]:
    """What a case can be filtered by: its operations, its optimizer, and what changes that."""
    if case.tested is None:
        return list(dict.fromkeys(node.op for node in case.graph if node.op))
    tested = case.tested
    return [*tested.cards, *(one for one in (tested.optimizer, tested.schedule, tested.clip) if one)]


def _ranks(ranks: Iterable[int]) -> str:
    return "".join(LETTERS[one] for one in ranks)


def _names(values: Sequence[str]) -> dict[str, Any]:
    """A column of a few names."""
    names = sorted(set(values))
    if len(names) > len(LETTERS):
        names = names[: len(LETTERS)]
    place = {name: LETTERS[at] for at, name in enumerate(names)}
    return {"values": names, "at": "".join(place.get(value, LETTERS[0]) for value in values)}


def _numbers(keys: Sequence[float], texts: Sequence[str]) -> dict[str, Any]:
    """A column of numbers as they are written, their dictionary in the order of size.

    >>> _numbers([2.0, 0.5, 2.04], ["2", "0.5", "2"])
    {'values': ['0.5', '2'], 'at': '$#$'}
    """
    least: dict[str, float] = {}
    for key, text in zip(keys, texts, strict=True):
        size = -1.0 if math.isnan(key) else key
        least[text] = min(size, least.get(text, math.inf))
    ordered = sorted(least, key=lambda text: (least[text], text))[: len(LETTERS)]
    place = {text: LETTERS[at] for at, text in enumerate(ordered)}
    return {"values": ordered, "at": "".join(place.get(text, LETTERS[0]) for text in texts)}


def _cards(cases: Sequence[CaseRecord], *, told: bool) -> dict[str, Any]:
    """The operations of each row. `told`: those that its title names are left out, and read there.

    Where a title names an operation that the case has not, all of the row's stand here, behind a sign.
    """
    rows = [_operations(case) for case in cases]
    names = sorted({name for row in rows for name in row})[: len(LETTERS)]
    place = {name: LETTERS[at] for at, name in enumerate(names)}
    at = []
    for case, row in zip(cases, rows, strict=True):
        said = {word.rstrip(";,") for word in title_of(case).split(APART)} & place.keys() if told else set()
        alone = not said <= set(row)
        letters = [place.get(name, "") for name in row if alone or name not in said]
        at.append("".join([ALONE if alone else "", *letters]))
    return {"values": names, "told": told, "at": APART.join(at)}


def _titles(cases: Sequence[CaseRecord]) -> dict[str, Any] | list[str]:
    """The titles, a letter a word, the most frequent words the shortest; as they are, where there are too many."""
    counts: dict[str, int] = {}
    if any(NUMBER in title_of(case).split(APART) for case in cases):  # it could not be told from the sign
        return [title_of(case) for case in cases]
    split = [_words(case) for case in cases]
    for words in split:
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    counts.pop(NUMBER, None)
    if len(counts) > len(LETTERS):
        return [title_of(case) for case in cases]
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    place = {word: LETTERS[at] for at, word in enumerate(ordered)}
    place[NUMBER] = NUMBER
    return {"values": ordered, "at": APART.join("".join(place[word] for word in words) for words in split)}


def _words(case: CaseRecord) -> list[str]:
    """A title's words. A word that is the case's own number is written as one sign."""
    words = title_of(case).split(APART)
    if case.generated and words[0] == f"#{case.generated}":
        words[0] = NUMBER
    return words


def _runs(cases: Sequence[CaseRecord]) -> list[list[int]]:
    """Where runs of consecutively numbered generated cases begin, and with which number; 0 for what was not generated.

    >>> made = [CaseRecord(id="", title="", verdict="exact", headline="", dtype="", steps=0, generated=k)
    ...         for k in (0, 0, 1, 2, 3, 7)]
    >>> _runs(made)
    [[0, 0], [2, 1], [5, 7]]
    """
    runs: list[list[int]] = []
    for position, case in enumerate(cases):
        expected = runs[-1][1] and runs[-1][1] + position - runs[-1][0] if runs else -1
        if case.generated != expected:
            runs.append([position, case.generated])
    return runs
