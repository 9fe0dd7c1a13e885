"""What a version of a system lets a tenant choose: a configuration, by a JSON Schema, and features to switch.

Reference: `tenant_systems` Table, ``configurations`` and ``features_enabled``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prismicx.checks import check_object
from prismicx.errors import InvalidInput, quoted
from prismicx.json_schemas import flaw_of, problem_of
from prismicx.sealing.values import check_plain
from prismicx.systems.manifest import Checker

_SCHEMA_LIMIT = 64 * 1024
_FEATURE = re.compile(r"[a-z][a-z0-9_]{0,49}")
_NAMING = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Words of a schema under which there are schemas by name."""
_DATA = ("default", "const", "enum", "examples", "secret", "dependentRequired", "required")
"""Words of a schema under which there is no schema."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A part of a system that a tenant can switch; ``default`` tells whether it is on where nothing was said."""

    description: str
    default: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """What was set for an installation, as it is stored; the rest is as the version declares it."""

    configuration: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a version lets a tenant choose.

    Attributes:
        configuration: a JSON Schema of type object; None takes no configuration. Keys with ``"secret": true`` have
            values that are sealed where they are stored.
        features: by name.
    """

    configuration: Mapping[str, Any] | None = None
    features: Mapping[str, Feature] = field(default_factory=dict)

    @property
    def secrets(self) -> frozenset[str]:
        """The keys whose values are sealed."""
        properties = (self.configuration or {}).get("properties", {})
        return frozenset(key for key, rules in properties.items() if isinstance(rules, dict) and rules.get("secret"))

    def changed(
        self,
        held: Choices,
        configuration: Mapping[str, Any] | None,
        features: Mapping[str, bool] | None,
        unread: Collection[str] = (),
    ) -> Choices:
        """Choices after changes.

        Args:
            configuration: new values by top-level key; None takes one away.
            features: on or off, by name.
            unread: keys of what is set and was not opened, so that nothing is said of their values.

        Raises:
            InvalidInput: ``system.configuration_invalid`` when they are not what is declared here.
        """
        if configuration is not None:
            check_object("system.configuration_invalid", "configuration", configuration)
            for key, value in configuration.items():
                check_plain("system.configuration_invalid", f"{quoted(key)} of configuration", value)
        merged = {**held.configuration, **(configuration or {})}
        chosen = Choices(
            {key: value for key, value in merged.items() if value is not None},
            {**held.features, **self._checked_features(features or {})},
        )
        self._check_configuration(chosen.configuration, set(unread) - set(configuration or {}))
        return chosen

    def effective_configuration(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """What counts: what was set, else what the schema gives as ``default`` of a top-level key."""
        properties = (self.configuration or {}).get("properties", {})
        defaults = {key: rules["default"] for key, rules in properties.items() if _has_default(rules)}
        return {**defaults, **chosen}

    def effective_features(self, chosen: Mapping[str, bool]) -> dict[str, bool]:
        """What counts: of the features this version has, what was set, else the default."""
        return {name: chosen.get(name, feature.default) for name, feature in self.features.items()}

    def features_json(self) -> str | None:
        """As it is stored."""
        held = {
            name: {"description": item.description, "default": item.default} for name, item in self.features.items()
        }
        return json.dumps(held) if held else None

    def configuration_json(self) -> str | None:
        """As it is stored."""
        return None if self.configuration is None else json.dumps(self.configuration)

    def _checked_features(self, features: Mapping[str, bool]) -> Mapping[str, bool]:
        if not isinstance(features, Mapping):
            raise _refused(f"features are {quoted(features)}", "give True or False by name")
        for name, on in features.items():
            if name not in self.features:
                known = ", ".join(self.features) or "none: this version has no features"
                raise _refused(f"there is no feature {quoted(name)}", f"features are {known}")
            if not isinstance(on, bool):
                raise _refused(f"the feature {name} is {quoted(on)}", "give True or False")
        return features

    def _check_configuration(self, chosen: Mapping[str, Any], unread: set[str]) -> None:
        check_object("system.configuration_invalid", "configuration", chosen)
        if self.configuration is None:
            if chosen:
                raise _refused(f"configuration has {', '.join(sorted(chosen))}", "this version takes no configuration")
            return
        effective = self.effective_configuration(chosen)
        problem = problem_of(self.configuration, effective, self.secrets, unread)
        if problem:
            raise _refused(
                f"configuration {problem}",
                "prismicx system show SYSTEM tells the schema; null takes a key away",
            )


def read_declaration(check: Checker, item: dict[str, Any], where: str) -> Declaration:
    """The tables ``configuration`` and ``features`` of a version.

    Raises:
        InvalidInput: ``package.invalid``.
    """
    schema = check.table(item, "configuration", where, _SCHEMA_LIMIT)
    if schema is not None:
        _check_schema(check, schema, f"configuration{where}")
    features = {}
    for name, held in (check.table(item, "features", where, _SCHEMA_LIMIT) or {}).items():
        label = f"features.{name}{where}"
        if not _FEATURE.fullmatch(name):
            raise check.wrong(
                f"the name of a feature{where}", name, "use at most 50 letters a-z, digits and '_', a letter first"
            )
        check.fields(held, ("default", "description"), label)
        if not isinstance(held.get("default"), bool):
            raise check.wrong(f"default of {label}", held.get("default"), "give true or false")
        features[name] = Feature(check.text(held, "description", 500, f" of {label}"), held["default"])
    return Declaration(schema, features)


def stored_declaration(configuration: str | None, features: str | None) -> Declaration:
    """A declaration from its row; without one, that of a version which declares nothing."""
    held: dict[str, dict[str, Any]] = json.loads(features) if features else {}
    return Declaration(
        json.loads(configuration) if configuration else None,
        {name: Feature(item["description"], item["default"]) for name, item in sorted(held.items())},
    )


def stored_choices(configurations: str | None, features_enabled: str | None) -> Choices:
    """Choices from their columns."""
    return Choices(
        json.loads(configurations) if configurations else {}, json.loads(features_enabled) if features_enabled else {}
    )


def _refused(message: str, remedy: str) -> InvalidInput:
    return InvalidInput("system.configuration_invalid", message, remedy)


def _check_schema(check: Checker, schema: dict[str, Any], label: str) -> None:
    if schema.get("type") != "object":
        raise check.wrong(f"type of {label}", schema.get("type"), 'write type = "object"')
    flaw = flaw_of(schema)
    if flaw is not None:
        raise check.wrong(f"{flaw.where} of {label}", flaw.found, flaw.remedy)
    for path, value in _secrets(schema):
        if not isinstance(value, bool) or (value and (len(path) != 2 or path[0] != "properties")):
            raise check.wrong(
                f"secret at {'.'.join(path) or 'the top'} of {label}", value, "write true or false, in a top-level key"
            )
        if value and _has_default(schema["properties"][path[1]]):
            raise check.wrong(f"default of {path[1]} in {label}", "a secret's", "leave it out: everybody could read it")
    for key, rules in schema.get("properties", {}).items():
        problem = problem_of(schema, rules["default"], part=rules) if _has_default(rules) else ""
        if problem:
            raise check.wrong(f"default of {key} in {label}", rules["default"], f"give one that fits: {problem}")


def _secrets(schema: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every word ``secret`` of the schema and of schemas in it, with the path to where it stands."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), schema)]
    while pending:
        path, part = pending.pop()
        named = bool(path) and path[-1] in _NAMING and (len(path) < 2 or path[-2] not in _NAMING)
        if isinstance(part, list):
            pending += [((*path, str(index)), inner) for index, inner in enumerate(part)]
        elif isinstance(part, dict):
            if "secret" in part and not named:
                yield path, part["secret"]
            pending += [((*path, key), inner) for key, inner in part.items() if named or key not in _DATA]


def _has_default(rules: Any) -> bool:
    return isinstance(rules, dict) and "default" in rules
