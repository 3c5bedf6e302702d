from __future__ import annotations

import pytest

from rerank_toolkit.bench.interpolation import documents_within
from rerank_toolkit.contracts.profile import Cell


def cell(documents, tokens, latency_ms):
    return Cell(
        documents=documents,
        tokens_per_document=tokens,
        tokens=documents * tokens,
        sum_squared_tokens=documents * tokens**2,
        inference_ms=latency_ms,
        queue_ms=0,
        latency_ms=latency_ms,
        latency_p95_ms=latency_ms,
        samples=5,
    )


def linear(documents, lengths=(100, 200), fixed=2.0, per_token=0.05):
    return [cell(d, n, fixed + per_token * d * n) for d in documents for n in lengths]


@pytest.mark.parametrize("tokens", [100, 154, 200])
def test_a_machine_that_is_linear_is_read_exactly(tokens):
    within = documents_within(linear((1, 4, 16, 64)), tokens_per_document=tokens, milliseconds=50)

    assert within == pytest.approx((50 - 2) / (0.05 * tokens))


def test_beyond_the_largest_request_the_line_goes_on():
    within = documents_within(linear((1, 4)), tokens_per_document=100, milliseconds=50)

    assert within == pytest.approx((50 - 2) / 5)


def test_where_one_document_takes_longer_it_is_a_part_of_one():
    within = documents_within(linear((1, 4), per_token=1.0), tokens_per_document=100, milliseconds=50)

    assert within == pytest.approx(50 / 102)


def test_large_requests_without_long_enough_cells_are_passed_over():
    cells = [*linear((1, 4)), cell(16, 100, 1.0)]  # 16 documents were measured at one length only

    assert documents_within(cells, tokens_per_document=154, milliseconds=50) == pytest.approx(48 / 7.7)


def test_noise_does_not_make_more_documents_faster():
    latencies = {1: 10, 4: 60, 16: 40, 64: 200}
    cells = [cell(documents, tokens, ms) for documents, ms in latencies.items() for tokens in (90, 110)]

    assert documents_within(cells, tokens_per_document=100, milliseconds=50) == pytest.approx(1 + 3 * 40 / 50)


def test_one_cell_is_enough_for_a_proportion():
    assert documents_within([cell(1, 100, 25)], tokens_per_document=100, milliseconds=50) == pytest.approx(2)


def test_texts_longer_than_any_measured_are_extended_in_proportion():
    assert documents_within([cell(1, 100, 25)], tokens_per_document=200, milliseconds=50) == pytest.approx(1)
