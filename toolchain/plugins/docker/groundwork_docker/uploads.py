"""Files that are put into a container before it starts."""

from __future__ import annotations

import base64
import binascii
import grp
import io
import pwd
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from groundwork_plugin.errors import PluginError
from groundwork_plugin.properties import Failure, text
from groundwork_plugin.values import has_unknown

from .container_request import members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from groundwork_plugin.values import Values

__all__ = ["archive", "failures"]

_SOURCES = ("content", "contentBase64", "source")


def failures(inputs: Values) -> Iterable[Failure]:
    """What is wrong with the uploads of a container.

    Args:
        inputs: Checked one by one; some may be unknown.
    """
    if inputs.get("uploads") and inputs.get("readOnly") is True:
        yield Failure(
            "uploads",
            "Docker refuses to copy files into a container whose root is read-only, even those "
            "that go into a volume, and so the genuine plugin fails too; have a container that is "
            "not read-only put them into a volume, and mount that",
        )
    for index, upload in enumerate(members(inputs, "uploads")):
        if has_unknown(upload):
            continue
        given = [name for name in _SOURCES if upload.get(name)]
        if len(given) != 1:
            several = f"{' and '.join(given)} are" if given else "none is"
            yield Failure(
                f"uploads[{index}]",
                f"exactly one of {', '.join(_SOURCES)} must be given and not empty; {several}",
            )
        elif given == ["contentBase64"] and not _is_base64(text(upload, "contentBase64")):
            yield Failure(f"uploads[{index}].contentBase64", "it is not base64")


def archive(upload: Values) -> bytes:
    """A file as a tar archive that is unpacked at the container's root.

    Args:
        upload: An item of `uploads`.

    Raises:
        PluginError: The file cannot be read here, or an owner's name is not known here.
    """
    content = _content(upload)
    member = tarfile.TarInfo(text(upload, "file"))
    member.size, member.mtime = len(content), int(time.time())
    member.mode = 0o744 if upload.get("executable") else 0o644
    if permissions := text(upload, "permissions"):
        member.mode = int(permissions, 8)
    member.uid = _number(text(upload, "owner"), "user", lambda name: pwd.getpwnam(name).pw_uid)
    member.gid = _number(text(upload, "group"), "group", lambda name: grp.getgrnam(name).gr_gid)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _content(upload: Values) -> bytes:
    if encoded := text(upload, "contentBase64"):
        return base64.b64decode(encoded)
    if source := text(upload, "source"):
        try:
            return Path(source).read_bytes()
        except OSError as error:
            raise PluginError(
                f"the file {source!r} to upload to {text(upload, 'file')!r} cannot be read: "
                f"{error.strerror}; nothing was changed"
            ) from error
    return text(upload, "content").encode()


def _number(name: str, kind: str, look_up: Callable[[str], int]) -> int:
    if not name:
        return 0
    if name.isdecimal():
        return int(name)
    try:
        return look_up(name)
    except KeyError:
        raise PluginError(
            f"there is no {kind} {name!r} on this machine, where names are looked up; nothing was "
            "changed; give the number that it has in the container"
        ) from None


def _is_base64(encoded: str) -> bool:
    try:
        base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    return True
