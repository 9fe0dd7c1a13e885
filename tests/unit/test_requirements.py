"""What versions need of one another: what is published, what a tenant has, and what mends it."""

from __future__ import annotations

from typing import Any

import pytest

from prismicx.errors import Conflict
from prismicx.systems.requirements import Held, check_compatible, check_dependencies, check_published, fits


@pytest.mark.parametrize(
    ("specifiers", "version", "expected"),
    [
        (">=1.0,<2", "1.9", True),
        (">=1.0,<2", "2.0", False),
        (">=1.0", "2.0rc1", True),
        ("==1.*", "1.4", True),
        (">=15", "18.6", True),
        (">=15", "9.6", False),
        ("no specifier", "1.0", False),
        ({"min": 1}, "1.0", False),
        (None, "1.0", False),
    ],
)
def test_which_versions_will_do(specifiers: Any, version: str, expected: bool) -> None:
    assert fits(specifiers, version) is expected


@pytest.mark.parametrize(
    ("wanted", "latest", "word"),
    [
        ({"shop": ">=1"}, {"shop": {}}, "depends on itself"),
        ({"other": ">=1"}, {"shop": {"other": ">=1"}}, "other, which is not published"),
        ({"a": ">=1"}, {"shop": {"a": ">=1"}, "a": {"shop": ">=1"}}, "shop → a → shop"),
        ({"a": ">=1"}, {"shop": {"a": ">=1"}, "a": {"b": ">=1"}, "b": {"shop": ">=1"}}, "shop → a → b → shop"),
    ],
)
def test_dependencies_that_cannot_be_published(wanted: dict[str, str], latest: Any, word: str) -> None:
    with pytest.raises(Conflict) as caught:
        check_published("shop", [("1.0", wanted)], latest)
    assert caught.value.code == "package.dependency"
    assert word in caught.value.message
    assert caught.value.remedy


def test_what_others_need_of_one_another_is_not_this_systems_business() -> None:
    check_published("shop", [("1.0", {"a": ">=1"})], {"shop": {"a": ">=1"}, "a": {"b": ">=1"}, "b": {"a": ">=1"}})


@pytest.mark.parametrize("needed", [{"postgres": ">=99"}, {"prismicx": "<0.1"}, {"mysql": ">=8"}, {"postgres": 15}])
def test_parts_that_do_not_fit_are_named(needed: dict[str, Any]) -> None:
    with pytest.raises(Conflict) as caught:
        check_compatible("shop", "1.0", needed, {"postgres": "18.6", "prismicx": "0.1.0"})
    assert caught.value.code == "system.incompatible"
    assert next(iter(needed)) in caught.value.message


def test_all_that_is_missing_is_named_with_the_command_that_mends_it() -> None:
    wanted = Held("shop", "1.0", {"a": ">=2", "b": ">=1,<3", "c": ">=9", "d": "==1.*"})
    installed = {"b": Held("b", "3.0", {}), "d": Held("d", "0.9", {})}
    published = {
        "a": ["1.0", "2.0", "2.1"],
        "b": ["1.0", "2.0", "3.0"],
        "c": ["1.0"],
        "d": ["0.9", "1.0", "1.10", "1.9"],
    }
    with pytest.raises(Conflict) as caught:
        check_dependencies("acme", wanted, installed, published)
    assert caught.value.code == "system.dependency"
    for word in ("a >=2; acme has none", "b >=1,<3; acme has 3.0", "c >=9", "d ==1.*; acme has 0.9"):
        assert word in caught.value.message
    assert caught.value.remedy.split("; ") == [
        "prismicx system install a --version 2.1 --tenant acme",
        "prismicx system rollback b --to 2.0 --tenant acme",
        "publish a version of c that is >=9",
        "prismicx system upgrade d --to 1.10 --tenant acme",
    ]


def test_what_needs_a_system_must_take_its_new_version() -> None:
    installed = {"shop": Held("shop", "4.2", {"a": "<2"})}
    check_dependencies("acme", Held("a", "1.9", {}), installed, {})
    with pytest.raises(Conflict) as caught:
        check_dependencies("acme", Held("a", "2.0", {}), installed, {})
    assert caught.value.code == "system.dependency"
    assert "shop 4.2 of acme needs a <2, not 2.0" in caught.value.message
    assert "prismicx system upgrade shop --tenant acme" in caught.value.remedy
