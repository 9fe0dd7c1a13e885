"""What is recorded where no platform is open: the reference, and the passwords of services."""

from __future__ import annotations

import asyncio
import json

import pytest

from prismicx import Platform
from prismicx.audit.trail import queries
from prismicx.credentials import Credentials
from prismicx.engines.endpoints import locate
from prismicx.errors import Unavailable
from prismicx.reference import rotation
from prismicx.reference.apply import apply
from prismicx.reference.rotation import retire, rotate
from prismicx.settings import Settings
from tests.integration.audit.conftest import events


async def test_a_rotation_has_a_row_before_and_one_after(own: Settings, platform: Platform) -> None:
    await rotate(own, locate(own), grace=0)
    (begun, ended) = await events(platform, operation="credentials.rotate")
    (first, last) = await events(platform, operation="credentials.retire")
    assert begun.sequence < first.sequence < last.sequence < ended.sequence
    assert (begun.outcome, ended.outcome, ended.begun) == ("begun", "done", begun.sequence)
    assert (first.outcome, last.outcome, last.begun) == ("begun", "done", first.sequence)


@pytest.mark.parametrize("error", [OSError("the disk is full"), asyncio.CancelledError(), KeyboardInterrupt()])
async def test_whatever_ends_a_rotation_is_its_outcome(
    own: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def ended(*_: object) -> None:
        raise error

    monkeypatch.setattr(Credentials, "pass_to", ended)
    with pytest.raises(type(error)):
        await rotate(own, locate(own), grace=0)
    monkeypatch.undo()
    begun, last = (await events(platform, operation="credentials.rotate"))[-2:]
    assert (last.outcome, last.code, last.begun) == ("failed", f"error.{type(error).__name__}", begun.sequence)
    await retire(own, locate(own))


async def test_a_rotation_that_was_killed_is_unfinished(
    own: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    async def looked(*_: object) -> None:
        seen.extend(await events(platform, operation="credentials.rotate", unfinished=True))
        raise OSError("as far as this")

    monkeypatch.setattr(rotation, "_check_retired", looked)
    with pytest.raises(OSError, match="as far"):
        await rotate(own, locate(own))
    assert [event.outcome for event in seen] == ["begun"]


async def test_no_password_is_made_anew_without_a_record(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(queries._statements, "append", "SELECT prismicx.append_nothing($1::json)")
    before = json.loads(own.credentials_file.read_text())
    with pytest.raises(Unavailable) as caught:
        await rotate(own, locate(own), grace=0)
    assert caught.value.code == "audit.unavailable"
    assert json.loads(own.credentials_file.read_text()) == before
    await apply(own, locate(own))  # it would mend the trail


async def test_the_reference_is_recorded_once_there_is_a_trail(own: Settings, platform: Platform) -> None:
    first = (await events(platform, operation="db.apply"))[0]
    assert (first.outcome, first.begun) == ("done", None)
    assert first.details["changes"] > 0
    await apply(own, locate(own))
    begun, ended = (await events(platform, operation="db.apply"))[-2:]
    assert (begun.outcome, ended.outcome, ended.begun) == ("begun", "done", begun.sequence)
