"""How far a run is, on stderr: a bar where that is a terminal, now and then a line where it is not.

Nothing is written to stdout, so what is piped from there stays as it is.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

import click

EVERY = 10.0
"""Seconds between two lines, where there is no terminal."""
BAR = 20
CLEAR_LINE = "\r\x1b[2K"


class Progress:
    """Use as a context manager: `begin` a case, then say that it is `done`."""

    def __init__(
        self,
        total: int,
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = not quiet and self._stream.isatty()
        self._lines = not quiet and not self._terminal
        self._total, self._every, self._clock = total, every, clock
        self._done = self._findings = 0
        self._title = ""
        self._began = self._told = clock()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        """Draw the empty bar."""
        if self._terminal:
            self._bar = click.progressbar(
                length=self._total,
                file=self._stream,
                width=BAR,
                bar_template="[%(bar)s]  %(info)s",
                show_eta=False,
                show_percent=False,
                show_pos=True,
                item_show_func=lambda _: self._says(),
            )
            self._bar.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Leave the last state on the screen, the cursor below it."""
        self._title = "" if kind is None else "stopped"
        if self._bar is not None:
            self._bar.update(0)
            self._bar.render_progress()
            self._bar.__exit__(None, None, None)
        elif self._lines:
            self._line()

    def begin(self, title: str) -> None:
        """Say which case is being judged."""
        self._title = "".join(one if one.isprintable() else " " for one in title)
        if self._bar is not None:
            self._bar.render_progress()

    def done(self, finding: str = "") -> None:
        """Say that a case is judged, and what was found in it, if that needs to be seen at once."""
        self._done += 1
        if finding:
            self._findings += 1
            if self._terminal or self._lines:
                click.echo(f"{CLEAR_LINE if self._terminal else ''}{finding}", file=self._stream)
        if self._bar is not None:
            self._bar.update(1, self._done)
        elif self._lines and self._clock() - self._told >= self._every:
            self._line()

    def _line(self) -> None:
        self._told = self._clock()
        title = f"; {self._title}" if self._title else ""
        click.echo(f"[{self._done:,}/{self._total:,}] {self._times()}, {self._found()}{title}", file=self._stream)

    def _says(self) -> str:
        """The times, the findings and the title, as far as the line has room for them."""
        taken = len(f"[{'':{BAR}}]  {self._done}/{self._total}  ") + 1
        room = max(0, self._columns() - taken)
        text = f"{self._times()}, {self._found()}  {self._title}".rstrip()
        return text if len(text) <= room else f"{text[: room - 1]}…" if room else ""

    def _columns(self) -> int:
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except OSError:
            columns = 0
        return columns or shutil.get_terminal_size().columns

    def _found(self) -> str:
        return f"{self._findings or 'no'} finding{'' if self._findings == 1 else 's'}"

    def _times(self) -> str:
        spent = self._clock() - self._began
        if not 0 < self._done < self._total:
            return minutes(spent)
        return f"{minutes(spent)}, about {minutes(spent / self._done * (self._total - self._done))} left"


def minutes(seconds: float) -> str:
    """A time as a clock shows it.

    >>> minutes(7.4), minutes(131), minutes(4000)
    ('0:07', '2:11', '1:06:40')
    """
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
