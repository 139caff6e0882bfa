"""The part of the Docker SDK's client that the plugin uses; the SDK itself has no types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Answer", "Client"]

Answer: TypeAlias = "dict[str, Any]"
"""What Docker answers, as its API describes it."""


class Client(Protocol):
    """A connection to the Docker Engine."""

    base_url: str
    api_version: str

    def close(self) -> None:
        """Ends the connection."""

    def post(self, url: str, *, json: object, timeout: float) -> Any:
        """Sends a request for which the SDK has no method."""

    def create_network(self, name: str, **options: object) -> Answer:
        """Makes a network."""

    def inspect_network(self, net_id: str) -> Answer:
        """Describes a network."""

    def remove_network(self, net_id: str) -> None:
        """Removes a network."""

    def connect_container_to_network(self, container: str, net_id: str, **options: object) -> None:
        """Puts a container into a network."""

    def disconnect_container_from_network(self, container: str, net_id: str) -> None:
        """Takes a container out of a network."""

    def create_volume(self, **options: object) -> Answer:
        """Makes a volume; one of that name that exists already is taken."""

    def inspect_volume(self, name: str) -> Answer:
        """Describes a volume."""

    def remove_volume(self, name: str, *, force: bool) -> None:
        """Removes a volume."""

    def inspect_image(self, image: str) -> Answer:
        """Describes a local image."""

    def pull(
        self, repository: str, *, tag: str | None, stream: bool, decode: bool, platform: str | None
    ) -> Iterator[Answer]:
        """Fetches an image, and tells how it goes."""

    def remove_image(self, image: str, *, force: bool) -> object:
        """Removes a name of an image, and the image with the last one."""

    def create_container_from_config(self, config: Answer, name: str) -> Answer:
        """Makes a container."""

    def inspect_container(self, container: str) -> Answer:
        """Describes a container."""

    def put_archive(self, container: str, path: str, data: bytes) -> bool:
        """Unpacks a tar archive in a container."""

    def start(self, container: str) -> None:
        """Starts a container."""

    def stop(self, container: str, *, timeout: int) -> None:
        """Stops a container; after so many seconds it is killed."""

    def wait(self, container: str, *, timeout: float | None) -> Answer:
        """Waits until a container has ended."""

    def logs(self, container: str, *, tail: int | str) -> bytes:
        """What a container wrote."""

    def remove_container(self, container: str, *, v: bool, force: bool) -> None:
        """Removes a container, and with `v` its anonymous volumes."""
