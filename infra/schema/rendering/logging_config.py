"""Says what is wrong with a configuration of logging that env.py reads."""

from __future__ import annotations

import configparser
import logging.config
import os
import traceback

__all__ = ["explain"]

_LENGTH = 200  # characters of an exception's own message


def explain(exc: BaseException) -> str:
    """Say why `logging.config.fileConfig` could not do what the project asked of it.

    Returns:
        What was called where, and what its file lacks, without an end; empty where another thing
        was the reason.
    """
    before = None
    for frame, line in traceback.walk_tb(exc.__traceback__):
        code = frame.f_code
        if code.co_filename == logging.config.__file__ and code.co_name == "fileConfig":
            if before is None:
                return ""
            return f"{before} configures logging by {_lack(exc, frame.f_locals.get('fname'))}"
        before = f"line {line} of {code.co_filename}"
    return ""


def _lack(exc: BaseException, file: object) -> str:
    if file is None:
        return "no file: Alembic is called without an INI file"
    name = os.fsdecode(file) if isinstance(file, str | bytes | os.PathLike) else "a configuration"
    if isinstance(exc, configparser.NoOptionError):
        return f"{name}, whose section [{exc.section}] has no {exc.option}"
    if isinstance(exc, configparser.NoSectionError):
        return f"{name}, which has no section [{exc.section}]"
    if type(exc) is KeyError and exc.args:
        return f"{name}, which has no section or key {exc.args[0]}"
    said = next(iter(str(exc).strip().splitlines()), "")[:_LENGTH]
    return f"{name}, which leads to {type(exc).__name__}: {said}"
