"""What a killed server leaves in the process that used it."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def sockets_of_the_dead() -> Iterator[None]:
    """The driver of MongoDB leaves a socket to the collector when its client is closed while it connects anew, as it
    does where the server was killed. It is collected here, and not in another test, which would fail of it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
