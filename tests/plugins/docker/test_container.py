"""Containers: what they are made with, and how they change."""

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

MEGABYTE = 1024 * 1024
LABELS = [{"label": "purpose", "value": "a test"}, {"label": "odd ☕", "value": "a=b, c"}]


@pytest.fixture
def base(image: str) -> dict[str, Any]:
    """The image that the containers of a test are made of."""
    return {"image": resource("RemoteImage", name=image, keep_locally=True)}


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_everything_arrives(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """Each setting reaches Docker in its unit, the container settles, and refresh finds nothing."""
    port = free_port()
    stack.up(
        **base,
        volume=resource("Volume", name=name("volume")),
        box=sleeping(
            name=name("box"),
            envs=["PLAIN=text", 'ODD=it\'s $HOME "☕" = x'],
            user="12:34",
            group_adds=["56"],
            working_dir="/tmp",  # noqa: S108 - in the container
            hostname="box",
            domainname="example.test",
            labels=LABELS,
            healthcheck={
                "tests": ["CMD-SHELL", "true"],
                "interval": "1m30s",
                "timeout": "500ms",
                "start_period": "5s",
                "retries": 7,
            },
            ports=[
                {"internal": 5432, "external": port, "ip": "127.0.0.1"},
                {"internal": 53, "ip": "127.0.0.1", "protocol": "udp"},
            ],
            volumes=[{"volume_name": {"output": "volume.name"}, "container_path": "/data"}],
            mounts=[
                {
                    "type": "tmpfs",
                    "target": "/scratch",
                    "tmpfs_options": {"size_bytes": 65536, "mode": 448},
                },
                {
                    "type": "volume",
                    "target": "/same",
                    "source": {"output": "volume.name"},
                    "read_only": True,
                    "volume_options": {"no_copy": True},
                },
            ],
            tmpfs={"/run": "size=64k"},
            shm_size=7,
            memory=64,
            memory_swap=96,
            cpus="0.5",
            cpu_shares=512,
            cpu_set="0",
            read_only=True,
            security_opts=["no-new-privileges"],
            capabilities={"adds": ["CAP_NET_BIND_SERVICE"], "drops": ["ALL"]},
            ulimits=[{"name": "nofile", "soft": 100, "hard": 200}],
            sysctls={"net.ipv4.ip_unprivileged_port_start": "0"},
            hosts=[{"host": "other", "ip": "10.1.2.3"}],
            dns=["10.1.2.4"],
            dns_searches=["example.test"],
            restart="on-failure",
            max_retry_count=3,
            init=True,
            stop_signal="SIGTERM",
            stop_timeout=11,
            log_driver="json-file",
            log_opts={"max-size": "1m"},
            stdin_open=True,
            tty=True,
        ),
    )
    stack.assert_settled()
    assert stack.drift().steps == {}
    found = machine.container(name("box"))
    assert found is not None
    config, host = found["Config"], found["HostConfig"]
    assert {"PLAIN=text", 'ODD=it\'s $HOME "☕" = x', "MADE_BY=image"} <= set(config["Env"])
    assert config["Healthcheck"] == {
        "Test": ["CMD-SHELL", "true"],
        "Interval": 90_000_000_000,
        "Timeout": 500_000_000,
        "StartPeriod": 5_000_000_000,
        "Retries": 7,
    }
    assert {
        key: config[key] for key in ("User", "WorkingDir", "Hostname", "StopTimeout", "Tty")
    } == {
        "User": "12:34",
        "WorkingDir": "/tmp",  # noqa: S108 - in the container
        "Hostname": "box",
        "StopTimeout": 11,
        "Tty": True,
    }
    assert config["Labels"] == {pair["label"]: pair["value"] for pair in LABELS}
    assert (host["Memory"], host["MemorySwap"]) == (64 * MEGABYTE, 96 * MEGABYTE)
    assert (host["ShmSize"], host["NanoCpus"]) == (7 * MEGABYTE, 500_000_000)
    assert host["PortBindings"]["5432/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(port)}]
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["Tmpfs"] == {"/run": "size=64k"}
    assert (host["ReadonlyRootfs"], host["Init"], host["CapDrop"]) == (True, True, ["ALL"])
    told = stack.outputs()["box"]
    chosen = next(found for found in told["ports"] if found["protocol"] == "udp")
    assert chosen["external"] >= 1024
    assert told["id"] == found["Id"]
    stack.destroy()
    assert machine.container(name("box")) is None


def test_a_bare_container(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """With an image alone it gets Docker's defaults, and settles."""
    stack.up(**base, box=sleeping(name=name("box")))
    stack.assert_settled()
    assert stack.drift().steps == {}
    found = machine.container(name("box"))
    assert found is not None
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert list(found["NetworkSettings"]["Networks"]) == ["bridge"]
    told = stack.outputs()["box"]
    assert (told["mustRun"], told["logDriver"], told["shmSize"]) == (True, "json-file", 64)


def test_limits_change_in_place(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """Limits, the restart policy and the plugin's own settings change without a new container."""
    stack.up(**base, box=sleeping(name=name("box"), memory=64, memory_swap=64))
    before = stack.outputs()["box"]["id"]
    changed = stack.up(
        **base,
        box=sleeping(
            name=name("box"),
            memory=128,
            memory_swap=256,
            cpu_shares=256,
            cpu_set="0",
            restart="unless-stopped",
            wait_timeout=5,
            destroy_grace_seconds=9,
            remove_volumes=False,
        ),
    )
    assert changed.steps == {"box": ["update"]}
    stack.assert_settled()
    assert stack.drift().steps == {}
    found = machine.container(name("box"))
    assert found is not None
    assert found["Id"] == before
    host = found["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (128 * MEGABYTE, 256 * MEGABYTE)
    assert (host["CpuShares"], host["CpusetCpus"]) == (256, "0")
    assert host["RestartPolicy"]["Name"] == "unless-stopped"


CHANGES: dict[str, dict[str, Any]] = {
    "env": {"envs": ["A=2"]},
    "command": {"command": ["sleep", "301"]},
    "label": {"labels": LABELS},
    "port": {"ports": [{"internal": 80, "ip": "127.0.0.1"}]},
    "shm": {"shm_size": 8},
    "root": {"read_only": True},
    "health": {"healthcheck": {"tests": ["CMD", "true"]}},
    "upload": {"uploads": [{"file": "/new", "content": "new"}]},
    "user": {"user": "1"},
}


def test_other_changes_make_a_new_container(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """The old container goes before the new one, of the same name, comes."""
    before: dict[str, Any] = {
        box: {"name": name(box), "envs": ["A=1"], "command": ["sleep", "300"]} for box in CHANGES
    }
    stack.up(**base, **{box: container(**args) for box, args in before.items()})
    olds = stack.outputs()
    changed = {box: container(**before[box] | change) for box, change in CHANGES.items()}
    replaced = stack.up(**base, **changed)
    news = stack.outputs()
    for box in CHANGES:
        assert "replace" in replaced.steps[box], box
        found = machine.container(name(box))
        assert found is not None, box
        assert found["Id"] == news[box]["id"] != olds[box]["id"], box
    stack.assert_settled()


def test_rows_outlive_the_container(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str]
) -> None:
    """A named volume keeps what is in it when its container is replaced; an anonymous one goes."""
    args: dict[str, Any] = {
        "name": name("box"),
        "volumes": [
            {"volume_name": {"output": "volume.name"}, "container_path": "/data"},
            {"container_path": "/anonymous"},
        ],
    }
    volume = resource("Volume", name=name("volume"))
    stack.up(**base, volume=volume, box=sleeping(**args))
    stack.assert_settled()
    machine.run("exec", name("box"), "sh", "-c", "echo rows > /data/rows")
    found = machine.container(name("box"))
    assert found is not None
    anonymous = next(m["Name"] for m in found["Mounts"] if m["Destination"] == "/anonymous")
    stack.up(**base, volume=volume, box=sleeping(**args, envs=["NEW=1"]))
    assert machine.run("exec", name("box"), "cat", "/data/rows") == "rows"
    assert machine.volume(anonymous) is None
    stack.destroy()
    assert machine.volume(name("volume")) is None


def test_files_are_there_at_the_start(
    stack: Stack, machine: Machine, base: dict[str, Any], name: Callable[[str], str], tmp_path: Any
) -> None:
    """Uploads are there before the first command runs, with mode and owner, in volumes as well."""
    source = tmp_path / "it's here"
    source.write_bytes(b"\x00\xffraw")
    stack.up(
        **base,
        volume=resource("Volume", name=name("volume")),
        box=sleeping(
            name=name("box"),
            command=["sh", "-c", "cat /secrets/key > /copy && while :; do sleep 0.1; done"],
            volumes=[{"volume_name": {"output": "volume.name"}, "container_path": "/secrets"}],
            uploads=[
                {
                    "file": "/secrets/key",
                    "content": "it's ☕\nlast",
                    "permissions": "0400",
                    "owner": "999",
                    "group": "998",
                },
                {"file": "/deep/er/run", "content_base64": "IyEvYmluL3NoCg==", "executable": True},
                {"file": "/raw", "source": str(source)},
            ],
        ),
    )
    stack.assert_settled()
    assert machine.file(name("box"), "/secrets/key") == ("it's ☕\nlast", "400", "999:998")
    assert machine.file(name("box"), "/deep/er/run") == ("#!/bin/sh", "744", "0:0")
    assert machine.run("exec", name("box"), "stat", "-c", "%s %a", "/raw") == "5 644"
    assert machine.run("exec", name("box"), "cat", "/copy") == "it's ☕\nlast"


@pytest.mark.parametrize(
    ("args", "told"),
    [({"restart": "sometimes"}, "restart"), ({"uploads": [{"file": "/a"}]}, "content")],
    ids=["restart", "uploads"],
)
def test_settings_that_make_no_sense_are_refused(
    stack: Stack,
    machine: Machine,
    base: dict[str, Any],
    name: Callable[[str], str],
    args: dict[str, Any],
    told: str,
) -> None:
    """The run ends with the setting's name, and there is no container."""
    with pytest.raises(RunError, match=rf"(?i){told}"):
        stack.up(**base, box=sleeping(name=name("box"), **args))
    assert machine.container(name("box")) is None
