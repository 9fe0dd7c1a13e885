"""Secrets in the configuration of an installed system."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from prismicx import InvalidInput, Platform
from prismicx.sealing.values import MARK, is_sealed
from prismicx.settings import Settings
from tests.sealing import DECLARED, SECRET, stored
from tests.support import make_package

Id = Callable[[], str]


@pytest.fixture
async def tenant_id(px: Platform, new_id: Id) -> str:
    made = new_id()
    await px.tenants.create(made, name="Sealed", isolation="shared")
    return made


async def test_secret_configurations(px: Platform, settings: Settings, tenant_id: str, tmp_path: Path) -> None:
    steps = [("CREATE TABLE t1 (a int);", "DROP TABLE t1;"), ("CREATE TABLE t2 (a int);", "DROP TABLE t2;")]
    kind = f"mailer{secrets.token_hex(3)}"
    # The second version forgets to say that the token is secret.
    second = DECLARED.replace(", secret = true", "")
    await px.catalogue.publish(make_package(tmp_path, kind, *steps, declared={1: DECLARED, 2: second}))
    chosen = {"url": "https://a.test", "token": SECRET, "port": 25}
    async with px.tenant(tenant_id) as scope:
        made = await scope.systems.install(kind, "1.0", configuration=chosen)
        assert made.configuration == chosen and made.secrets == {"token", "port"}
        (raw,) = (await stored(settings, tenant_id))["systems"]
        assert raw["url"] == "https://a.test" and is_sealed(raw["token"]) and is_sealed(raw["port"])
        changed = await scope.systems.configure(kind, configuration={"port": 26})
        assert changed.configuration == {**chosen, "port": 26}
        for given in ({"token": "short"}, {"port": SECRET}):
            with pytest.raises(InvalidInput) as caught:
                await scope.systems.configure(kind, configuration=given)
            assert "short" not in str(caught.value) and SECRET not in str(caught.value)
            assert "it breaks" in str(caught.value)
        with pytest.raises(InvalidInput):
            await scope.systems.configure(kind, configuration={"url": f"{MARK}x"})
        # An upgrade keeps sealed what was; the values still obey what the next version says of them.
        upgraded = await scope.systems.migrate(kind)
        assert upgraded.version == "2.0" and upgraded.configuration == {**chosen, "port": 26}
        (raw,) = (await stored(settings, tenant_id))["systems"]
        assert is_sealed(raw["token"]) and is_sealed(raw["port"]) and not is_sealed(raw["url"])
        assert upgraded.secrets == {"token", "port"}
        assert (await scope.systems.of_type(kind)).configuration == {**chosen, "port": 26}
        async with scope.system(kind).sql() as sql:
            assert await sql.fetchval("SELECT count(*) FROM t2") == 0
        taken = await scope.systems.configure(kind, configuration={"token": None})
        assert taken.configuration == {"url": "https://a.test", "port": 26}


@pytest.mark.parametrize(
    "declared",
    [
        'properties.a = { type = "string", secret = "yes" }',
        'properties.a = { type = "string", secret = true, default = "x" }',
        'properties.a = { type = "object", properties = { b = { secret = true } } }',
        'secret = true\nproperties.a = { type = "string" }',
        "properties.a = { anyOf = [{ secret = true }] }",
        'properties.a = { "$ref" = "#/$defs/s" }\n"$defs".s = { secret = true }',
    ],
)
async def test_secret_is_said_of_top_level_keys_only(px: Platform, tmp_path: Path, declared: str) -> None:
    text = f'[versions.configuration]\ntype = "object"\n{declared}\n'
    package = make_package(tmp_path, f"s{secrets.token_hex(3)}", ("SELECT 1;", "SELECT 1;"), declared={1: text})
    with pytest.raises(InvalidInput) as caught:
        await px.catalogue.publish(package)
    assert caught.value.code == "package.invalid"


async def test_a_key_may_be_named_secret(px: Platform, tmp_path: Path) -> None:
    text = '[versions.configuration]\ntype = "object"\nproperties.secret = { type = "string", default = "x" }\n'
    text += "properties.data = { default = { secret = true } }\n"
    package = make_package(tmp_path, f"s{secrets.token_hex(3)}", ("SELECT 1;", "SELECT 1;"), declared={1: text})
    await px.catalogue.publish(package)
