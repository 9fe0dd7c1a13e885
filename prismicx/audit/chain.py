"""The chain of hashes, worked out again from what the rows say: pure functions.

The database makes the chain (`prismicx.append_audit`); here it is computed a second time, by other code, so that a
database whose function was exchanged does not vouch for itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

START = "0" * 64
"""What the first row has as the hash before it."""

COLUMNS = (
    "sequence", "recorded_at", "door", "actor", "operation", "tenant_id", "subject", "outcome", "code", "begun",
    "details", "previous_hash",
)  # fmt: skip
"""What the hash of a row is over, in this order."""

Row = Any
"""A mapping of columns, such as the driver's record, which is no Mapping to type checkers."""

Kind = Literal["missing", "order", "unlinked", "changed", "head", "anchor"]


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the chain breaks first.

    Attributes:
        sequence: the row; None where the row that is looked for is nowhere.
        kind: ``missing`` (rows are not there), ``order`` (a place is taken twice), ``unlinked`` (its link does not fit
            the row before: that one was exchanged, or this one), ``changed`` (its content does not fit its hash),
            ``head`` (the chain does not end where its end was written down: rows were cut off or added),
            ``anchor`` (no row has the hash that was expected: rows were cut off, or all were written anew).
        problem: the same in words.
    """

    sequence: int | None
    kind: Kind
    problem: str


def hash_of(row: Row) -> str:
    """The hash of a row: SHA-256, in hex, of its values, each with its length before it."""
    return sha256(b"".join(_part(row[column]) for column in COLUMNS)).hexdigest()


class Walk:
    """Follows the chain from one row to the next.

    Args:
        sequence: the last row that is taken on trust, 0 for the beginning.
        previous: its hash.
    """

    __slots__ = ("_before", "rows", "sequence")

    def __init__(self, sequence: int = 0, previous: str = START) -> None:
        self.sequence = sequence
        self.rows = 0
        self._before = previous

    @property
    def hash(self) -> str:
        """The hash of the last row."""
        return self._before

    def take(self, row: Row) -> Broken | None:
        """The next row; what is wrong with it, if anything is."""
        wanted, found = self.sequence + 1, row["sequence"]
        if found > wanted:
            several = f"rows {wanted} to {found - 1} are" if found - 1 > wanted else f"row {wanted} is"
            return Broken(wanted, "missing", f"{several} missing")
        if found < wanted:
            return Broken(found, "order", f"row {found} comes after row {self.sequence}")
        if row["hash"] != hash_of(row):
            return Broken(found, "changed", f"row {found} is not what its hash was made of")
        if row["previous_hash"] != self._before:
            where = f"row {self.sequence}" if self.sequence else "the beginning"
            return Broken(found, "unlinked", f"row {found} does not follow {where}: one of the two was exchanged")
        self.sequence, self._before = found, row["hash"]
        self.rows += 1
        return None

    def end(self, sequence: int, head: str) -> Broken | None:
        """What is wrong with where the chain ends, given the end that was written down."""
        if sequence > self.sequence:
            return Broken(
                self.sequence + 1, "head", f"the chain ends at row {self.sequence}, not {sequence}: it was cut"
            )
        if sequence < self.sequence or head != self._before:
            return Broken(
                self.sequence, "head", f"row {self.sequence} is not the end that was written down: {sequence}"
            )
        return None


def first_broken(rows: Iterable[Row]) -> Broken | None:
    """The first row of a whole chain that is wrong."""
    walk = Walk()
    return next((broken for row in rows if (broken := walk.take(row)) is not None), None)


def _part(value: Any) -> bytes:
    if value is None:
        return b"-,"
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else _moment(value)
    held = text.encode()
    return b"%d:%b," % (len(held), held)


def _moment(value: Any) -> str:
    text: str = value.isoformat(timespec="microseconds")
    return text
