"""A report as a file that a pull request's code has written: read as what it may be, untrusted.

The job that holds the comment's token runs nothing of the pull request, and takes this one file of
what its code has left. It may be any file, with any text in it.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["MOST", "ReportFileError", "harmless", "read"]

MOST = 2_000_000
"""Bytes that a report may have; the longest comment, on GitLab, has 1,000,000 characters."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
# The tags of our own reports, without attributes but `open`.
_TAG = re.compile(r"<(?!/?(?:details|summary|b|br|sub|code)(?: open)?>)")
_MENTION = re.compile(r"@(?=[\w-])")
# Escape sequences of terminals, and what turns the direction of a line for its reader.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class ReportFileError(Exception):
    """The file can't be a report; the message is one line."""


def read(path: Path) -> str:
    """Read a report, with nothing in it that would act in a comment.

    Raises:
        ReportFileError: It is a link, no file, too long, or no text.
        OSError: It can't be read.
    """
    if path.parent.is_symlink():
        raise ReportFileError(f"{path.parent} is a link, which no folder of a report is")
    try:
        # Neither waits for the writer of a pipe, nor follows a link out of the folder.
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as exc:
        if path.is_symlink():
            raise ReportFileError(f"{path} is a link, which no report is") from exc
        raise
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise ReportFileError(f"{path} is no regular file")
    with os.fdopen(opened, "rb") as file:
        data = file.read(MOST + 1)
    if len(data) > MOST:
        raise ReportFileError(f"{path} is longer than {MOST:,} bytes, which no report is")
    try:
        return harmless(data.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise ReportFileError(f"{path} is no text") from exc


def harmless(report: str) -> str:
    """Take out of Markdown what would act on others: mentions, pictures, foreign tags, controls.

    A report of our own has none of these, and stays as it is. The first line is its mark.
    """
    clean = _UNSEEN.sub("", report.replace("\r\n", "\n"))
    mark, newline, rest = clean.partition("\n")
    return f"{mark}{newline}{''.join(_lines(rest))}"


def _lines(text: str) -> Iterator[str]:
    fence = ""
    for line in text.splitlines(keepends=True):
        found = _FENCE.match(line)
        if fence:
            ends = found and found[1].startswith(fence) and not line.strip().strip(fence[0])
            fence = "" if ends else fence
            yield line
        elif found and not (found[1][0] == "`" and "`" in line[found.end() :]):
            fence = found[1]
            yield line
        else:
            yield _outside_of_code(line)


def _outside_of_code(line: str) -> str:
    pieces, at = [], 0
    for found in _CODE.finditer(line):
        pieces += [_plain(line[at : found.start()]), found[0]]
        at = found.end()
    return "".join([*pieces, _plain(line[at:])])


def _plain(text: str) -> str:
    text = _TAG.sub("&lt;", text).replace("![", "&#33;[")
    return _MENTION.sub("@&#8203;", text)
