"""What a version lets a tenant choose: schemas that are refused, and values that are refused by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prismicx.errors import InvalidInput
from prismicx.systems.declarations import Choices, Declaration, Feature, read_declaration, stored_declaration
from prismicx.systems.manifest import Checker

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["currency"],
    "properties": {
        "currency": {"$ref": "#/$defs/code", "default": "EUR"},
        "limits": {"type": "object", "properties": {"rows": {"type": "integer", "minimum": 1}}},
    },
    "$defs": {"code": {"type": "string", "pattern": "^[A-Z]{3}$"}},
}
DECLARED = Declaration(SCHEMA, {"beta": Feature("Try it", False), "alpha": Feature("Tried", True)})


def read(**tables: Any) -> Declaration:
    return read_declaration(Checker(Path("system.toml")), tables, " of 1.0")


def schema(**words: Any) -> dict[str, Any]:
    return {"type": "object", **words}


def test_a_declaration_is_read_and_comes_back_from_its_row() -> None:
    found = read(configuration=SCHEMA, features={"beta": {"description": "Try it", "default": False}})
    assert found == Declaration(SCHEMA, {"beta": Feature("Try it", False)})
    assert stored_declaration(found.configuration_json(), found.features_json()) == found
    assert read() == read(configuration={}, features={}) == stored_declaration(None, None) == Declaration()
    assert (Declaration().configuration_json(), Declaration().features_json()) == (None, None)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (schema(properties={"a": {"type": "text"}}), "$.properties.a.type"),
        (schema(properties={"a": {"pattern": "("}}), "$.properties.a.pattern"),
        (schema(properties={"a": {"$ref": "https://example.test/schema"}}), "$ref"),
        (schema(properties={"a": {"$ref": "file:///etc/passwd"}}), "$ref"),
        (schema(properties={"a": {"$ref": "other.json#/a"}}), "$ref"),
        (schema(properties={"a": {"$ref": "#"}}), "$ref"),
        (schema(properties={"a": {"$ref": "#/$defs/b"}}), "#/$defs/b"),
        (schema(properties={"a": {"$ref": "#/type"}}), "#/type"),
        (schema(properties={"a": {"$dynamicRef": "#a"}}), "$dynamicRef"),
        (schema(**{"$id": "https://example.test/"}), "$id"),
        (schema(allOf=[{"$anchor": "a"}]), "$anchor"),
        (schema(properties={"a": {"type": "integer", "default": "x"}}), "default of a"),
        (schema(properties={"a": {"$ref": "#/properties/a", "default": 1}}), "without an end"),
        (schema(description="x" * 70_000), "bytes"),
    ],
)
def test_a_schema_that_would_not_do_is_named(wrong: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(configuration=wrong)
    assert caught.value.code == "package.invalid"
    assert caught.value.message.startswith("system.toml: ")
    assert word in str(caught.value)


def test_what_was_not_chosen_is_as_declared() -> None:
    assert DECLARED.effective_configuration({}) == {"currency": "EUR"}
    assert DECLARED.effective_configuration({"currency": "CHF"}) == {"currency": "CHF"}
    assert DECLARED.effective_features({"beta": True, "gone": True}) == {"beta": True, "alpha": True}


def test_changes_are_by_key_and_none_takes_away() -> None:
    first = DECLARED.changed(Choices(), {"currency": "CHF", "limits": {"rows": 2}}, {"beta": True})
    assert first == Choices({"currency": "CHF", "limits": {"rows": 2}}, {"beta": True})
    second = DECLARED.changed(first, {"currency": None}, {"alpha": False})
    assert second == Choices({"limits": {"rows": 2}}, {"beta": True, "alpha": False})
    assert DECLARED.changed(second, None, None) == second


@pytest.mark.parametrize(
    ("configuration", "features", "words"),
    [
        ({"currency": "euro"}, None, ["$.currency", "^[A-Z]{3}$"]),
        ({"limits": {"rows": 0}}, None, ["$.limits.rows", "minimum"]),
        ({"colour": "red"}, None, ["$", "colour"]),
        ({"currency": 5}, None, ["$.currency", "string"]),
        ({"limits": {"rows": float("inf")}}, None, ["inf"]),
        ({"limits": {"note": "x" * 20_000}}, None, ["bytes"]),
        ({"currency": "a\0b"}, None, ["NUL"]),
        ({5: 1}, None, ["key"]),
        ([1], None, ["JSON object"]),
        ("x", None, ["JSON object"]),
        (None, {"gamma": True}, ["gamma", "features are beta, alpha"]),
        (None, {"beta": 1}, ["beta", "True or False"]),
        (None, {"beta": None}, ["beta", "True or False"]),
        (None, ["beta"], ["features"]),
    ],
)
def test_what_does_not_fit_is_named_with_place_and_rule(configuration: Any, features: Any, words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        DECLARED.changed(Choices(), configuration, features)
    assert caught.value.code == "system.configuration_invalid"
    for word in words:
        assert word in str(caught.value)


def test_a_version_that_declares_nothing_takes_nothing() -> None:
    assert Declaration().changed(Choices(), {}, {}) == Choices()
    for configuration, features in (({"a": 1}, None), (None, {"a": True})):
        with pytest.raises(InvalidInput) as caught:
            Declaration().changed(Choices(), configuration, features)
        assert caught.value.code == "system.configuration_invalid"


def test_a_schema_without_an_end_refuses_instead_of_failing() -> None:
    endless = Declaration({"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}})
    with pytest.raises(InvalidInput, match="without an end"):
        endless.changed(Choices(), {"a": 1}, None)
