"""The commands of the README, in a checkout of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.engine.project import ROOT
from toolchain import offline, versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Checkout:
    """A copy of this checkout, with its packages by a link."""

    def __init__(self, folder: Path) -> None:
        """Copy every file that git knows or would know."""
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        for name in listed:
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        # What a user has set, and what the make that runs the tests tells one below it.
        unset = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_STACK", "MAKE", "MFLAGS")
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith(unset)
        }

    def start(self, *targets: str) -> subprocess.Popen[str]:
        """Start make on some targets, in a process group of its own as a terminal would."""
        return subprocess.Popen(
            ["make", *targets],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def make(self, *targets: str, typed: str = "", status: int = 0) -> str:
        """Run make, and give what it printed."""
        process = self.start(*targets)
        text, _ = process.communicate(typed, timeout=300)
        assert (process.returncode != 0) == (status != 0), text
        return text

    def files(self) -> set[Path]:
        """Give the files that git would show after a run."""
        own = (path.relative_to(self.folder) for path in self.folder.rglob("*"))
        return {path for path in own if not {".groundwork", ".venv", "__pycache__"} & {*path.parts}}

    def state(self) -> Path:
        """Give the file that holds the state of the stack `dev`."""
        return self.folder / ".groundwork/backend/.pulumi/stacks/groundwork/dev.json"


@pytest.fixture(scope="module")
def checkout(scratch: Path) -> Iterator[Checkout]:
    """A checkout whose stack `dev` is up."""
    folder = scratch / "checkout with a space"
    folder.mkdir(mode=0o755)
    checkout = Checkout(folder)
    # Where an older checkout has put plugins of its own, that won't do here.
    home = scratch / f"home-{os.urandom(4).hex()}"
    for name in offline.names():
        place = home / "plugins" / f"resource-{name}-v{versions.plugin(name)}"
        place.mkdir(parents=True)
        (place / "groundwork.json").write_text('{"digest": "another", "python": "/gone"}')
        (place / f"pulumi-resource-{name}").write_text("#!/bin/sh\nexit 1\n")
        (place / f"pulumi-resource-{name}").chmod(0o755)
    checkout.environment["PULUMI_HOME"] = str(home)
    yield checkout
    checkout.make("down")


def test_up_ends_with_a_summary_and_a_clean_work_tree(checkout: Checkout) -> None:
    """It tells endpoint, revision and how to go on; a second one changes nothing."""
    before = checkout.files()
    configuration = (checkout.folder / "Pulumi.dev.yaml").read_text()

    first, second = checkout.make("up"), checkout.make("up")

    for said in ("endpoint   127.0.0.1:", "revision   ", "make url", "make psql", "make down"):
        assert said in first
        assert said in second
    assert "created" in first
    assert "created" not in second
    assert "updated" not in second
    assert checkout.files() == before
    assert (checkout.folder / "Pulumi.dev.yaml").read_text() == configuration


def test_the_passphrase_is_for_its_user_alone(checkout: Checkout) -> None:
    """Generated once, mode 0600, in a folder of mode 0700."""
    folder = checkout.folder / ".groundwork"

    assert stat.S_IMODE((folder / "passphrase").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len((folder / "passphrase").read_text()) >= 32


def test_psql_is_logged_in_as_the_application(checkout: Checkout) -> None:
    """Whatever is typed runs in the stack's database; the URL is the same login."""
    shown = checkout.make("psql", typed="SELECT current_user || ' in ' || current_schema();\n")

    assert "groundwork_app in app" in shown
    assert checkout.make("url").startswith("postgresql://groundwork_app:")


def test_a_changed_model_is_a_revision_and_then_in_the_database(checkout: Checkout) -> None:
    """The daily loop: nothing new writes nothing; a change is written, applied, and then old."""
    model = checkout.folder / "migrations" / "models" / "task.py"
    assert "no revision was written" in checkout.make("revision", "m=nothing", status=2)

    model.write_text(model.read_text() + "    due: Mapped[datetime | None]\n")
    text = checkout.make("revision", 'm=add a "due" date to $tasks')

    assert "Detected added column 'escalations.due'" in text
    assert "migrations/versions/" in text
    assert "make up" in text
    assert "postgresql://" not in text
    assert "isn't at the head" in checkout.make("revision", "m=again", status=2)
    assert "revision   " in checkout.make("up")
    assert "no revision was written" in checkout.make("revision", "m=nothing", status=2)


def test_an_engine_that_was_killed_while_it_made_a_role_is_no_obstacle(checkout: Checkout) -> None:
    """The role is there, the state says 'creating', the lock is held by a dead process.

    The attributes of the state are empty, as they are when it was killed while it wrote them.
    """
    state = json.loads(checkout.state().read_text())
    latest = state["checkpoint"]["latest"]
    role = next(r for r in latest["resources"] if r["urn"].endswith("::db-role-app"))
    latest["resources"].remove(role)
    for other in latest["resources"]:
        other["dependencies"] = [u for u in other.get("dependencies", []) if u != role["urn"]]
        for urns in other.get("propertyDependencies", {}).values():
            if role["urn"] in (urns or []):
                urns.remove(role["urn"])
    pending = {key: value for key, value in role.items() if key not in {"id", "outputs"}}
    latest["pending_operations"] = [{"resource": pending, "type": "creating"}]
    checkout.state().write_text(json.dumps(state))
    _lock(checkout, _dead())
    attributes = checkout.state().with_name("dev.json.attrs")
    assert json.loads(attributes.read_text())
    attributes.write_text("")

    text = checkout.make("up")

    assert "creating db-role-app: looking" in text
    assert "revision   " in text
    latest = json.loads(checkout.state().read_text())["checkpoint"]["latest"]
    assert not latest.get("pending_operations")
    assert "created" not in checkout.make("up")


def test_the_lock_of_a_living_process_is_respected(checkout: Checkout) -> None:
    """Another run's lock ends this one with Pulumi's own words, and stays."""
    lock = _lock(checkout, os.getpid())

    text = checkout.make("up", status=2)

    assert "locked" in text
    assert lock.exists()
    lock.unlink()


def test_ctrl_c_ends_in_good_order_and_the_next_up_converges(checkout: Checkout) -> None:
    """The engine stops by itself, holds no lock, and nothing is left half-made."""
    checkout.make("down")
    process = checkout.start("up")
    assert process.stdout is not None
    before = ""
    # In the middle of it: before its first resource, the program may still be at its imports,
    # where Python itself tells of an interruption.
    while "EmbeddedServer" not in before and (line := process.stdout.readline()):
        before += line
    os.killpg(process.pid, signal.SIGINT)
    after, _ = process.communicate(timeout=120)
    text = before + after

    assert process.returncode != 0, text
    assert "Traceback" not in text
    assert "revision   " in checkout.make("up")


def test_commands_that_need_a_stack_say_so(checkout: Checkout) -> None:
    """Down twice is no error; a URL of nothing is one, in words."""
    assert "gone, with all that it made" in checkout.make("down")
    assert not (checkout.folder / ".groundwork").exists()

    assert "nothing to take down" in checkout.make("down")
    text = checkout.make("url", status=2)
    assert "not up: run `make up` first" in text
    assert not (checkout.folder / ".groundwork").exists()


def test_mistakes_in_the_configuration_come_together(checkout: Checkout) -> None:
    """One message, the keys to set, exit status not 0, no traceback, nothing made."""
    (checkout.folder / "Pulumi.bad.yaml").write_text(
        "config:\n  groundwork:target: cloud\n  groundwork:port: 99\n  groundwork:database: ''\n"
        "  groundwork:migrations: docs\n"
    )
    text = checkout.make("up", "STACK=bad", status=2)

    assert "4 mistakes; nothing was changed" in text
    assert "Traceback" not in text
    assert "created (" not in text.replace("groundwork-bad created", "")
    checkout.make("down", "STACK=bad")
    (checkout.folder / "Pulumi.bad.yaml").unlink()


def test_a_stack_without_a_configuration_file_has_the_defaults(checkout: Checkout) -> None:
    """Any name makes a stack of its own, beside the others."""
    assert "groundwork-other" in checkout.make("preview", "STACK=other")
    checkout.make("down", "STACK=other")


def _lock(checkout: Checkout, pid: int) -> Path:
    folder = checkout.folder / ".groundwork/backend/.pulumi/locks/organization/groundwork/dev"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "11111111-1111-4111-8111-111111111111.json"
    lock.write_text(
        json.dumps(
            {"pid": pid, "username": "u", "hostname": "h", "timestamp": "2026-01-01T00:00:00Z"}
        )
    )
    return lock


def _dead() -> int:
    with subprocess.Popen(["true"]) as process:
        pass
    return process.pid
