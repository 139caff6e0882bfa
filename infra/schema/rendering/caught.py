"""Tells whether the code that sends a statement goes on after the statement's error."""

from __future__ import annotations

import ast
import builtins
import linecache
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType

__all__ = ["is_caught"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_ANY = ("Exception", "BaseException")


def is_caught(frame: FrameType | None, until: CodeType) -> bool:
    """Tell whether some code in a stack would catch an error of the database.

    Args:
        frame: The innermost one.
        until: The code at which to stop.
    """
    while frame is not None and frame.f_code is not until:
        if _catches(frame.f_code.co_filename, frame.f_code.co_firstlineno, frame.f_lineno):
            return True
        frame = frame.f_back
    return False


@cache
def _catches(file: str, first: int, line: int) -> bool:
    """Tell whether a line is inside of a `try` of its own function that goes on after an error."""
    function = _function(file, first)
    return function is not None and any(
        _covers(statements, line) for statements in _guarded(function)
    )


@cache
def _function(file: str, first: int) -> ast.AST | None:
    """Find the function that begins at a line; None where there is no source."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
            if first in {node.lineno, *(each.lineno for each in decorators)}:
                return node
    return tree if first <= 1 else None


def _guarded(function: ast.AST) -> Iterator[list[ast.stmt]]:
    """List the bodies whose errors are caught, without those of functions inside."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, _FUNCTIONS):
            continue
        if isinstance(node, ast.Try) and any(map(_goes_on, node.handlers)):
            yield node.body
        if isinstance(node, ast.With) and any(map(_suppresses, node.items)):
            yield node.body
        yield from _guarded(node)


def _goes_on(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler may take an error of the database, and not raise at its end."""
    return _may_be_of_database(handler.type) and not isinstance(handler.body[-1], ast.Raise)


def _suppresses(item: ast.withitem) -> bool:
    call = item.context_expr
    if not isinstance(call, ast.Call):
        return False
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    name = call.func.id if isinstance(call.func, ast.Name) else name
    return name == "suppress" and any(map(_may_be_of_database, call.args))


def _may_be_of_database(type_: ast.expr | None) -> bool:
    """Tell whether an error of the database may be of a type: any, or one of some library."""
    if isinstance(type_, ast.Tuple):
        return any(map(_may_be_of_database, type_.elts))
    if isinstance(type_, ast.Name) and hasattr(builtins, type_.id):
        return type_.id in _ANY
    return True


def _covers(statements: list[ast.stmt], line: int) -> bool:
    return any(each.lineno <= line <= (each.end_lineno or each.lineno) for each in statements)
