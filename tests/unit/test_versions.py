"""Versions: every change has a later time, and so another version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prismicx.clock import utc_milliseconds, utc_now
from prismicx.versions import moment_of, version_of

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(MOMENTS)
def test_the_next_change_has_a_later_version(before: datetime) -> None:
    held = before.replace(microsecond=before.microsecond // 1000 * 1000)
    assert before < utc_now(after=before).replace(tzinfo=UTC)
    assert held < utc_milliseconds(after=held)
    assert utc_milliseconds(after=held).microsecond % 1000 == 0
    assert version_of(utc_now(after=before)) > version_of(before)


def test_the_time_is_now_where_the_last_change_is_past() -> None:
    past, begin = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC)
    for moment in (utc_now(after=past).replace(tzinfo=UTC), utc_milliseconds(after=past)):
        assert begin - timedelta(milliseconds=1) <= moment <= datetime.now(UTC)


@given(MOMENTS)
def test_a_version_tells_its_moment(moment: datetime) -> None:
    assert moment_of(version_of(moment)) == moment
    assert moment_of(f"{version_of(moment)}x") is None


def test_what_is_no_text_is_no_version() -> None:
    deep: Any = "20260101T000000000000"
    for held in (20260101000000, None, b"20260101T000000000000", 10**5_000):
        assert moment_of(held) is None
    for _ in range(2_000):
        deep = {"a": [deep]}
    assert moment_of(deep) is None
