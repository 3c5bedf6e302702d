"""An answered question that the tests of reports look at."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cost_model.compare import Comparison
from cost_model.prices.book import load_prices
from cost_model.question import Question, answer
from cost_model.report.view import View, make_view
from cost_model.service_time import load_profiles
from cost_model.workload import read_workload
from rerank_toolkit.catalog.models import find_model


@pytest.fixture(scope="session")
def question() -> Question:
    """Three models of published quality and one without, everywhere they run."""
    models = tuple(find_model(name) for name in ("base", "turbo", "tiny", "minilm-l12"))
    return Question(workload=read_workload(), models=models)


@pytest.fixture(scope="session")
def comparison(question: Question) -> Comparison:
    measured, _ = load_profiles()
    return answer(question, load_prices(), measured)


@pytest.fixture(scope="session")
def view(question: Question, comparison: Comparison) -> View:
    measured, _ = load_profiles()
    made_at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    return make_view(question, comparison, load_prices(), measured, made_at=made_at)
