"""The Docker Engine that the provider is configured for."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar, cast

from groundwork_plugin.errors import OperationFailedError, PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Client
    from .configuration import Configuration

__all__ = ["Daemon", "found", "words_of"]

_Result = TypeVar("_Result")

_TIMEOUT_SECONDS = 120
"""For one answer; what may take longer has its own limit."""

_THREADS = 64
"""More than Python's own choice: containers that wait for each other must not wait for a thread."""

_OTHER_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that the SDK's HTTP library would let win over Docker's own ca.pem."""

_TAKEN = ("is already in use by container", "already exists")


class Daemon:
    """Runs operations on Docker, each in a thread and with a connection of its own."""

    def __init__(self, configuration: Configuration) -> None:
        """Connects nowhere yet.

        Args:
            configuration: How to reach Docker.
        """
        self.configuration = configuration
        self._threads = ThreadPoolExecutor(_THREADS)

    async def run(self, work: Callable[[Client], _Result]) -> _Result:
        """Does something with a client of Docker.

        Args:
            work: Is given the client, in a thread; may block.

        Raises:
            PluginError: Docker cannot be reached, so nothing was done.
            OperationFailedError: It refused something.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._run, work)

    def _run(self, work: Callable[[Client], _Result]) -> _Result:
        from . import sdk  # noqa: PLC0415 - slow, and not needed in a run without changes

        client = self._open()
        try:
            return work(client)
        except sdk.APIError as error:
            told = words_of(error)
            taken = error.response is not None and (
                error.response.status_code == HTTPStatus.CONFLICT
                and any(words in told for words in _TAKEN)
            )
            raise OperationFailedError(told, taken=taken) from error
        except sdk.RequestException as error:
            raise OperationFailedError(
                f"the connection to Docker was lost: {_root(error)}"
            ) from error
        finally:
            client.close()

    def _open(self) -> Client:
        from . import sdk  # noqa: PLC0415 - see `_run`

        chosen = self.configuration
        if chosen.certificates and (missing := chosen.missing_certificates()):
            raise PluginError(
                f"Docker at {chosen.host} is to be reached with TLS, and {chosen.certificates} has "
                f"no {' and no '.join(missing)}; nothing was changed; name the folder of the "
                "certificates in DOCKER_CERT_PATH or in the setting docker:certPath"
            )
        secured: Any = False
        try:
            if chosen.certificates:
                folder = chosen.certificates
                for name in _OTHER_AUTHORITIES:
                    os.environ.pop(name, None)
                secured = sdk.tls.TLSConfig(
                    client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")),
                    ca_cert=str(folder / "ca.pem"),
                    verify=chosen.verified,
                )
            return cast(
                "Client",
                sdk.APIClient(
                    base_url=chosen.host, version="auto", timeout=_TIMEOUT_SECONDS, tls=secured
                ),
            )
        except (sdk.DockerException, OSError) as error:
            raise PluginError(
                f"Docker cannot be reached at {chosen.host}: {_root(error)}; nothing was changed; "
                f"{_advice(error)}"
            ) from error


def found(ask: Callable[[], _Result]) -> _Result | None:
    """The answer to a question about an object; None where there is no such object.

    Args:
        ask: Asks Docker.
    """
    from . import sdk  # noqa: PLC0415 - see `Daemon`

    try:
        return ask()
    except sdk.NotFound:
        return None


def words_of(error: Any) -> str:
    """What Docker says of a request that it refused.

    Args:
        error: The SDK's `APIError`.
    """
    return str(error.explanation or error).strip().rstrip(".")


def _root(error: BaseException) -> str:
    """What the system says at the bottom of a chain of wrapped failures."""
    for seen in _chain(error):
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
    return str(error).rstrip(".")


def _advice(error: BaseException) -> str:
    if any(isinstance(seen, PermissionError) for seen in _chain(error)):
        return (
            "let this user into the group `docker`, run as root, or name another address in "
            "DOCKER_HOST or in the setting docker:host"
        )
    return (
        "start Docker (`systemctl start docker`, or Docker Desktop), or name its address in "
        "DOCKER_HOST or in the setting docker:host"
    )


def _chain(error: BaseException) -> list[BaseException]:
    """A failure, and all that it wraps: as its cause, its context or an argument."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is None or current in seen:
            continue
        seen.append(current)
        inner = [part for part in current.args if isinstance(part, BaseException)]
        reason = getattr(current, "reason", None)
        waiting += [current.__cause__, current.__context__, *inner]
        waiting += [reason] if isinstance(reason, BaseException) else []
    return seen
