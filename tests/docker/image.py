"""The image of PostgreSQL 17 that tests run on: the official one, or one that behaves like it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docker import rootfs
from toolchain import cache, progress, run
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from tests.docker.daemon import Docker

__all__ = ["MADE", "PUBLISHED", "provide"]

PUBLISHED = "pgvector/pgvector:pg17"
"""The official image of PostgreSQL 17, with pgvector added by pgvector's authors."""

MADE = "groundwork/pgvector:pg17"
"""The image that is made where the published one can't be pulled."""

_FOLDER = Path(__file__).parent / "image"
_RECIPE_FILES = ("Dockerfile", "entrypoint.sh")
_RECIPE = "groundwork.recipe"  # the label that tells what an image was made of
_FIRST_WORD_SECONDS = 30  # a registry that has the image says so within this
_PULL_SECONDS = 600
_LOAD_SECONDS = 300


def provide(docker: Docker, *, make: bool = True) -> str:
    """Give the name of an image that is in the daemon: found there, pulled or made.

    GROUNDWORK_POSTGRES_IMAGE names another one, which is then pulled where it is missing.

    Args:
        docker: the daemon.
        make: whether one is made where none can be pulled; it takes minutes the first time.

    Raises:
        ToolchainError: None can be had, and why.
    """
    with cache.lock("postgres-image", doing="getting an image of PostgreSQL 17"):
        image = _provide(docker, os.environ.get("GROUNDWORK_POSTGRES_IMAGE", ""), make=make)
    _try(docker, image)
    return image


def _provide(docker: Docker, chosen: str, *, make: bool) -> str:
    if chosen:
        if not _there(docker, chosen):
            _pull(chosen)
        return chosen
    found = _find(docker)
    if found:
        return found
    try:
        _pull(PUBLISHED)
    except ToolchainError as exc:
        if not make:
            raise
        progress.say(f"{exc}. One like it is made instead")
        return _make(docker)
    return PUBLISHED


def _try(docker: Docker, image: str) -> None:
    """See whether the daemon can run a container: one that runs in a container often can't."""
    options = ("--rm", "--label", docker.label, "--publish", "127.0.0.1::5432")
    try:
        docker("run", *options, "--entrypoint", "true", image)
    except ToolchainError as exc:
        said = str(exc).splitlines()[0].removeprefix("`docker run` failed: ")
        raise ToolchainError(f"Docker runs no containers here: {said}") from exc


def _find(docker: Docker) -> str:
    if _there(docker, PUBLISHED):
        return PUBLISHED
    return MADE if _label(docker, MADE) == _recipe() else ""


def _there(docker: Docker, image: str) -> bool:
    return docker("image", "inspect", image, check=False).returncode == 0


def _label(docker: Docker, image: str) -> str:
    form = f'{{{{index .Config.Labels "{_RECIPE}"}}}}'
    return docker("image", "inspect", "--format", form, image, check=False).stdout.strip()


def _recipe() -> str:
    parts = [rootfs.digest().encode(), *((_FOLDER / name).read_bytes() for name in _RECIPE_FILES)]
    return hashlib.sha256(b"\n".join(parts)).hexdigest()[:16]


def _pull(image: str) -> None:
    heard: list[str] = []
    begin = time.monotonic()

    def give_up() -> None:
        limit = _PULL_SECONDS if heard else _FIRST_WORD_SECONDS
        if time.monotonic() - begin > limit:
            raise ToolchainError(f"pulling {image} took more than {limit} s")

    try:
        run.stream(["docker", "pull", image], on_line=heard.append, on_tick=give_up)
    except run.CommandError as exc:
        raise ToolchainError(
            f"{image} can't be pulled: {exc.tail[-1] if exc.tail else exc}"
        ) from exc


def _make(docker: Docker) -> str:
    before = docker("image", "inspect", "--format", "{{.Id}}", MADE, check=False).stdout.strip()
    archive = rootfs.archive()
    with progress.step(f"loading {MADE}"):
        base = f"groundwork/postgresql:{rootfs.digest()}"
        docker("import", str(archive), base, timeout=_LOAD_SECONDS)
        given = ("--build-arg", f"BASE={base}", "--build-arg", f"RECIPE={_recipe()}")
        # The first builder of Docker's: it needs no plugin, and always knows the local images.
        env = os.environ | {"DOCKER_BUILDKIT": "0"}
        docker("build", "--tag", MADE, *given, str(_FOLDER), timeout=_LOAD_SECONDS, env=env)
        docker("image", "rm", base, check=False)  # the name alone: its files are in use
    if before:  # of an earlier recipe; what still runs on it keeps it
        docker("image", "rm", before, check=False)
    return MADE
