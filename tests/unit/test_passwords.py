"""Passwords: the first answer of a process takes as long whether there is a hash or not; none is in a message."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

import pytest

from prismicx import InvalidInput
from prismicx.users import passwords

FIRST = """
import asyncio, sys, time
from prismicx.users import passwords
kept = sys.argv[1] or None
async def main():
    await asyncio.to_thread(int)
    begun = time.process_time()
    await passwords.matches(kept, "wrong horse")
    return time.process_time() - begun
print(asyncio.run(main()))
"""


def first_answer(kept: str) -> float:
    """Seconds of work for the first answer of a process; it is not counted what other processes do meanwhile."""
    done = subprocess.run([sys.executable, "-c", FIRST, kept], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_the_first_answer_of_a_process_takes_as_long_for_nobody() -> None:
    kept = passwords._hasher.hash("correct horse")
    hashes = (kept, "", passwords.UNUSABLE, kept[:-10], "$argon2id$garbage")
    known, *others = (median(first_answer(hash) for _ in range(5)) for hash in hashes)
    for found in others:
        assert 0.6 < found / known < 1.6


@pytest.mark.parametrize("wrong", ["correct \udcff horse", "short", "x" * 1025, 12345678, None, b"correct horse"])
def test_a_password_that_cannot_be_is_in_no_message(wrong: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        passwords.check_password(wrong)
    assert caught.value.code == "user.password_invalid"
    error: BaseException | None = caught.value
    while error is not None:
        assert not isinstance(error, UnicodeEncodeError), "it holds the password"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("odd", ["correct \udcff horse", "\ud800", "a\0b", "", "x" * 2000, 5, None, b"x"])
async def test_an_odd_password_is_not_the_right_one(odd: object) -> None:
    assert not await passwords.matches(passwords._hasher.hash("correct horse"), odd)
    assert not await passwords.matches(None, odd)


@pytest.mark.parametrize("cut", [slice(0, 8), slice(0, 30), slice(0, -1), slice(0, -20)])
async def test_no_password_leads_to_a_damaged_hash(cut: slice) -> None:
    kept = passwords._hasher.hash("correct horse")
    for damaged in (kept[cut], f"{kept[cut]}ü", f"{kept[cut]}$"):
        assert not await passwords.matches(damaged, "correct horse")


@pytest.mark.parametrize("damaged", ["$argon2id$garbage", "$argon2", "$argon2id$v=19$m=1,t=0,p=0$YQ$YQ", "$argon2iä"])
async def test_what_is_no_hash_is_led_to_by_none(damaged: str) -> None:
    assert not await passwords.matches(damaged, "correct horse")
