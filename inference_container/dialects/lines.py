"""Several bodies of one dialect in one request, a line each: records of a batch transform job."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from inference_container.dialects.base import JSON_LINES, Dialect, Example, Inquiry, ModelNames, Ranking, RerankTask
from inference_container.dialects.reading import BODY, bounded
from inference_container.errors import InvalidRequest, ServingError
from rerank_toolkit.contracts.faults import MOST_FAULTS, Fault


class JsonLines:
    """`lines` of another dialect: a line of answer for each line, in their order; a fault in one refuses all."""

    media_type = JSON_LINES
    examples: Sequence[Example] = ()

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.name = dialect.name
        self.request = dialect.request

    def parse(self, body: object, names: ModelNames) -> Inquiry:
        lines = body if isinstance(body, list) else [body]
        inquiries: list[Inquiry] = []
        tasks: list[RerankTask] = []
        faults: list[Fault] = []
        for index, line in enumerate(lines):
            place = f"lines[{index}]"
            try:
                inquiry = self._dialect.parse(line, names)
            except InvalidRequest as error:
                faults += [msgspec.structs.replace(fault, field=_move(fault.field, place)) for fault in error.faults]
                if len(faults) > MOST_FAULTS:
                    break
                continue
            inquiries.append(inquiry)
            tasks += [task.moved_to(place) for task in inquiry.tasks]
        if faults:
            raise InvalidRequest(bounded(faults))
        return Inquiry(tasks, partial(_render, inquiries))

    def error_status(self, error: ServingError) -> int:
        return self._dialect.error_status(error)

    def render_error(self, error: ServingError) -> object:
        return self._dialect.render_error(error)


def _move(field: str, place: str) -> str:
    return place if field == BODY else f"{place}.{field}"


def _render(inquiries: Sequence[Inquiry], ranking: Ranking) -> list[object]:
    answers: list[object] = []
    first = 0
    for inquiry in inquiries:
        answers.append(inquiry.render(ranking.part(first, inquiry.documents)))
        first += inquiry.documents
    return answers
