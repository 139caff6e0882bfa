"""Tries an image with a volume and settings, before a server that runs is taken down for it."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import dynamic

from infra.dynamic import Provider, known
from infra.project import spelled
from infra.servers.docker import amounts, engine
from infra.servers.docker.engine import Docker, DockerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.servers.docker.labels import Stack
    from infra.settings import Settings

__all__ = ["DATA", "OLDEST", "ContainerTrial", "ContainerTrialProvider"]

# The place of the data in every image, whatever its own is.
DATA = "/var/lib/postgresql/data"
OLDEST = 17
_TRIED = ("image_id", "volume", "parameters", "memory", "shm_size", "extensions")
# What a state says of a stack that asks for no other.
_USUAL = ["vector"]
_SECONDS = 60.0
_MIB = 1024 * 1024
_PROCESSES_MIB = 64  # for the processes themselves, of a server that does little
_LEVEL = re.compile(r"^.*?(LOG|WARNING|ERROR|FATAL|HINT|DETAIL):\s+|^postgres: ")
_SAYS_NOTHING = "skipping missing configuration file"
# PostgreSQL computes how much memory it would take: for that it reads the settings, checks them
# with each other, loads libraries, and looks into the control file of a cluster. Where there is
# none yet, it reads the settings alone.
_SCRIPT = """
set -eu
command -v postgres > /dev/null || exit 7
version=$(postgres --version)
echo "version=$version"
[ ! -e "$PGDATA/PG_VERSION" ] || echo "data=$(cat "$PGDATA/PG_VERSION")"
for folder in /usr/share/postgresql/*/extension /usr/local/share/postgresql/extension; do
    [ -e "$folder/plpgsql.control" ] || continue
    printf '%s' "$EXTENSIONS" | while IFS= read -r name; do
        [ -e "$folder/$name.control" ] || echo "lacks $name="
    done
done
trial=/tmp/trial
mkdir -m 0700 "$trial" "$trial/global"
: > "$trial/postgresql.conf"
echo "${version#* [(]PostgreSQL[)] }" | cut -d. -f1 > "$trial/PG_VERSION"
asked=config_file
if [ -e "$PGDATA/global/pg_control" ] && cmp -s "$PGDATA/PG_VERSION" "$trial/PG_VERSION"; then
    cp "$PGDATA/global/pg_control" "$trial/global"
    asked=shared_memory_size
fi
said=$(postgres -C "$asked" -D "$trial" "$@")
[ "$asked" = config_file ] || echo "memory=$said"
"""


class ContainerTrial(dynamic.Resource, module="groundwork", name="ContainerTrial"):
    """An image, a volume and settings that go together."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        stack: Stack,
        image_id: pulumi.Input[str],
        volume: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare what is to go together.

        Args:
            name: Of the resource.
            settings: Of the stack.
            stack: Whose server it is.
            image_id: Of the image.
            volume: Name of the volume with the data.
            opts: The engine's.
        """
        inputs = {
            **asdict(stack),
            "image": settings.image,
            "image_id": image_id,
            "volume": volume,
            "parameters": dict(settings.parameters),
            "memory": settings.memory,
            "shm_size": amounts.shared(settings.parameters, chosen=settings.shm_size),
        }
        extensions = [each.name for each in settings.extensions]
        if extensions != _USUAL:
            inputs["extensions"] = extensions
        super().__init__(ContainerTrialProvider(), name, inputs, opts)


class ContainerTrialProvider(Provider):
    """Tries in `check`: in previews where the image is here, and before anything depends on it."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Run PostgreSQL for a moment, beside the server and without touching it.

        Raises:
            DockerError: The image, the volume and the settings don't go together.
        """
        host = engine.connect(news["docker_host"])
        if host is not None and any(olds.get(key) != news.get(key) for key in _TRIED):
            _try(host, news)
        return dynamic.CheckResult(news, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Compare the inputs."""
        keys = {*news, "extensions"}
        same = known(news) and all(olds.get(key) == news.get(key) for key in keys)
        return dynamic.DiffResult(changes=not same)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Remember what went together."""
        return dynamic.CreateResult(props["owner"], props)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Remember what goes together now."""
        return dynamic.UpdateResult(news)


def _try(host: Docker, wanted: Mapping[str, Any]) -> None:
    name = wanted["image_id"] if known(wanted["image_id"]) else wanted["image"]
    image = host.image(name)
    if image is None or not known(wanted["parameters"]):
        return  # still to be pulled: then `up` tries it before it changes anything
    volume = wanted["volume"] if known(wanted["volume"]) else ""
    if volume and host.volume(volume) is None:
        volume = ""  # to mention it would make it
    try:
        description = _description(str(image["Id"]), volume, wanted)
        done = host.run(description, mark=wanted["owner"], seconds=_SECONDS)
    except DockerError as exc:
        msg = f"The image {wanted['image']} could not be tried. Nothing was changed. {exc}"
        raise DockerError(msg) from exc
    said = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    for mistake in (
        _image_mistake(wanted["image"], said),
        _volume_mistake(volume, said),
        _settings_mistake(done.status, done.stderr),
        _memory_mistake(wanted, said),
    ):
        if mistake:
            raise DockerError(f"{mistake} Nothing was changed.")


def _description(image: str, volume: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    names = "".join(f"{name}\n" for name in wanted.get("extensions", _USUAL))
    settings = [word for pair in wanted["parameters"].items() for word in ("-c", "=".join(pair))]
    return {
        "Image": image,
        "User": "0",
        "Entrypoint": ["sh", "-c", _SCRIPT, "trial"],
        "Cmd": settings,
        "Env": [f"PGDATA={DATA}", f"EXTENSIONS={names}"],
        "NetworkDisabled": True,
        "HostConfig": {
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": "mode=1777"},  # noqa: S108 - the container's own, in memory
            "Binds": [f"{volume}:{DATA}:ro"] if volume else [],
            "Memory": int(wanted["memory"]) * _MIB,
            "ShmSize": int(wanted["shm_size"]) * _MIB,
            "CapDrop": ["ALL"],
            "CapAdd": ["CAP_DAC_OVERRIDE"],
            "SecurityOpt": ["no-new-privileges"],
        },
    }


def major(said: Mapping[str, str]) -> int:
    """Read PostgreSQL's major version out of `version=`; 0 where there is none."""
    found = re.search(r"\d+", said.get("version", ""))
    return int(found[0]) if found else 0


def _image_mistake(image: str, said: Mapping[str, str]) -> str:
    advice = f"Set {spelled('image')} to one as pgvector/pgvector:pg17."
    if not major(said):
        return f"The image {image} has no PostgreSQL. {advice}"
    if major(said) < OLDEST:
        return f"The image {image} has PostgreSQL {major(said)}, and {OLDEST} is wanted. {advice}"
    lacking = [key.removeprefix("lacks ") for key in said if key.startswith("lacks ")]
    if lacking:
        names = ", ".join(map(repr, lacking))
        return (
            f"The image {image} has no extension {names}. {advice} Or take it out of"
            f" {spelled('extensions')}."
        )
    return ""


def _volume_mistake(volume: str, said: Mapping[str, str]) -> str:
    data = said.get("data", "")
    if not data or data == str(major(said)):
        return ""
    return (
        f"The volume {volume} belongs to PostgreSQL {data}, and the image has PostgreSQL"
        f" {major(said)}. Set {spelled('image')} to one with PostgreSQL {data}; or set"
        f" {spelled('volume')} to another name, and move the rows over with pg_dump."
    )


def _settings_mistake(status: int, stderr: str) -> str:
    if not status:
        return ""
    lines = [_LEVEL.sub("", line).strip().rstrip(".") for line in stderr.splitlines()]
    told = (line for line in lines if line and not line.startswith(_SAYS_NOTHING))
    said = "; ".join(told) or f"exit status {status}"
    return f"PostgreSQL refuses the settings: {said}. Correct {spelled('parameters')}."


def _memory_mistake(wanted: Mapping[str, Any], said: Mapping[str, str]) -> str:
    limit = int(wanted["memory"])
    shared = int(said.get("memory") or amounts.of(wanted["parameters"], "shared_buffers"))
    maintenance = amounts.of(wanted["parameters"], "maintenance_work_mem")
    least = shared + maintenance + _PROCESSES_MIB
    if not limit or limit >= least:
        return ""
    return (
        f"{spelled('memory')} is {limit} MiB, and PostgreSQL needs {least}: {shared} that all"
        f" processes share (shared_buffers), {maintenance} for an index to be built"
        f" (maintenance_work_mem), {_PROCESSES_MIB} for the processes. Raise it, or lower these in"
        f" {spelled('parameters')}."
    )
