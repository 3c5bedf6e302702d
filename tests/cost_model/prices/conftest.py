"""A price server, and a store of prices to refresh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import PriceServer
from .shapes import eu_west_1, us_east_1
from .stores import write_store


@pytest.fixture
def server() -> Iterator[PriceServer]:
    """Serves us-east-1 and eu-west-1, until a test says otherwise."""
    server = PriceServer()
    server.serve(us_east_1(), eu_west_1())
    yield server
    server.close()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder that holds one snapshot, of two regions."""
    folder = tmp_path / "prices"
    write_store(folder)
    return folder
