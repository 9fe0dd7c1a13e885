"""Statements that mend a schema: what is only to be looked at stays a comment to its end."""

from __future__ import annotations

from prismicx.systems.ddl import repair
from prismicx.systems.definitions import Definitions
from prismicx.systems.differences import Difference, Problem, differences
from prismicx.systems.mend import Roles
from prismicx.systems.shape import Fact, Shape

ROLES = Roles("tenant_a_crm", "owner_a", "tenant_a")
BROKEN = '"x\nDROP SCHEMA tenant_b_crm CASCADE;\r--"'


def mended(expected: list[Fact], found: list[Fact]) -> list[str]:
    shape = Shape("", tuple(sorted(expected)))
    return repair(differences(shape, Shape("", tuple(sorted(found)))), Definitions(shape, ()), ROLES)


def changed(kind: str, name: str, aspect: str, expected: str, found: str, problem: Problem = "changed") -> list[str]:
    return repair([Difference(kind, name, problem, aspect, expected, found)], Definitions(Shape("", ()), ()), ROLES)


def commented(statements: list[str]) -> list[str]:
    """Comments; none of them goes on in a further line."""
    found = [line for line in statements if line.startswith("--")]
    assert not [line for line in found if "\n" in line or "\r" in line]
    return found


def test_a_name_with_a_line_break_is_dropped_in_a_comment() -> None:
    (comment,) = commented(mended([], [Fact("table", BROKEN, "definition", "table")]))
    assert comment.startswith('-- DROP TABLE "x DROP SCHEMA tenant_b_crm CASCADE;')


def test_an_expression_of_several_lines_stays_in_its_comment() -> None:
    case = "CASE\n    WHEN (b > 0) THEN 1\n    ELSE 0\nEND"
    (comment,) = commented(changed("column", "items.a", "generated", case, ""))
    assert "generated should be CASE WHEN (b > 0) THEN 1 ELSE 0 END" in comment


def test_labels_and_what_nothing_makes_stay_in_their_comments() -> None:
    (comment,) = commented(changed("type", "mood", "labels", "'good'", "'good', 'b\nDROP TABLE items'"))
    assert "a label cannot be taken away" in comment
    assert commented(changed("operator", BROKEN, "", "x", "", "missing"))
    assert commented(changed("table", BROKEN, "grants", "", "PUBLIC: SELECT by somebody"))
