"""The Docker SDK, which takes 250 ms to import: modules import this one where they need it."""

from __future__ import annotations

from docker import APIClient, tls  # type: ignore[import-untyped]  # it ships no types
from docker.errors import APIError, DockerException, NotFound  # type: ignore[import-untyped]  # see above
from requests import RequestException  # type: ignore[import-untyped]  # it ships none either

__all__ = ["APIClient", "APIError", "DockerException", "NotFound", "RequestException", "tls"]
