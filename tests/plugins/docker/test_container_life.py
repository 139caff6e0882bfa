"""Containers: how they start, wait, fail, drift and end."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.plugins.docker.declare import container, resource, sleeping
from tests.plugins.run import RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.plugins.docker.machine import Machine
    from tests.plugins.stack import Stack

pytestmark = pytest.mark.long

SECRET = "hush-☕-'\"$x"  # noqa: S105 - made up, with what quoting stumbles on
RUNNING = "while :; do sleep 0.1; done"


@pytest.fixture
def base(image: str) -> dict[str, Any]:
    """The image that the containers of a test are made of."""
    return {"image": resource("RemoteImage", name=image, keep_locally=True)}


def check(*test: str) -> dict[str, Any]:
    """A health check that runs five times a second."""
    return {"tests": ["CMD", *test], "interval": "200ms", "retries": 2}


def test_waits_for_health(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """With `wait` the run goes on only once the health check has passed."""
    script = f"sleep 0.7; touch /ready; {RUNNING}"
    box = container(
        name=name("box"),
        command=["sh", "-c", script],
        healthcheck=check("test", "-f", "/ready") | {"retries": 50},
        wait=True,
        wait_timeout=60,
    )
    stack.up(**base, box=box)
    found = machine.container(name("box"))
    assert found is not None
    assert found["State"]["Health"]["Status"] == "healthy"
    stack.assert_settled()


def test_one_that_does_not_get_healthy_is_kept_and_told(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """The run fails, the container stays in the state and can be looked at, a change mends it."""
    ill = container(
        name=name("box"),
        command=["sh", "-c", f"echo not ready >&2; {RUNNING}"],
        healthcheck=check("cat", "/no/such/file"),
        wait=True,
        wait_timeout=1,
    )
    with pytest.raises(RunError, match="healthy"):
        stack.up(**base, box=ill)
    found = machine.container(name("box"))
    assert found is not None
    assert found["State"]["Running"]
    assert stack.outputs()["box"]["id"] == found["Id"]
    well = sleeping(name=name("box"), healthcheck=check("true"), wait=True)
    stack.up(**base, box=well)
    stack.assert_settled()
    stack.destroy()
    assert machine.container(name("box")) is None


def test_one_that_ends_at_once_is_removed(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """A container that must run and does not fails the run, and nothing of it is left."""
    with pytest.raises(RunError):
        stack.up(**base, box=container(name=name("box"), command=["sh", "-c", "exit 3"]))
    assert machine.container(name("box")) is None
    assert "box" not in stack.outputs()
    stack.up(**base, box=sleeping(name=name("box")))
    assert machine.container(name("box")) is not None


def test_one_that_may_end(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """Attached, the run waits for its end, and tells its exit code and what it wrote."""
    stack.up(
        **base,
        box=container(
            name=name("box"),
            command=["sh", "-c", "echo first; sleep 0.5; echo last; exit 3"],
            attach=True,
            logs=True,
            must_run=False,
        ),
    )
    told = stack.outputs()["box"]
    assert told["exitCode"] == 3
    assert told["containerLogs"].split() == ["first", "last"]
    stack.assert_settled()
    assert stack.drift().steps == {}
    stack.destroy()
    assert machine.container(name("box")) is None


def test_one_that_is_not_started(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """With `start` and `must_run` false the container is made, and nothing more."""
    ports = [{"internal": 80, "external": 0, "ip": "127.0.0.1"}]
    box = sleeping(name=name("box"), start=False, must_run=False, ports=ports)
    stack.up(**base, box=box)
    found = machine.container(name("box"))
    assert found is not None
    assert found["State"]["Status"] == "created"
    stack.destroy()
    assert machine.container(name("box")) is None


def test_a_port_that_is_taken(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """The run fails with the port; once it is free, the same program succeeds."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = [{"internal": 80, "external": port, "ip": "127.0.0.1"}]
        box = sleeping(name=name("box"), ports=ports)
        with pytest.raises(RunError, match=rf"127\.0\.0\.1:{port}"):
            stack.up(**base, box=box)
    stack.up(**base, box=box)
    found = machine.container(name("box"))
    assert found is not None
    assert found["State"]["Running"]
    stack.assert_settled()


def test_a_name_that_is_taken(
    stack: Stack, machine: Machine, image: str, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """A stranger's container is left alone, and the run names it."""
    stranger = machine.run("run", "--detach", "--name", name("box"), image, "sleep", "300")
    with pytest.raises(RunError, match=name("box")):
        stack.up(**base, box=sleeping(name=name("box")))
    found = machine.container(name("box"))
    assert found is not None
    assert found["Id"] == stranger


def test_drift_is_seen_and_repaired(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """Gone, stopped or changed by hand: refresh finds it, and an update puts it right."""
    boxes = {
        "gone": sleeping(name=name("gone")),
        "stopped": sleeping(name=name("stopped")),
        "changed": sleeping(name=name("changed"), restart="no"),
        "kept": sleeping(name=name("kept")),
    }
    stack.up(**base, **boxes)
    machine.run("rm", "--force", name("gone"))
    machine.run("stop", name("stopped"))
    machine.run("update", "--restart", "always", name("changed"))
    drift = stack.drift().steps
    assert set(drift) == {"gone", "stopped", "changed"}
    assert drift["gone"] == ["delete"]
    assert drift["changed"] == ["update"]
    stack.up("--refresh")
    for box in boxes:
        found = machine.container(name(box))
        assert found is not None, box
        assert found["State"]["Running"], box
        assert found["HostConfig"]["RestartPolicy"]["Name"] == "no"
    stack.assert_settled()
    assert stack.drift().steps == {}


def test_imports(stack: Stack, machine: Machine, image: str, name: Callable[[str], str]) -> None:
    """A container comes into the state by its id, as it is, and ends with the stack."""
    identity = machine.run(
        "run", "--detach", "--name", name("box"), "--restart", "always", image, "sleep", "300"
    )
    stack.declare()
    stack.adopt(box=("docker:index/container:Container", identity))
    told = stack.outputs()["box"]
    assert (told["id"], told["name"], told["restart"]) == (identity, name("box"), "always")
    assert told["command"] == ["sleep", "300"]
    stack.destroy()
    assert machine.container(name("box")) is None


def test_it_gets_time_to_end(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """With a grace the container gets its stop signal and ends by itself; without, it is killed."""
    script = f"trap 'sleep 0.3; echo ended > /data/{{}}; exit 0' TERM; {RUNNING}"
    volumes = [{"volume_name": {"output": "volume.name"}, "container_path": "/data"}]
    volume = resource("Volume", name=name("volume"))
    boxes = {
        "gentle": container(
            name=name("gentle"),
            volumes=volumes,
            command=["sh", "-c", script.format("gentle")],
            # Longer than a call may take, so that it must not be waited for to its end.
            destroy_grace_seconds=3000,
        ),
        "killed": container(
            name=name("killed"), volumes=volumes, command=["sh", "-c", script.format("killed")]
        ),
    }
    stack.up(**base, volume=volume, **boxes)
    stack.up(**base, volume=volume, look=sleeping(name=name("look"), volumes=volumes))
    assert machine.run("exec", name("look"), "ls", "/data") == "gentle"


def test_secrets_stay_secret(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """What the program marks is encrypted in the state, and in no message of a failing run."""
    args: dict[str, Any] = {
        "name": name("box"),
        "envs": {"secret": [f"TOKEN={SECRET}"]},
        "uploads": [{"file": "/key", "content": {"secret": SECRET}}],
    }
    made = stack.up(**base, box=sleeping(**args))
    assert machine.file(name("box"), "/key")[0] == SECRET
    refreshed = stack.refresh()
    changed = stack.up(**base, box=sleeping(**args, restart="always"))
    failing = container(
        **args | {"name": name("other")},
        command=["sh", "-c", "cat /key; env; exit 1"],
    )
    with pytest.raises(RunError) as failure:
        stack.up(**base, other=failing)
    told = [made.output, refreshed.output, changed.output, str(failure.value), stack.exported()]
    for text in told:
        assert "hush" not in text


def test_a_secret_health_check_is_not_told(
    stack: Stack, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """The log of a failing health check is shown without what is secret in the program."""
    ill = sleeping(
        name=name("box"),
        envs={"secret": [f"TOKEN={SECRET}"]},
        healthcheck={"tests": ["CMD-SHELL", "env; exit 1"], "interval": "200ms", "retries": 1},
        wait=True,
        wait_timeout=1,
    )
    with pytest.raises(RunError, match="healthy") as failure:
        stack.up(**base, box=ill)
    assert "hush" not in str(failure.value)
    assert "hush" not in stack.exported()
