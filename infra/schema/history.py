"""The history that an Alembic directory holds, known by the digest of its files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from infra.schema import process
from infra.schema.errors import HistoryError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["digest", "head"]


def digest(folder: Path) -> str:
    """Digest the names and contents of all files of an Alembic directory.

    Returns:
        The sha256 in hex. Bytecode does not count: it comes and goes without a change.

    Raises:
        HistoryError: A file can't be read.
    """
    total = hashlib.sha256()
    try:
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.suffix == ".pyc":
                continue
            content = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            # Lengths first, so that no other set of files gives the same stream.
            total.update(f"{len(name.encode())}:{len(content)}:{name}".encode())
            total.update(content)
    except OSError as exc:
        msg = f"The migrations in {folder} can't be read: {exc.filename}: {exc.strerror}."
        raise HistoryError(msg) from exc
    return total.hexdigest()


def head(folder: Path) -> str:
    """Give the one head revision of the directory; empty where it has no revision yet.

    Raises:
        HistoryError: A revision file is broken, or there are several heads.
    """
    try:
        heads = process.run(folder, "heads").heads
    except process.ProcessError as exc:
        msg = f"The migrations in {folder} can't be read: {exc}"
        raise HistoryError(msg) from exc
    if len(heads) > 1:
        msg = (
            f"The migrations in {folder} have {len(heads)} heads: {', '.join(heads)}. Merge them: "
            f'alembic -c {folder}/alembic.ini merge -m "merge" {" ".join(heads)}'
        )
        raise HistoryError(msg)
    return heads[0] if heads else ""
