"""What the code says beneath its names: strings that follow an assignment, in classes and in modules."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from types import ModuleType


@cache
def attribute_docs(owner: type | ModuleType) -> Mapping[str, str]:
    """By name, in the order of the code; inherited ones included. Names without a docstring are absent."""
    if isinstance(owner, ModuleType):
        return dict(_documented(ast.parse(inspect.getsource(owner)).body))
    docs: dict[str, str] = {}
    for base in reversed(owner.__mro__):
        if inspect.isclass(base) and base.__module__.split(".")[0] in {"inference_container", "rerank_toolkit"}:
            docs |= _documented(_class_body(base))
    return docs


def _class_body(owner: type) -> Sequence[ast.stmt]:
    module = inspect.getmodule(owner)
    if module is None:
        raise TypeError(f"{owner} has no source. This is a bug.")
    tree = ast.parse(inspect.getsource(module))
    found = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == owner.__name__)
    return next(found).body


def _documented(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, following in pairwise(body):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, " ".join(inspect.cleandoc(text).split())
