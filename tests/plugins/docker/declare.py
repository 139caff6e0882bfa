"""Resources as the test program reads them."""

from __future__ import annotations

from typing import Any

__all__ = ["container", "resource", "sleeping"]


def resource(kind: str, *after: str, opts: dict[str, Any] | None = None, **args: Any) -> Any:
    """A resource of a kind, made after others."""
    return {"type": kind, "args": args, "after": after, "options": opts or {}}


def container(*after: str, opts: dict[str, Any] | None = None, **args: Any) -> Any:
    """A container of the image that the resource `image` has."""
    return resource(
        "Container", *after, opts=opts, **{"image": {"output": "image.image_id"}, **args}
    )


def sleeping(*after: str, opts: dict[str, Any] | None = None, **args: Any) -> Any:
    """A container that does nothing until it is stopped, which it does at once."""
    script = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
    return container(*after, opts=opts, **{"command": ["sh", "-c", script], **args})
