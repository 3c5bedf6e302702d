"""Stores of snapshots, before and after."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from cost_model.prices.tables import SHIPPED, SnapshotHeader, read_table, write_snapshot

HEADER = SnapshotHeader(as_of=date(2026, 10, 1), currency="USD", source="a list made for tests")

_HOSTING = {"ml.m5.large": "0.115", "ml.m5.xlarge": "0.23", "ml.m5.2xlarge": "0.461", "ml.g5.xlarge": "1.408"}


def write_store(store: Path, **changes: Any) -> Path:
    """One small snapshot of us-east-1 and eu-west-1 in the store; `changes` are of its header."""
    hosting = [
        *(
            {"region": "us-east-1", "instance": name, "usd_per_hour": usd, "suspect": ""}
            for name, usd in _HOSTING.items()
        ),
        {"region": "us-east-1", "instance": "ml.r8g.large", "usd_per_hour": "0.28", "suspect": "twice that elsewhere"},
        {"region": "eu-west-1", "instance": "ml.m5.xlarge", "usd_per_hour": "0.257", "suspect": ""},
    ]
    serverless = [
        *(
            {"region": "us-east-1", "memory_mb": str(gb * 1024), "usd_per_second": f"{gb * 2 / 1e5:.5f}"}
            for gb in range(1, 7)
        ),
        {"region": "eu-west-1", "memory_mb": "2048", "usd_per_second": "0.00004"},
    ]
    rates = [row for row in read_table(SHIPPED, "rates.csv") if row["region"] in ("us-east-1", "eu-west-1", "*")]
    tables = {"hosting.csv": hosting, "serverless.csv": serverless, "rates.csv": rates, "allowances.csv": []}
    return write_snapshot(store, msgspec.structs.replace(HEADER, **changes), tables)


def digest(folder: Path) -> dict[str, str]:
    """Every file below the folder, and what is in it."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
