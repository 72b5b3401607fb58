"""Every error that gradparity raises on purpose.

Each message says what was expected, what came, where, and what to do about it.
"""

from __future__ import annotations


class GradparityError(Exception):
    """The base of all of them; the command line prints it without a traceback and exits with 2."""


class CaseError(GradparityError):
    """A case, or a file that should hold one, is malformed.

    `path` is the place in the file, as a JSON path such as ``$.network.nodes[2].op``.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class RegistryError(GradparityError):
    """A card, an implementation or an entry point cannot be found, or two claim one name."""


class ImplementationError(GradparityError):
    """An implementation broke its contract: wrong names, wrong shapes, wrong types."""


class NotSupportedError(GradparityError):
    """Raised by an implementation for a case it does not implement.

    It is a visible verdict, `not implemented`, and never a silent skip.
    """


class StoreError(GradparityError):
    """A result store is missing, damaged, or written by a version that cannot be read."""
