"""A running server is where the state says, whoever asks; what moves it is printed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.servers import ports
from infra.servers.local.mark import Mark
from tests.servers.running import stop_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.engine.project import Project

pytestmark = pytest.mark.long

_KEEP = (
    "INSERT INTO skill_files (name, version, effective_date, content)"
    " VALUES ('kept', '1', '2026-01-01', 'text')"
)
_KEPT = "SELECT count(*) FROM skill_files WHERE name = 'kept'"
_COMMANDS = re.compile(r"^ *  (kill .*|while .*|\(umask .*|rmdir .*|mv .*|sed .*)$", re.MULTILINE)
# As a state and a directory had it before there were claims, and before the state counted.
_NEWER = ("claim", "requested_data_dir", "host", "port", "user", "cluster", "version", "bin_dir")


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Project]) -> Iterator[Project]:
    """A stack without a setting of its own, that is up with a row."""
    project = make_project()
    # Not one that a server of another test may take while this one is down.
    port = next(port for port in range(14432, 15432) if ports.is_free(port))
    project.configure(dataDir=None, port=str(port))
    project.up()
    project.query(_KEEP)
    yield project
    stop_server(_data(project))
    shutil.rmtree(_data(project), ignore_errors=True)


def _server(project: Project) -> dict[str, object]:
    (server,) = [each for each in project.resources() if each["urn"].endswith("::server")]
    outputs: dict[str, object] = server["outputs"]
    return outputs


def _data(project: Project) -> Path:
    """Give the data directory, which is the state's and an output of the stack."""
    data = Path(str(_server(project)["data_dir"]))
    assert project.outputs()["data_dir"] == str(data)
    return data


def _pid(project: Project) -> int:
    return int((_data(project) / "postmaster.pid").read_text().split("\n")[0])


def _follow(text: str) -> None:
    """Enter the commands of a message, as they stand, into a shell."""
    commands = _COMMANDS.findall(text)
    assert commands, text
    subprocess.run(["sh", "-eu"], input="\n".join(commands), text=True, check=True, timeout=60)


def _unchanged(project: Project) -> None:
    assert project.query(_KEPT) == [(1,)]
    project.preview("--expect-no-changes")


def test_a_setting_of_the_server_is_one_update(project: Project) -> None:
    """Host, port and user of a server that stays are known; so are all that depend on them."""
    project.configure(**{"parameters.work_mem": "9MB"})
    steps = project.previewed()

    assert {name for name, step in steps.items() if step["op"] != "same"} == {"server"}
    assert "not known" not in project.preview().text
    project.up()
    assert project.query("SHOW work_mem") == [("9MB",)]

    stop_server(_data(project))
    text = project.preview().text
    assert "is down: it will be started" in text
    # The schema can't be looked at, which is the other one; all the rest is known to stay.
    assert "2 to update" in text
    project.up()
    _unchanged(project)


def test_another_checkout_and_another_home_find_the_server_where_it_is(
    project: Project, scratch: Path
) -> None:
    """In a path with a space and an accent, with another home and with none: nothing changes."""
    pid, before = _pid(project), dict(project.environment)
    project.move(scratch / f"Projekte été {os.urandom(4).hex()}")
    elsewhere = project.environment | {"PULUMI_HOME": str(Path.home() / ".pulumi")}
    home = {"HOME": str(project.folder), "XDG_STATE_HOME": str(project.folder / "state of all")}
    for project.environment in (elsewhere | home, _without(elsewhere, "HOME")):
        project.preview("--expect-no-changes")
        project.up()
    project.environment = before | {"PULUMI_BACKEND_URL": project.environment["PULUMI_BACKEND_URL"]}

    assert _pid(project) == pid
    _unchanged(project)


def _without(variables: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in variables.items() if key != name}


def test_a_renamed_stack_keeps_its_server_and_leaves_its_name(project: Project) -> None:
    """The mark in the directory follows with the next `up`; a new stack has another place."""
    data, pid = _data(project), _pid(project)
    project.pulumi("stack", "rename", "renamed")
    try:
        project.environment["PULUMI_STACK"] = "renamed"
        assert {name for name, op in project.steps().items() if op != "same"} <= {
            "server",
            "server-contents",
            "schema",
        }
        project.pulumi("up", "--yes", "--skip-preview")
        assert Mark.read(data).owner == "groundwork/renamed"
        assert int((data / "postmaster.pid").read_text().split("\n")[0]) == pid
        project.preview("--expect-no-changes")
    finally:
        project.pulumi("stack", "rename", "test", check=False)
        project.environment["PULUMI_STACK"] = "test"
    project.up()
    _unchanged(project)


def test_a_changed_folder_is_refused_with_commands_that_move_it(
    project: Project, scratch: Path
) -> None:
    """Preview and `up` refuse alike; the commands as printed move it, and nothing else changes."""
    data, pid = _data(project), _pid(project)
    if os.geteuid() == 0:  # who runs the server as another user
        closed = scratch / f"closed-{os.urandom(4).hex()}"
        closed.mkdir(mode=0o700)
        project.configure(dataDir=str(closed / "deeper" / "data"))
        assert "may not enter" in project.preview(check=False).text
    new = scratch / f"der Ort's {os.urandom(4).hex()}" / "dätä"
    project.configure(dataDir=str(new))

    for outcome in (project.preview(check=False), project.up(check=False)):
        assert outcome.status != 0
        assert "Nothing was changed" in outcome.text
        assert "Traceback" not in outcome.text
    assert _pid(project) == pid
    assert project.query(_KEPT) == [(1,)]

    _follow(outcome.text)
    assert not data.exists()
    text = project.preview().text
    assert f"was moved from {data}" in text
    assert "replace" not in text
    project.up()
    assert _data(project) == new
    _unchanged(project)

    # And from then on it is where the state says, also where the setting is taken out again.
    project.configure(dataDir=None)
    _unchanged(project)
    project.refresh()
    _unchanged(project)


def test_a_copy_of_the_folder_is_not_taken_for_the_server(project: Project, scratch: Path) -> None:
    """While the other one is there."""
    copy = scratch / f"copy-{os.urandom(4).hex()}"
    subprocess.run(["cp", "-a", _data(project), copy], check=True)
    (copy / "postmaster.pid").unlink()
    project.configure(dataDir=str(copy))

    refused = project.up(check=False)

    assert refused.status != 0
    assert "is a copy of the cluster" in refused.text
    shutil.rmtree(copy)
    project.configure(dataDir=None)
    _unchanged(project)


def test_a_server_is_not_replaced_while_it_is_there(project: Project) -> None:
    """Neither by --replace nor by a taint: what is in it would go."""
    pid = _pid(project)
    (urn,) = [each["urn"] for each in project.resources() if each["urn"].endswith("::server")]

    for refused in (
        project.preview("--replace", urn, check=False),
        project.up("--replace", urn, check=False),
    ):
        assert refused.status != 0
        assert "would have to lose what is in it" in refused.text
    project.pulumi("state", "taint", urn, "--yes")
    assert "pulumi state untaint" in project.preview(check=False).text
    project.pulumi("state", "untaint", urn, "--yes")
    assert _pid(project) == pid
    _unchanged(project)


def test_a_stack_of_an_earlier_version_goes_on_as_it_is(project: Project) -> None:
    """Its state and its mark know no claim, and the state no setting: nothing changes."""
    _age(project)
    mark = _data(project) / "groundwork.json"
    noted = json.loads(mark.read_text())
    del noted["claim"]
    mark.write_text(json.dumps(noted))

    _unchanged(project)
    project.configure(**{"parameters.work_mem": "8MB"})
    steps = project.previewed()
    assert {name for name, step in steps.items() if step["op"] != "same"} == {"server"}
    project.up()
    assert Mark.read(_data(project)).claim == _server(project)["claim"] != ""
    _unchanged(project)


def _age(project: Project) -> None:
    """Take out of the state what an earlier version did not write."""
    exported = json.loads(project.pulumi("stack", "export", "--show-secrets").text)
    for each in exported["deployment"]["resources"]:
        if each["urn"].endswith("::server"):
            for key in _NEWER:
                each["inputs"].pop(key, None)
            for key in ("claim", "requested_data_dir"):
                each["outputs"].pop(key, None)
    project.pulumi("stack", "import", answer=json.dumps(exported))


def test_a_stack_that_another_one_has_taken_the_server_from_says_so(project: Project) -> None:
    """A state that was lost looks the same to a new stack of that name; the first one is told."""
    mark = _data(project) / "groundwork.json"
    before = mark.read_text()
    noted = json.loads(before)
    mark.write_text(json.dumps(noted | {"claim": "0123456789abcdef", "owner": "shop/dev"}))

    refused = project.up(check=False)

    assert refused.status != 0
    assert "is the stack shop/dev's by now" in refused.text
    _follow(refused.text)
    assert json.loads(mark.read_text())["claim"] == noted["claim"]
    mark.write_text(before)
    _unchanged(project)
