"""A whole life of all resources on the real engine, and the same on the suite's own driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.plugins.comparison import differences
from tests.plugins.docker.declare import resource, sleeping
from tests.plugins.run import RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.plugins.docker.machine import Machine
    from tests.plugins.engine import EngineStack
    from tests.plugins.stack import Stack

    AnyStack = Stack | EngineStack

pytestmark = pytest.mark.long

TOKEN = "engine-s3cret"  # noqa: S105 - made up
ALL = {"image", "network", "volume", "other", "box", "still"}
REPLACED = ["delete-replaced", "replace", "create-replacement"]
LABELS = [{"label": "purpose", "value": "a test"}]


@pytest.fixture
def program(image: str, name: Callable[[str], str]) -> dict[str, Any]:
    """Every type of resource, with the outputs of some as the inputs of others."""
    return {
        "image": resource("RemoteImage", name=image, keep_locally=True),
        "network": resource(
            "Network", name=name("network"), ipam_configs=[{"subnet": "10.213.11.0/24"}]
        ),
        "volume": resource("Volume", name=name("volume")),
        "other": resource("Volume", name=name("other")),
        "box": sleeping(
            name=name("box"),
            envs={"secret": [f"TOKEN={TOKEN}"]},
            networks_advanced=[{"name": {"output": "network.name"}}],
            volumes=[{"volume_name": {"output": "volume.name"}, "container_path": "/data"}],
        ),
        "still": sleeping(
            name=name("still"), start=False, must_run=False, memory=64, memory_swap=64
        ),
    }


def changed(declared: dict[str, Any]) -> dict[str, Any]:
    """One resource other in place, one that is replaced with what is in it, and one less."""
    kept = {key: each for key, each in declared.items() if key != "other"}
    network = {**kept["network"], "args": {**kept["network"]["args"], "labels": LABELS}}
    still = {**kept["still"], "args": {**kept["still"]["args"], "restart": "on-failure"}}
    return {**kept, "network": network, "still": still}


def made_and_changed(
    stack: AnyStack, machine: Machine, name: Callable[[str], str], program: dict[str, Any]
) -> list[Any]:
    """Everything is made, and a preview of changes foretells them and changes nothing."""
    made = stack.up(**program)
    assert made.steps == {key: ["create"] for key in ALL}
    outputs, box = stack.outputs(), machine.container(name("box"))
    assert box is not None
    assert outputs["box"]["id"] == box["Id"]
    assert f"TOKEN={TOKEN}" in box["Config"]["Env"]
    state = stack.exported()
    assert "ciphertext" in state
    assert TOKEN not in state
    stack.declare(**changed(program))
    foretold = stack.preview().steps
    in_place = {"still": ["update"], "other": ["delete"]}
    assert foretold == {"network": REPLACED, "box": REPLACED, **in_place}
    assert machine.container(name("box")) == box
    return [made.steps, outputs, foretold]


def failed_and_repaired(
    stack: AnyStack, machine: Machine, name: Callable[[str], str], program: dict[str, Any]
) -> list[Any]:
    """One that does not get healthy ends the update and is kept; the next one puts all right."""
    ill = sleeping(
        "box",
        "still",
        name=name("ill"),
        networks_advanced=[{"name": {"output": "network.name"}}],
        healthcheck={"tests": ["CMD", "false"], "interval": "200ms", "retries": 1},
        wait=True,
        wait_timeout=1,
    )
    with pytest.raises(RunError, match="did not get healthy"):
        stack.up(**changed(program), ill=ill)
    outputs = stack.outputs()
    assert outputs["ill"]["name"] == name("ill")
    network, box = machine.network(name("network")), machine.container(name("box"))
    assert network is not None
    assert box is not None
    assert box["Id"] in network["Containers"]
    machine.run("rm", "--force", name("still"))
    machine.run("update", "--restart", "always", name("box"))
    drift = stack.drift()
    assert drift.steps == {"still": ["delete"], "box": ["update"]}
    repaired = stack.up("--refresh", **changed(program))
    mended = {"still": ["create"], "box": ["update"]}
    assert repaired.steps == {**mended, "ill": ["delete"], "other": ["delete"]}
    assert machine.container(name("still")) is not None
    return [outputs, drift.steps, repaired.steps, stack.outputs()]


def imported(
    stack: AnyStack, machine: Machine, name: Callable[[str], str], program: dict[str, Any]
) -> list[Any]:
    """A volume of others is taken over as it is, and nothing is left to do."""
    machine.run("volume", "create", name("found"))
    adopted = stack.adopt(found=("docker:index/volume:Volume", name("found")))
    assert adopted.steps == {"found": ["import"]}
    stack.declare(**changed(program), found=resource("Volume", name=name("found")))
    stack.assert_settled()
    return [adopted.steps, stack.outputs()]


def live(
    stack: AnyStack, machine: Machine, name: Callable[[str], str], program: dict[str, Any]
) -> list[Any]:
    """Take all resources through a whole life; gives what each step reported."""
    told = made_and_changed(stack, machine, name, program)
    told += failed_and_repaired(stack, machine, name, program)
    told += imported(stack, machine, name, program)
    ended = stack.destroy()
    assert ended.steps == {key: ["delete"] for key in (ALL | {"found"}) - {"other"}}
    assert machine.container(name("box")) is machine.network(name("network")) is None
    assert machine.volume(name("volume")) is machine.volume(name("found")) is None
    # The engine counts the stack itself as a resource, and the default provider has a made-up id.
    return [
        {key: each for key, each in found.items() if key in ALL | {"found", "ill"}}
        for found in [*told, ended.steps]
    ]


def test_the_driver_does_what_the_engine_does(
    stack: Stack,
    engine_stack: EngineStack,
    machine: Machine,
    name: Callable[[str], str],
    program: dict[str, Any],
) -> None:
    """The engine takes all resources through a life, and the driver gets the same steps of it."""
    on_engine = live(engine_stack, machine, name, program)
    assert differences(live(stack, machine, name, program), on_engine) == []
