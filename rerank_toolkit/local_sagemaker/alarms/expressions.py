"""Metric math: expressions over the datapoints of an alarm's metrics."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence

Datapoints = Sequence[float | None]
"""One a period, None where there are no data."""

_BINARY: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FOLDED: Mapping[str, Callable[[Sequence[float]], float]] = {
    "AVG": lambda values: sum(values) / len(values),
    "MAX": max,
    "MIN": min,
    "SUM": math.fsum,
}
_OPERATORS = {"&&": " and ", "||": " or ", "AND": "and", "OR": "or"}
_WORDS = re.compile(r"&&|\|\||\bAND\b|\bOR\b")
_EACH: Mapping[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}


class UnknownExpression(Exception):
    """Metric math that the local AWS can't do; the text says what."""


def evaluate(expression: str, metrics: Mapping[str, Datapoints], periods: int) -> Datapoints:
    """The expression's datapoints, as many as `periods`.

    It may have arithmetic and comparisons of metrics and numbers, AND, OR, IF, FILL, ABS, CEIL, FLOOR, and AVG, MAX,
    MIN, SUM of one metric or of a list of them. Raises UnknownExpression.
    """
    try:
        tree = ast.parse(_WORDS.sub(lambda match: _OPERATORS[match[0]], expression).strip(), mode="eval")
    except SyntaxError:
        raise UnknownExpression(f"the local AWS can't read {expression!r}") from None
    return _Evaluator(metrics, periods).visit(tree.body)


class _Evaluator:
    def __init__(self, metrics: Mapping[str, Datapoints], periods: int) -> None:
        self._metrics = metrics
        self._periods = periods

    def visit(self, node: ast.expr) -> Datapoints:
        match node:
            case ast.Constant(value=int() | float() as number):
                return [float(number)] * self._periods
            case ast.Name(id=name) if name in self._metrics:
                return self._metrics[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return [None if value is None else -value for value in self.visit(operand)]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self._combine(_BINARY[type(op)], left, right)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _BINARY:
                return self._combine(_BINARY[type(op)], left, right)
            case ast.BoolOp(op=op, values=operands):
                return self._fold(all if isinstance(op, ast.And) else any, [self.visit(each) for each in operands])
            case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]):
                return self._call(function, arguments)
        raise UnknownExpression(f"the local AWS can't compute {ast.unparse(node)!r}")

    def _call(self, function: str, arguments: Sequence[ast.expr]) -> Datapoints:
        match function, arguments:
            case "IF", [condition, then]:
                pairs = zip(self.visit(condition), self.visit(then), strict=True)
                return [value if holds else None for holds, value in pairs]
            case "IF", [condition, then, otherwise]:
                rows = zip(self.visit(condition), self.visit(then), self.visit(otherwise), strict=True)
                return [value if holds else other for holds, value, other in rows]
            case "FILL", [metric, ast.Name(id="REPEAT")]:
                return _repeat(self.visit(metric))
            case "FILL", [metric, filling]:
                pairs = zip(self.visit(metric), self.visit(filling), strict=True)
                return [other if value is None else value for value, other in pairs]
            case name, [ast.List(elts=metrics)] if name in _FOLDED:
                return self._fold(_FOLDED[name], [self.visit(metric) for metric in metrics])
            case name, [metric] if name in _FOLDED:
                values = [value for value in self.visit(metric) if value is not None]
                return [_FOLDED[name](values) if values else None] * self._periods
            case name, [metric] if name in _EACH:
                return [None if value is None else float(_EACH[name](value)) for value in self.visit(metric)]
        raise UnknownExpression(f"the local AWS has no {function} of {len(arguments)} arguments")

    def _combine(self, operation: Callable[[float, float], float], left: ast.expr, right: ast.expr) -> Datapoints:
        pairs = zip(self.visit(left), self.visit(right), strict=True)
        return [_apply(operation, first, second) for first, second in pairs]

    @staticmethod
    def _fold(operation: Callable[[Sequence[float]], float], series: Sequence[Datapoints]) -> Datapoints:
        """Period by period, over the metrics that have data in it."""
        folded: list[float | None] = []
        for row in zip(*series, strict=True):
            values = [value for value in row if value is not None]
            folded.append(float(operation(values)) if values else None)
        return folded


def _apply(operation: Callable[[float, float], float], first: float | None, second: float | None) -> float | None:
    if first is None or second is None:
        return None
    try:
        return float(operation(first, second))
    except (ZeroDivisionError, OverflowError):  # which CloudWatch shows as no data
        return None


def _repeat(values: Datapoints) -> Datapoints:
    """The newest stands first."""
    filled: list[float | None] = []
    last: float | None = None
    for value in reversed(values):
        last = last if value is None else value
        filled.insert(0, last)
    return filled
