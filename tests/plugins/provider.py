"""A provider, as the engine talks with it over gRPC."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from tests.plugins.process import PluginProcess
from tests.plugins.properties import Properties, from_struct, plain, to_struct

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.plugins.state import Resource

__all__ = ["Changes", "Partial", "Provider", "ProviderError", "Providers"]

_LIMIT_SECONDS = 300
"""For one call, on a machine that has other things to do."""

_LARGEST_MESSAGE = 400 << 20
_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, kw_only=True)
class Partial:
    """An object that was made or changed, but is not as asked for."""

    id: str
    outputs: Properties
    reasons: list[str]


class ProviderError(Exception):
    """A call failed; the text is the provider's message."""

    def __init__(self, message: str, partial: Partial | None = None) -> None:
        """Takes the message, and what the state is to hold all the same."""
        super().__init__(message)
        self.partial = partial


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a provider says of the way from a state to new inputs."""

    found: bool
    replaces: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    delete_before_replace: bool = False


class Provider:
    """A client of one process of a plugin, which is configured once."""

    def __init__(self, process: PluginProcess) -> None:
        """Connects, and shakes hands with plugins that do so."""
        self.process = process
        self._configured = False
        size = ("grpc.max_receive_message_length", _LARGEST_MESSAGE)
        self._channel = grpc.insecure_channel(process.address, options=[size])
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self._handshake = self._optional(
            "Handshake",
            provider_pb2.ProviderHandshakeRequest(
                configure_with_urn=True,
                supports_views=True,
                supports_refresh_before_update=True,
                invoke_with_preview=True,
            ),
        )

    def check_config(self, new: Resource, old: Resource | None) -> tuple[Properties, list[str]]:
        """The settings as the plugin takes them, and what is wrong with them."""
        request = provider_pb2.CheckRequest(
            **_named(new),
            olds=to_struct(plain(old.inputs)) if old else None,
            news=to_struct(plain(new.inputs)),
        )
        answer = self._optional("CheckConfig", request)
        if answer is None:
            return new.inputs, []
        return from_struct(answer.inputs), _failures(answer)

    def diff_config(self, old: Resource, settings: Properties) -> Changes:
        """What other settings change."""
        request = provider_pb2.DiffRequest(
            **_named(old),
            old_inputs=to_struct(plain(old.inputs)),
            olds=to_struct(plain(old.outputs)),
            news=to_struct(plain(settings)),
        )
        answer = self._optional("DiffConfig", request)
        return _changes(answer, differ=plain(old.inputs) != plain(settings))

    def configure(self, resource: Resource) -> None:
        """Hands the settings over, the first time; a process serves one configuration only."""
        if self._configured:
            return
        package = resource.type.rpartition(":")[2]
        variables = {
            f"{package}:config:{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in plain(resource.inputs).items()
            if key != "version"
        }
        request = provider_pb2.ConfigureRequest(
            **_named(resource),
            id=resource.id,
            acceptSecrets=True,
            acceptResources=True,
            sends_old_inputs=True,
            sends_old_inputs_to_delete=True,
            variables=variables,
            args=to_struct(resource.inputs),
        )
        answer = self._call("Configure", request)
        # Every plugin does; for one that does not, the driver would have to act as the engine does.
        if self._handshake is None:
            assert answer.acceptSecrets
            assert answer.supportsPreview
        else:
            assert self._handshake.accept_secrets
        self._configured = True

    def check(
        self, new: Resource, inputs: Properties, *, olds: Properties | None = None
    ) -> tuple[Properties, list[str]]:
        """The inputs as the provider takes them, and what is wrong with them.

        Args:
            new: The resource to be.
            inputs: As the program gives them.
            olds: Checked before, where there is such a resource already.
        """
        request = provider_pb2.CheckRequest(
            **_named(new),
            olds=to_struct(olds or {}),
            news=to_struct(inputs),
            randomSeed=os.urandom(32),
        )
        answer = self._call("Check", request)
        return from_struct(answer.inputs), _failures(answer)

    def diff(self, old: Resource, inputs: Properties) -> Changes:
        """What new inputs change."""
        request = provider_pb2.DiffRequest(
            **_named(old),
            id=old.id,
            old_inputs=to_struct(old.inputs),
            olds=to_struct(old.outputs),
            news=to_struct(inputs),
        )
        return _changes(self._call("Diff", request), differ=old.inputs != inputs)

    def create(self, new: Resource, *, preview: bool) -> tuple[str, Properties]:
        """Makes an object, or tells what is known of it; its id and its outputs."""
        request = provider_pb2.CreateRequest(
            **_named(new),
            properties=to_struct(new.inputs),
            preview=preview,
            timeout=new.timeouts.get("create", 0),
        )
        answer = self._call("Create", request)
        if not answer.id and not preview:
            raise ProviderError(f"no id came from the creation of {new.name}")
        return answer.id, from_struct(answer.properties)

    def read(
        self, resource: Resource, *, adopting: bool = False
    ) -> tuple[str, Properties | None, Properties | None]:
        """The id, the outputs and the inputs of an object as it is; None where it tells none.

        Args:
            resource: Whose object.
            adopting: Nothing but its id is known.
        """
        request = provider_pb2.ReadRequest(
            **_named(resource),
            id=resource.id,
            properties=None if adopting else to_struct(resource.outputs),
            inputs=None if adopting else to_struct(resource.inputs),
            timeout=resource.timeouts.get("read", 0),
        )
        answer = self._call("Read", request)
        outputs = from_struct(answer.properties) if answer.HasField("properties") else None
        inputs = from_struct(answer.inputs) if answer.HasField("inputs") else None
        return answer.id, outputs, inputs

    def update(self, old: Resource, new: Resource, *, preview: bool) -> Properties:
        """Changes an object in place, or tells what is known of the change; its outputs."""
        request = provider_pb2.UpdateRequest(
            **_named(old),
            id=old.id,
            old_inputs=to_struct(old.inputs),
            olds=to_struct(old.outputs),
            news=to_struct(new.inputs),
            preview=preview,
            timeout=new.timeouts.get("update", 0),
        )
        return from_struct(self._call("Update", request).properties)

    def delete(self, old: Resource) -> None:
        """Removes an object."""
        request = provider_pb2.DeleteRequest(
            **_named(old),
            id=old.id,
            old_inputs=to_struct(old.inputs),
            properties=to_struct(old.outputs),
            timeout=old.timeouts.get("delete", 0),
        )
        self._call("Delete", request)

    def close(self) -> None:
        """Ends the process."""
        self._channel.close()
        self.process.stop()

    def _optional(self, method: str, request: Any) -> Any:
        """The answer to a request; None of a plugin that does not know it."""
        try:
            return getattr(self._stub, method)(request, timeout=_LIMIT_SECONDS)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise ProviderError(str(error.details())) from error

    def _call(self, method: str, request: Any) -> Any:
        try:
            return getattr(self._stub, method)(request, timeout=_LIMIT_SECONDS)
        except grpc.RpcError as error:
            partial = _partial(error)
            reasons = partial.reasons if partial else [str(error.details())]
            raise ProviderError("\n".join(reasons), partial) from error


class Providers:
    """Clients for a test session, one for each configuration, whose processes are started once."""

    def __init__(self) -> None:
        """Starts nothing yet."""
        self._kept: dict[str, Provider] = {}

    def find(
        self, folder: Path, package: str, environment: Mapping[str, str], settings: Properties
    ) -> Provider:
        """The client for a configuration.

        Args:
            folder: Where the plugin is.
            package: Whose plugin it is.
            environment: Of the process.
            settings: Of the provider, as the program gives them.
        """
        parts = [str(folder), package, sorted(environment.items()), settings]
        key = json.dumps(parts, sort_keys=True)
        if key not in self._kept:
            self._kept[key] = Provider(PluginProcess(folder, package, environment))
        return self._kept[key]

    def close(self) -> None:
        """Ends all processes."""
        for provider in self._kept.values():
            provider.close()


def _named(resource: Resource) -> dict[str, Any]:
    return {"urn": resource.urn, "name": resource.name, "type": resource.type}


def _failures(answer: Any) -> list[str]:
    return [f"{failure.property}: {failure.reason}" for failure in answer.failures]


def _changes(answer: Any, *, differ: bool) -> Changes:
    """The answer to a diff; one that leaves the question open is decided by the inputs."""
    kinds = provider_pb2.DiffResponse.DiffChanges
    if answer is None or answer.changes == kinds.DIFF_UNKNOWN:
        return Changes(found=differ)
    return Changes(
        found=answer.changes == kinds.DIFF_SOME,
        replaces=list(answer.replaces),
        names=list(answer.diffs),
        delete_before_replace=answer.deleteBeforeReplace,
    )


def _partial(error: Any) -> Partial | None:
    """What the status of a failed call holds of an object that exists."""
    for key, value in error.trailing_metadata() or ():
        if key != _DETAILS:
            continue
        for detail in status_pb2.Status.FromString(value).details:
            failed = provider_pb2.ErrorResourceInitFailed()
            if detail.Unpack(failed):
                outputs = from_struct(failed.properties)
                return Partial(id=failed.id, outputs=outputs, reasons=list(failed.reasons))
    return None
