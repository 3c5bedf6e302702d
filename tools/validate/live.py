"""Predicted beside measured: one trace replayed against the real container, and against its policy in virtual time.

rerank bench replay --start artifacts/… --out benchmarks/replay.json      (on a machine that does nothing else)
python -m tools.validate.live
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rerank_toolkit.bench.replay_report import ReplayReport
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import ToolkitError
from tools.reference import markdown
from tools.validate import saturation
from tools.validate.live_prediction import Accounts, Compared, LiveValidation, validate

MEASURED = Path("benchmarks/replay.json")
COMPARED = Path("benchmarks/live.json")

HEADS = (
    *("load", "requests", "percentile", "measured ms", "predicted ms", "error", "at most", "target"),
    *("foreseen ms", "error"),
)


def section(folder: Path) -> str:
    """From what `rerank bench replay` recorded in `folder`, predicted anew; and saturation, of every profile."""
    path = folder / MEASURED.name
    live = "One trace at shares of the capacity: not measured yet; `rerank bench replay` does it."
    if path.is_file():
        live = page(validate(documents.read(path, ReplayReport)))
    return markdown.join(live, "Throughput, of every profile:", saturation.page())


def page(found: LiveValidation) -> str:
    hardware = found.hardware
    return markdown.join(
        f"{found.model}, {found.engine} {found.dtype}, {found.workers} workers on {hardware.cpu_model} "
        f"({hardware.instruction_set}), {hardware.physical_cores} cores, measured on {found.measured_at:%Y-%m-%d}; "
        f"{found.workload}. Medians over the rounds ({found.rounds}).",
        markdown.table(HEADS, [_row(one) for one in found.compared]),
        "*Predicted* from lone requests and saturation of the same round; *foreseen* by the profile that the cost "
        "model ships, which was recorded at another time.",
        _capacity(found.accounts),
        _terms(found.accounts),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 if a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.validate.live", description="A replayed trace, predicted beside measured."
    )
    parser.add_argument("--replay", type=Path, default=MEASURED, help="what `rerank bench replay --out` wrote")
    parser.add_argument("--out", type=Path, default=COMPARED, help="where the comparison is written to")
    options = parser.parse_args(arguments)
    try:
        found = validate(documents.read(options.replay, ReplayReport))
        documents.write(options.out, found)
    except ToolkitError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(page(found), end="")
    print(f"wrote {options.out}", file=sys.stderr)
    return 0 if found.are_all_met else 1


def _row(one: Compared) -> list[str]:
    verdict = "" if one.target is None else "met" if one.is_met else "missed"
    return [
        f"{one.load:.0%}",
        f"{one.requests:,}",
        f"p{one.percentile}",
        f"{one.measured_ms:,.0f}",
        f"{one.predicted_ms:,.0f}",
        f"{one.error:+.1%}",
        "" if one.target is None else f"±{one.target:.0%}",
        verdict,
        *(
            ["", ""]
            if one.foreseen_ms is None
            else [f"{one.foreseen_ms:,.0f}", f"{one.foreseen_ms / one.measured_ms - 1:+.1%}"]
        ),
    ]


def _capacity(accounts: Accounts) -> str:
    foreseen = ""
    if accounts.capacity_foreseen is not None:
        error = accounts.capacity_foreseen / accounts.capacity_per_second - 1
        foreseen = f" The profile foresees {accounts.capacity_foreseen:.2f} requests/s ({error:+.1%})."
    return (
        f"Saturated, {accounts.capacity_per_second:.2f} requests/s were answered. Of the cores' time the workers had "
        f"{_percent(accounts.workers_share)}, the front (HTTP, JSON, tokenising, batching) "
        f"{_percent(accounts.front_share)}, the load generator {_percent(accounts.generator_share)} "
        f"({accounts.generator_ms:.1f} ms a request), everybody else {_percent(accounts.others_share)}. That was "
        f"{accounts.engine_share:.1%} of what the law alone allows. Without the generator on these cores "
        f"it would be {accounts.capacity_without_generator:.2f} requests/s.{foreseen}"
    )


def _terms(accounts: Accounts) -> str:
    pass_, sequence, token, square = accounts.law
    return (
        f"A pass takes {pass_ * 1e3:.2f} ms, {sequence * 1e3:.3f} ms a sequence, {token * 1e6:.1f} µs a token and "
        f"{square * 1e9:.1f} ns a squared token (error {accounts.law_error:.1%} a request). Around queue and compute "
        f"the mean request takes {accounts.around_ms:.1f} ms alone, {accounts.stretch:.1f} times that under "
        f"saturation, and it waits {accounts.wake_ms:.1f} ms until an engine's thread runs."
    )


def _percent(share: float | None) -> str:
    return "an unknown share" if share is None else f"{share:.1%}"


if __name__ == "__main__":
    sys.exit(main())
