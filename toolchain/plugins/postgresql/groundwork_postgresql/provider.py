"""The provider: between the engine's requests and the resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulumi.provider.experimental import provider as engine

from . import properties as props
from .configuration import SECRET_SETTINGS, Configuration, problems
from .errors import NotCoveredError, OperationFailedError, PluginError
from .resources import ALIASES, RESOURCES
from .server import Server
from .values import UNKNOWN, from_wire, to_wire

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import TypeVar

    from pulumi.provider.experimental.property_value import PropertyValue

    from .resource import Resource
    from .values import Value, Values

    _Result = TypeVar("_Result")

__all__ = ["PostgresqlProvider"]

_TAKEN = ("42710", "42P04", "42P06")
"""What PostgreSQL answers where a role, database or schema of that name exists."""


class PostgresqlProvider(engine.Provider):
    """Answers the engine for the resources of `pulumi_postgresql` that `RESOURCES` lists."""

    def __init__(self) -> None:
        """Has no configuration until the engine sends one."""
        self._server: Server | None = None

    async def get_schema(self, request: engine.GetSchemaRequest) -> engine.GetSchemaResponse:
        """The package schema, which imports are written from."""
        from .package_schema import package_schema  # noqa: PLC0415 - rare

        del request
        return engine.GetSchemaResponse(package_schema())

    async def check_config(self, request: engine.CheckRequest) -> engine.CheckResponse:
        """Refuses settings that are wrong or that need the genuine plugin."""
        settings = from_wire(request.new_inputs)
        failures = [engine.CheckFailure(key, why) for key, why in problems(settings).items()]
        return engine.CheckResponse(to_wire(settings, secrets=SECRET_SETTINGS), failures)

    async def configure(self, request: engine.ConfigureRequest) -> engine.ConfigureResponse:
        """Takes the configuration; connects to nothing."""
        self._server = Server(Configuration.parse(_settings(request)))
        # Without `accept_secrets` the engine itself keeps the secret inputs secret as outputs.
        return engine.ConfigureResponse(accept_secrets=False, supports_preview=True)

    async def check(self, request: engine.CheckRequest) -> engine.CheckResponse:
        """Types, defaults and generated names; no session is opened."""
        resource = _resource(request.type)
        news, olds = from_wire(request.new_inputs), from_wire(request.old_inputs)
        named = resource.autonamed and news.get("name") is None
        if named:
            news["name"] = _kept_name(olds) or props.generated_name(
                request.name, request.random_seed
            )
        inputs, failures = props.checked(resource.properties, news)
        defaulted = inputs[props.DEFAULTED]
        if named and isinstance(defaulted, list):
            defaulted.append("name")
        failures += resource.validate(inputs)
        return engine.CheckResponse(
            _outward(resource, inputs),
            [engine.CheckFailure(failure.name, failure.reason) for failure in failures],
        )

    async def diff(self, request: engine.DiffRequest) -> engine.DiffResponse:
        """Compares the state with the inputs; no session is opened."""
        resource = _resource(request.type)
        olds, news = from_wire(request.old_state), from_wire(request.new_inputs)
        found = props.changes(resource.properties, olds, news)
        replaces = [name for name, change in found.items() if change.replaces]
        return engine.DiffResponse(
            changes=bool(found),
            replaces=replaces,
            diffs=list(found),
            detailed_diff={name: _described(change) for name, change in found.items()},
            delete_before_replace=bool(replaces)
            and (resource.delete_before_replace or _keeps_name(resource, olds, news)),
        )

    async def create(self, request: engine.CreateRequest) -> engine.CreateResponse:
        """Makes an object and reads it back; in a preview, tells what is known of it."""
        resource = _resource(request.type)
        wanted = from_wire(request.properties)
        if request.preview:
            return engine.CreateResponse("", _outward(resource, _foreseen(resource, wanted, {})))
        server = self._configured()
        title = resource.title(wanted)
        await _doing(f"{title} cannot be made", wanted, resource.create(server, wanted))
        made = await _doing(
            f"{title} was made, but cannot be read back", wanted, resource.read(server, wanted)
        )
        if made is None:
            raise PluginError(
                f"{title} was made, but is not there any more; something else removes it; "
                "run the update again"
            )
        identity = resource.identity(made, server.configuration)
        return engine.CreateResponse(identity, _outward(resource, made))

    async def read(self, request: engine.ReadRequest) -> engine.ReadResponse:
        """The object as it is now, for a refresh or an import."""
        resource = _resource(request.type)
        server = self._configured()
        state, inputs = from_wire(request.properties), from_wire(request.inputs)
        what = f"{resource.noun} {request.resource_id!r} cannot be read"
        known = state or await _doing(what, {}, resource.locate(server, request.resource_id))
        found = await _doing(what, known, resource.read(server, known))
        if found is None:
            return engine.ReadResponse("")
        return engine.ReadResponse(
            request.resource_id if state else resource.identity(found, server.configuration),
            _outward(resource, found),
            _outward(resource, _inputs_of(resource, found, inputs)),
        )

    async def update(self, request: engine.UpdateRequest) -> engine.UpdateResponse:
        """Changes an object in place and reads it back; in a preview, tells what is known."""
        resource = _resource(request.type)
        state, wanted = from_wire(request.olds), from_wire(request.news)
        foreseen = _foreseen(resource, wanted, state)
        if request.preview:
            return engine.UpdateResponse(_outward(resource, foreseen))
        server = self._configured()
        title = resource.title(state)
        await _doing(f"{title} cannot be changed", wanted, resource.update(server, state, wanted))
        found = await _doing(
            f"{title} was changed, but cannot be read back",
            wanted,
            resource.read(server, foreseen),
        )
        return engine.UpdateResponse(_outward(resource, foreseen if found is None else found))

    async def delete(self, request: engine.DeleteRequest) -> None:
        """Removes an object."""
        resource = _resource(request.type)
        state = from_wire(request.properties)
        title = resource.title(state)
        await _doing(f"{title} cannot be removed", {}, resource.delete(self._configured(), state))

    async def invoke(self, request: engine.InvokeRequest) -> engine.InvokeResponse:
        """No function is covered."""
        raise NotCoveredError(request.tok)

    def _configured(self) -> Server:
        if self._server is None:
            raise PluginError("the postgresql provider has not been configured")
        return self._server


def _resource(path: str) -> Resource:
    # Inside a component a URN has the types of the parents before the resource's own.
    token = path.rpartition("$")[2]
    resource = RESOURCES.get(ALIASES.get(token, token))
    if resource is None:
        raise NotCoveredError(token)
    return resource


def _settings(request: engine.ConfigureRequest) -> Values:
    settings = from_wire(request.args)
    for key, value in request.variables.items():
        # The stack's configuration comes here as `postgresql:config:host`.
        settings.setdefault(key.rpartition(":")[2], value)
    return settings


def _outward(resource: Resource, values: Values) -> dict[str, PropertyValue]:
    return to_wire(values, secrets=[prop.name for prop in resource.properties if prop.secret])


def _kept_name(olds: Values) -> Value:
    defaulted = olds.get(props.DEFAULTED)
    return olds.get("name") if isinstance(defaulted, list) and "name" in defaulted else None


def _keeps_name(resource: Resource, olds: Values, news: Values) -> bool:
    """Whether old and new object would have one name, so that they cannot exist side by side."""
    defaulted = news.get(props.DEFAULTED)
    generated = isinstance(defaulted, list) and "name" in defaulted
    return resource.autonamed and not generated and olds.get("name") == news.get("name")


def _described(change: props.Change) -> engine.PropertyDiff:
    suffix = "_REPLACE" if change.replaces else ""
    kind = engine.PropertyDiffKind[f"{change.kind.upper()}{suffix}"]
    return engine.PropertyDiff(kind, input_diff=False)


def _foreseen(resource: Resource, wanted: Values, state: Values) -> Values:
    """The outputs as far as they are known before the server is asked."""
    foreseen: Values = {}
    for prop in resource.properties:
        value = wanted.get(prop.name)
        if value is None and prop.computed:
            value = state.get(prop.name, UNKNOWN)
        if not prop.write_only:
            foreseen[prop.name] = value
    return foreseen


def _inputs_of(resource: Resource, found: Values, inputs: Values) -> Values:
    """The inputs that a program would have to give for what was found.

    For a refresh, only what differs from the last inputs is replaced; an import, which has none,
    gets everything that is not a default.
    """
    result: Values = {props.DEFAULTED: [], **inputs}
    for prop in resource.properties:
        actual, asked = found.get(prop.name), inputs.get(prop.name)
        if prop.write_only or (inputs and asked is None and prop.computed):
            continue
        expected = prop.default if asked is None else asked
        if prop.name == "name" or prop.required or not props.same(prop, actual, expected):
            result[prop.name] = (
                actual if asked is None or not props.same(prop, actual, asked) else asked
            )
    return result


async def _doing(what: str, values: Values, work: Awaitable[_Result]) -> _Result:
    """Puts what was being done in front of PostgreSQL's own words, without any password."""
    try:
        return await work
    except OperationFailedError as error:
        message = f"{what}: {error}"
        if getattr(error.__cause__, "sqlstate", "") in _TAKEN:
            message += "; nothing was changed; to take it over, bring it in with `pulumi import`"
        for key in ("password", "passwordWo"):
            if secret := props.text(values, key):
                message = message.replace(secret, "[secret]")
        raise PluginError(message) from error
