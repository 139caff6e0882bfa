"""Gives a machine the Pulumi engine and the provider plugins, from wherever it can.

This package runs before any virtual environment exists, so it imports the
standard library alone. The file itself must parse on any Python that somebody may
start it with: `__main__` refuses an old one in words, and it can only do so when
this file, which is imported first, does not fail before.
"""

import sys

__all__ = ["environment"]

if sys.version_info >= (3, 11):  # noqa: UP036 - an old Python has to get as far as __main__'s message
    from toolchain.shell import environment
