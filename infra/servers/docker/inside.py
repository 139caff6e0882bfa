"""What is in a volume that was there before: roles and a database of a stack that left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

from infra.project import spelled
from infra.servers import Found
from infra.servers.docker import engine, labels
from infra.servers.docker.engine import DockerError
from infra.servers.docker.trial import DATA
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from typing import Any

    from infra.servers.docker.engine import Docker
    from infra.servers.docker.labels import Stack
    from infra.settings import Settings

__all__ = ["found"]

# In hexadecimal, which no character of a name can break.
_QUESTION = (
    "SELECT 'role ' || encode(rolname::text::bytea, 'hex') AS line FROM pg_roles"
    " WHERE oid >= 16384"
    " UNION ALL SELECT 'database ' || encode(datname::text::bytea, 'hex') FROM pg_database"
    " WHERE oid >= 16384"
)
_SECONDS = 60.0


def found(settings: Settings, stack: Stack) -> Found:
    """Look into the volume that the stack's configuration names, while the graph is declared.

    Whether a role or the database is to be imported has to be a plain value, and an output of a
    resource is none. A server that runs is asked; otherwise PostgreSQL opens the volume for a
    moment in a container without any network.

    Raises:
        DockerError: Docker doesn't run, or PostgreSQL can't open the volume.
    """
    host = engine.connect(stack.docker_host)
    if not settings.volume or host is None or host.volume(settings.volume) is None:
        return Found()
    lines = _ask(host, settings, stack)
    if lines is None:
        text = (
            f"The volume {settings.volume} is there, and the image {settings.image} isn't here yet,"
            " so that nobody knows what is in the volume. Where a stack has used it before, get"
            f" the image first: docker pull {settings.image}"
        )
        pulumi.log.warn(visible(text))
        return Found()
    return _wanted(settings, _names(lines, "role"), _names(lines, "database"))


def _wanted(settings: Settings, roles: set[str], databases: set[str]) -> Found:
    names = vars(settings.access.roles).values()
    return Found(
        roles=frozenset(name for name in names if name in roles),
        database=settings.database in databases,
    )


def _ask(host: Docker, settings: Settings, stack: Stack) -> list[str] | None:
    """Give what PostgreSQL says; None where there is no image to run it with."""
    for each in host.containers(volume=settings.volume):
        if each["State"] == "running" and labels.belongs(each, stack.owner):
            words = ("psql", "-XAtc", _QUESTION, "postgres")
            done = host.execute(str(each["Id"]), *words, user="postgres")
            if not done.status:
                return done.stdout.splitlines()
        elif each["State"] not in ("created", "exited", "dead"):
            return []  # of somebody else: the server's own check refuses it
    image = host.image(settings.image)
    if image is None:
        return None
    opening = _opening(str(image["Id"]), settings)
    done = host.run(opening, mark=stack.owner, seconds=_SECONDS)
    if done.status:
        said = "; ".join(line.strip() for line in done.stderr.splitlines()[-3:])
        raise DockerError(
            f"PostgreSQL of the image {settings.image} can't open the volume {settings.volume}:"
            f" {said}. Its rows are untouched. Set {spelled('image')} to one of the major version"
            f" that the volume belongs to, or {spelled('volume')} to another name."
        )
    return done.stdout.splitlines()


def _opening(image: str, settings: Settings) -> dict[str, Any]:
    """Describe a container that asks PostgreSQL's single-user mode; an empty volume says nothing.

    The lock is the one of the server's own start: never two on one volume.
    """
    script = (
        '[ -s "$PGDATA/PG_VERSION" ] || exit 0\n'
        'exec 9< "$PGDATA"\n'
        "! command -v flock > /dev/null || flock -n 9 || { echo 'it is in use' >&2; exit 1; }\n"
        'echo "$1" | postgres --single -c log_min_messages=fatal postgres'
    )
    return {
        "Image": image,
        "User": "postgres",
        "Entrypoint": ["sh", "-c", script, "inside"],
        "Cmd": [_QUESTION],
        "Env": [f"PGDATA={DATA}"],
        "NetworkDisabled": True,
        "HostConfig": {
            "Binds": [f"{settings.volume}:{DATA}"],
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
        },
    }


def _names(lines: list[str], kind: str) -> set[str]:
    """Read names of a kind out of lines of psql or of the single-user mode's own form."""
    names = set()
    for line in lines:
        _, mark, rest = line.partition(f"{kind} ")
        if mark and "typeid" not in rest.partition('"')[0]:
            names.add(bytes.fromhex(rest.partition('"')[0].strip()).decode(errors="replace"))
    return names
