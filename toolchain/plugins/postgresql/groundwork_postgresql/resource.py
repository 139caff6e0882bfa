"""What every resource of a PostgreSQL server can do."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from groundwork_plugin import resource
from groundwork_plugin.errors import PluginError
from groundwork_plugin.properties import Failure, text
from groundwork_plugin.resource import Found

if TYPE_CHECKING:
    from collections.abc import Iterable

    from groundwork_plugin.values import Values

    from .configuration import Configuration
    from .server import Server

__all__ = ["InDatabase", "Named", "Resource", "database_of"]


class Resource(resource.Resource["Server"]):
    """A kind of object of the server, which its properties tell from others of its kind."""

    @abstractmethod
    def identity(self, values: Values, configuration: Configuration) -> str:
        """The id under which the engine keeps the object, as the genuine plugin writes it.

        Args:
            values: Inputs or outputs.
            configuration: For the database that holds where none is given.
        """

    async def locate(self, server: Server, identity: str) -> Values:
        """The properties that tell which object an id means, for an import.

        Args:
            server: Where it is.
            identity: As the user wrote it.

        Raises:
            PluginError: Objects of this kind cannot be imported, or the id means none.
        """
        del server
        raise PluginError(
            f"{self.noun} {identity!r} cannot be imported: an id does not say which one is meant; "
            "declare it in the program instead, making it again changes nothing"
        )

    async def make(self, backend: Server, wanted: Values) -> str:
        """See `groundwork_plugin.resource.Resource.make`."""
        await self.create(backend, wanted)
        return ""

    async def find(self, backend: Server, identity: str, known: Values) -> Found | None:
        """See `groundwork_plugin.resource.Resource.find`."""
        asked = known or await self.locate(backend, identity)
        found = await self.read(backend, asked)
        if found is None:
            return None
        kept = identity if known else ""
        return Found(kept or self.identity(found, backend.configuration), found)

    async def change(self, backend: Server, identity: str, state: Values, wanted: Values) -> None:
        """See `groundwork_plugin.resource.Resource.change`."""
        del identity
        await self.update(backend, state, wanted)

    async def remove(self, backend: Server, identity: str, state: Values) -> None:
        """See `groundwork_plugin.resource.Resource.remove`."""
        del identity
        await self.delete(backend, state)

    @abstractmethod
    async def read(self, server: Server, values: Values) -> Values | None:
        """The object as it is, as outputs; None where there is none.

        Args:
            server: Where it is.
            values: The last known outputs, or the inputs; what the server cannot tell is taken
                from them.
        """

    @abstractmethod
    async def create(self, server: Server, wanted: Values) -> None:
        """Makes the object, all or nothing.

        Args:
            server: Where to make it.
            wanted: Inputs.
        """

    @abstractmethod
    async def update(self, server: Server, state: Values, wanted: Values) -> None:
        """Changes the object in place.

        Args:
            server: Where it is.
            state: The last known outputs.
            wanted: Inputs.
        """

    @abstractmethod
    async def delete(self, server: Server, state: Values) -> None:
        """Removes the object; as with the genuine plugin, one that is gone is a failure.

        Only a schema that is gone from its database is none.

        Args:
            server: Where it is.
            state: The last known outputs.
        """


class Named(Resource):
    """An object of the whole server, which its name alone tells from others of its kind."""

    autonamed: ClassVar[bool] = True

    def validate(self, inputs: Values) -> Iterable[Failure]:
        """See `Resource.validate`."""
        if inputs.get("name") == "":
            yield Failure("name", "it is empty")

    def identity(self, values: Values, configuration: Configuration) -> str:
        """See `Resource.identity`."""
        del configuration
        return text(values, "name")

    async def locate(self, server: Server, identity: str) -> Values:
        """See `Resource.locate`."""
        del server
        return {"name": identity}


class InDatabase(Named):
    """An object inside a database: that of the provider where it names none."""

    def identity(self, values: Values, configuration: Configuration) -> str:
        """See `Resource.identity`."""
        return f"{text(values, 'database') or configuration.database}.{text(values, 'name')}"

    async def locate(self, server: Server, identity: str) -> Values:
        """See `Resource.locate`."""
        database, name = await _in_database(server, identity, noun=self.noun)
        return {"database": database, "name": name}


def database_of(server: Server, values: Values) -> str:
    """The database that an object is in."""
    return text(values, "database") or server.configuration.database


async def _in_database(server: Server, identity: str, *, noun: str) -> tuple[str, str]:
    """Takes an id of the form `database.name` apart, for an import.

    Both parts may contain dots themselves; then the server tells which database is meant.

    Args:
        server: Whose databases are asked for.
        identity: As the user wrote it.
        noun: What the second part names, for the message.

    Raises:
        PluginError: The id does not name a database, or could name several.
    """
    parts = identity.split(".")
    splits = [
        (".".join(parts[:position]), ".".join(parts[position:]))
        for position in range(1, len(parts))
    ]
    if len(splits) > 1:
        async with server.session() as session:
            rows = await session.fetch("SELECT datname::text AS name FROM pg_database")
        databases = {row["name"] for row in rows}
        splits = [split for split in splits if split[0] in databases]
    if len(splits) != 1 or not all(splits[0]):
        raise PluginError(f"the id {identity!r} is not of the form 'database.{noun}'")
    return splits[0]
