"""Runs a program in this process, with the driver where the engine's resource monitor would be."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING, Any

from pulumi.runtime import settings, stack
from pulumi.runtime.proto import engine_pb2, resource_pb2

from tests.plugins.declaration import declare
from tests.plugins.deployment import ResourceFailedError
from tests.plugins.properties import from_struct, to_struct
from tests.plugins.state import Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.plugins.declaration import Declared
    from tests.plugins.provider import Provider
    from tests.plugins.update import Update

__all__ = ["Monitor", "default_provider", "run", "urn"]

PROJECT, STACK = "conformance", "test"

_NOT_COVERED = (
    "aliasURNs",
    "deletedWith",
    "ignoreChanges",
    "importId",
    "protect",
    "remote",
    "replaceOnChanges",
    "retainOnDelete",
)
"""Options that no test needs; one that does belongs to those on the engine."""

_FEATURES = [
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
]


def urn(token: str, name: str) -> str:
    """The URN of a resource of the stack."""
    return f"urn:pulumi:{STACK}::{PROJECT}::{token}::{name}"


def default_provider(package: str, version: str) -> Resource:
    """The provider of resources that name none."""
    name = f"default_{version.replace('.', '_')}"
    return Resource(urn=urn(f"pulumi:providers:{package}", name), inputs={"version": version})


class Monitor:
    """Answers the SDK for one run."""

    def __init__(
        self,
        update: Update,
        find: Callable[[Resource], Provider],
        *,
        continue_on_error: bool = False,
    ) -> None:
        """Waits for registrations.

        Args:
            update: Which brings each resource to what it is to be.
            find: Gives the client that a provider of the program stands for.
            continue_on_error: Whether a failure of one resource leaves the others alone.
        """
        self._update = update
        self._find = find
        self._continue = continue_on_error
        self._lock = threading.Lock()
        self._reference = ""

    def GetDeploymentInfo(self, _: Any) -> resource_pb2.DeploymentInfo:  # noqa: N802 - gRPC's name
        """What the SDK may use."""
        return resource_pb2.DeploymentInfo(
            project=PROJECT, stack=STACK, supportedFeatures=_FEATURES
        )

    def RegisterResource(  # noqa: N802 - gRPC's name
        self, request: Any
    ) -> resource_pb2.RegisterResourceResponse:
        """Makes a resource, and tells its outputs."""
        name = urn(request.type, request.name)
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=name)
        options = [option for option in _NOT_COVERED if getattr(request, option)]
        assert not options, f"the driver covers no {options}"
        if self._update.failures and not self._continue:
            skipped = resource_pb2.Result.SKIP
            return resource_pb2.RegisterResourceResponse(urn=name, result=skipped)
        try:
            made = self._made(request, name)
        except ResourceFailedError:
            failed = resource_pb2.Result.FAIL
            return resource_pb2.RegisterResourceResponse(urn=name, result=failed)
        return resource_pb2.RegisterResourceResponse(
            urn=name, id=made.id, object=to_struct(made.outputs)
        )

    def RegisterResourceOutputs(self, _: Any) -> None:  # noqa: N802 - gRPC's name
        """The stack has no outputs."""

    def SignalAndWaitForShutdown(self, _: Any) -> None:  # noqa: N802 - gRPC's name
        """The program has ended; nothing is left to wait for."""

    def Log(self, request: Any) -> None:  # noqa: N802 - gRPC's name
        """What the SDK tells the engine; a resource that failed is known already."""
        if request.severity >= engine_pb2.ERROR:
            self._update.failures.append(request.message)

    def _made(self, request: Any, name: str) -> Resource:
        new = Resource(
            urn=name,
            inputs=from_struct(request.object),
            provider=request.provider,
            dependencies=list(request.dependencies),
            property_dependencies={
                key: list(value.urns) for key, value in request.propertyDependencies.items()
            },
            secret_outputs=list(request.additionalSecretOutputs),
            timeouts=_seconds(request.customTimeouts),
        )
        if new.is_provider:
            new.inputs |= {"version": request.version}
            self._update.register_provider(new, self._find(new))
            return new
        if not new.provider:
            new.provider = self._default(new.type.partition(":")[0], request.version)
        before = request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None
        self._update.register(new, delete_before_replace=before)
        return new

    def _default(self, package: str, version: str) -> str:
        """Makes the provider of resources that name none, once; its reference."""
        with self._lock:
            if not self._reference:
                provider = default_provider(package, version)
                self._update.register_provider(provider, self._find(provider))
                self._reference = provider.reference
        return self._reference


def _seconds(timeouts: Any) -> dict[str, float]:
    """Timeouts in seconds, such as "90s", which is all that tests need of Go's durations."""
    return {field.name: float(value.removesuffix("s")) for field, value in timeouts.ListFields()}


def run(
    monitor: Monitor, package: str, resources: Mapping[str, Declared], *, preview: bool
) -> None:
    """Declares resources with the SDK, and waits until all are registered.

    Args:
        monitor: Which answers the SDK.
        package: Whose resources they are.
        resources: By logical name.
        preview: What is not known is left open.
    """

    async def program() -> None:
        # The outputs of a resource that failed are not used: without this
        # asyncio would log each with a stack trace, whenever the garbage is collected.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        await stack.run_in_stack(lambda: declare(package, resources))

    def declared() -> None:
        settings.reset_options(project=PROJECT, stack=STACK, preview=preview)
        settings.SETTINGS.monitor = monitor
        settings.SETTINGS.engine = monitor
        asyncio.run(program())

    # The SDK keeps its settings in context variables, which tests of other things share.
    contextvars.copy_context().run(declared)
