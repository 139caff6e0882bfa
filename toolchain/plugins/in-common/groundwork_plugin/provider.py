"""The provider: between the engine's requests and the resources of a plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from pulumi.provider.experimental import provider as engine

from . import differences
from . import properties as props
from .errors import (
    NotCoveredError,
    OperationFailedError,
    PartlyMadeError,
    PluginError,
    advice,
)
from .timeouts import limit_deletion
from .values import from_wire, secret_keys, secret_texts, to_wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping

    from pulumi.provider.experimental.property_value import PropertyValue

    from .plugin import Plugin
    from .resource import Resource
    from .values import Value, Values

    _Result = TypeVar("_Result")

__all__ = ["InitFailedError", "PluginProvider"]

Backend = TypeVar("Backend")


class InitFailedError(Exception):
    """An object was made, but is not as asked for; the engine keeps it, and says why."""

    def __init__(
        self,
        reason: str,
        *,
        identity: str,
        inputs: dict[str, PropertyValue],
        outputs: dict[str, PropertyValue],
    ) -> None:
        """Takes what the state is to hold of it."""
        super().__init__(reason)
        self.identity = identity
        self.inputs = inputs
        self.outputs = outputs


class PluginProvider(engine.Provider, Generic[Backend]):
    """Answers the engine for the resources of one plugin."""

    def __init__(self, plugin: Plugin[Backend]) -> None:
        """Has no configuration until the engine sends one.

        Args:
            plugin: What to answer for.
        """
        self.plugin = plugin
        self._backend: Backend | None = None

    async def get_schema(self, request: engine.GetSchemaRequest) -> engine.GetSchemaResponse:
        """The package schema, which imports are written from."""
        from .package_schema import package_schema  # noqa: PLC0415 - rare

        del request
        return engine.GetSchemaResponse(package_schema(self.plugin))

    async def check_config(self, request: engine.CheckRequest) -> engine.CheckResponse:
        """Refuses settings that are wrong or that need the genuine plugin."""
        settings = from_wire(request.new_inputs)
        found = self.plugin.problems(settings)
        failures = [engine.CheckFailure(key, why) for key, why in found.items()]
        hidden = {*self.plugin.secret_settings, *secret_keys(request.new_inputs)}
        return engine.CheckResponse(to_wire(settings, secrets=hidden), failures)

    async def configure(self, request: engine.ConfigureRequest) -> engine.ConfigureResponse:
        """Takes the configuration; connects to nothing."""
        settings = _settings(request)
        if found := self.plugin.problems(settings):
            name = self.plugin.name
            listed = "; ".join(f"{name}:{key}: {reason}" for key, reason in found.items())
            raise PluginError(f"the configuration of the {name} provider is wrong: {listed}")
        self._backend = self.plugin.connect(settings)
        # With `accept_secrets` the plugin knows which texts must not appear in a message. In
        # return it has to mark the outputs: those whose inputs are secret.
        return engine.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def check(self, request: engine.CheckRequest) -> engine.CheckResponse:
        """Types, defaults and generated names; no session is opened."""
        resource = self._resource(request.type)
        news, olds = from_wire(request.new_inputs), from_wire(request.old_inputs)
        named = resource.autonamed and news.get("name") is None
        if named:
            news["name"] = _kept_name(olds) or props.generated_name(
                request.name, request.random_seed
            )
        name = self.plugin.name
        inputs, failures = props.checked(
            resource.properties,
            news,
            unknown=f"the offline {name} plugin does not cover it; {advice(name)}",
        )
        defaulted = inputs[props.DEFAULTED]
        if named and isinstance(defaulted, list):
            defaulted.append("name")
        if not failures:
            failures = list(resource.validate(inputs))
        return engine.CheckResponse(
            _outward(resource, inputs, secret_keys(request.new_inputs)),
            [engine.CheckFailure(failure.name, failure.reason) for failure in failures],
        )

    async def diff(self, request: engine.DiffRequest) -> engine.DiffResponse:
        """Compares the state with the inputs; no session is opened."""
        resource = self._resource(request.type)
        olds, news = from_wire(request.old_state), from_wire(request.new_inputs)
        found = differences.changes(resource.properties, olds, news)
        replaces = [name for name, change in found.items() if change.replaces]
        return engine.DiffResponse(
            changes=bool(found),
            replaces=replaces,
            diffs=list(found),
            detailed_diff={name: _described(change) for name, change in found.items()},
            # Of a replacement that the engine alone wants the genuine plugin says nothing.
            delete_before_replace=bool(replaces)
            and (resource.delete_before_replace or _keeps_name(resource, olds, news)),
        )

    async def create(self, request: engine.CreateRequest) -> engine.CreateResponse:
        """Makes an object and reads it back; in a preview, tells what is known of it."""
        resource = self._resource(request.type)
        wanted, hidden = from_wire(request.properties), secret_keys(request.properties)
        if request.preview:
            foreseen = differences.foreseen(resource.properties, wanted, {})
            return engine.CreateResponse("", _outward(resource, foreseen, hidden))
        backend, secrets = self._configured(), _secrets(resource, request.properties)
        title, problem = resource.title(wanted), ""
        try:
            identity = await _doing(
                f"{title} cannot be made", secrets, resource.make(backend, wanted)
            )
        except PartlyMadeError as error:
            identity, problem = error.identity, f"{title}: {error}"
        made = await _doing(
            f"{title} was made, but cannot be read back",
            secrets,
            resource.find(backend, identity, wanted),
        )
        if made is None:
            raise PluginError(
                _redacted(problem, secrets)
                or f"{title} was made, but is not there any more; something else removes it; "
                "run the update again"
            )
        outputs = _outward(resource, made.values, hidden)
        if problem:
            raise InitFailedError(
                _redacted(problem, secrets),
                identity=made.identity,
                inputs=request.properties,
                outputs=outputs,
            )
        return engine.CreateResponse(made.identity, outputs)

    async def read(self, request: engine.ReadRequest) -> engine.ReadResponse:
        """The object as it is now, for a refresh or an import."""
        resource = self._resource(request.type)
        state, inputs = from_wire(request.properties), from_wire(request.inputs)
        carried = (request.properties, request.inputs)
        hidden, secrets = secret_keys(*carried), _secrets(resource, *carried)
        found = await _doing(
            f"{resource.noun} {request.resource_id!r} cannot be read",
            secrets,
            resource.find(self._configured(), request.resource_id, state),
        )
        if found is None:
            return engine.ReadResponse("")
        told = differences.inputs_of(resource.properties, found.values, inputs)
        return engine.ReadResponse(
            found.identity,
            _outward(resource, found.values, hidden),
            _outward(resource, told, hidden),
        )

    async def update(self, request: engine.UpdateRequest) -> engine.UpdateResponse:
        """Changes an object in place and reads it back; in a preview, tells what is known."""
        resource = self._resource(request.type)
        state, wanted = from_wire(request.olds), from_wire(request.news)
        hidden = secret_keys(request.news)
        foreseen = differences.foreseen(resource.properties, wanted, state)
        if request.preview:
            return engine.UpdateResponse(_outward(resource, foreseen, hidden))
        backend, secrets = self._configured(), _secrets(resource, request.olds, request.news)
        title, identity = resource.title(state), request.resource_id
        await _doing(
            f"{title} cannot be changed",
            secrets,
            resource.change(backend, identity, state, wanted),
        )
        found = await _doing(
            f"{title} was changed, but cannot be read back",
            secrets,
            resource.find(backend, identity, foreseen),
        )
        return engine.UpdateResponse(
            _outward(resource, foreseen if found is None else found.values, hidden)
        )

    async def delete(self, request: engine.DeleteRequest) -> None:
        """Removes an object."""
        resource = self._resource(request.type)
        state = from_wire(request.properties)
        limit_deletion(request.timeout)
        await _doing(
            f"{resource.title(state)} cannot be removed",
            _secrets(resource, request.properties),
            resource.remove(self._configured(), request.resource_id, state),
        )

    async def invoke(self, request: engine.InvokeRequest) -> engine.InvokeResponse:
        """No function is covered."""
        raise self._not_covered(request.tok)

    def _configured(self) -> Backend:
        if self._backend is None:
            raise PluginError(f"the {self.plugin.name} provider has not been configured")
        return self._backend

    def _resource(self, path: str) -> Resource[Backend]:
        # Inside a component a URN has the types of the parents before the resource's own.
        token = path.rpartition("$")[2]
        resource = self.plugin.resources.get(self.plugin.aliases.get(token, token))
        if resource is None:
            raise self._not_covered(token)
        return resource

    def _not_covered(self, token: str) -> NotCoveredError:
        return NotCoveredError(token, plugin=self.plugin.name, covered=self.plugin.covered)


def _settings(request: engine.ConfigureRequest) -> Values:
    settings = from_wire(request.args)
    for key, value in request.variables.items():
        # The stack's configuration comes here as `postgresql:config:host`.
        settings.setdefault(key.rpartition(":")[2], value)
    return settings


def _outward(
    resource: Resource[Backend], values: Values, hidden: Iterable[str]
) -> dict[str, PropertyValue]:
    secret = {prop.name for prop in resource.properties if prop.secret}
    return to_wire(values, secrets=secret.union(hidden))


def _secrets(resource: Resource[Backend], *groups: Mapping[str, PropertyValue]) -> frozenset[str]:
    """What must not appear in a message, whether or not the program says that it is secret."""
    hidden = [prop.name for prop in resource.properties if prop.secret]
    marked = [
        {key: group[key].with_secret(is_secret=True) for key in hidden if key in group}
        for group in groups
    ]
    return secret_texts(*groups, *marked)


def _kept_name(olds: Values) -> Value:
    defaulted = olds.get(props.DEFAULTED)
    return olds.get("name") if isinstance(defaulted, list) and "name" in defaulted else None


def _keeps_name(resource: Resource[Backend], olds: Values, news: Values) -> bool:
    """Whether old and new object would have one name, so that they cannot exist side by side."""
    defaulted = news.get(props.DEFAULTED)
    generated = isinstance(defaulted, list) and "name" in defaulted
    return resource.autonamed and not generated and olds.get("name") == news.get("name")


def _described(change: differences.Change) -> engine.PropertyDiff:
    suffix = "_REPLACE" if change.replaces else ""
    kind = engine.PropertyDiffKind[f"{change.kind.upper()}{suffix}"]
    return engine.PropertyDiff(kind, input_diff=False)


async def _doing(what: str, secrets: Iterable[str], work: Awaitable[_Result]) -> _Result:
    """Puts what was being done in front of the server's own words, and takes out what is secret."""
    try:
        return await work
    except OperationFailedError as error:
        message = f"{what}: {error}"
        if error.taken:
            message += "; nothing was changed; to take it over, bring it in with `pulumi import`"
        raise PluginError(_redacted(message, secrets)) from error
    except PluginError as error:
        raise PluginError(_redacted(str(error), secrets)) from error


def _redacted(message: str, secrets: Iterable[str]) -> str:
    """A message without secrets; the longest first, since one may be a part of another."""
    for secret in sorted(secrets, key=len, reverse=True):
        message = message.replace(secret, "[secret]")
    return message
