"""Networks and volumes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.plugins.docker.declare import resource, sleeping
from tests.plugins.run import RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.plugins.docker.machine import Machine
    from tests.plugins.stack import Stack

LABELS = [{"label": "purpose", "value": "it's a test"}, {"label": "empty", "value": ""}]


def test_networks_and_volumes_through_their_life(
    stack: Stack, machine: Machine, name: Callable[[str], str]
) -> None:
    """They are made as declared, settle, are made again where they are gone, and are removed."""
    declared: dict[str, Any] = {
        "network": resource(
            "Network",
            name=name("network"),
            internal=True,
            labels=LABELS,
            ipam_configs=[{"subnet": "10.213.7.0/24"}],
            options={"com.docker.network.bridge.enable_icc": "false"},
        ),
        "volume": resource("Volume", name=name("volume"), labels=LABELS),
        "memory": resource(
            "Volume",
            name=name("memory"),
            driver="local",
            driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"},
        ),
    }
    stack.up(**declared)
    stack.assert_settled()
    network, volume = machine.network(name("network")), machine.volume(name("volume"))
    assert network is not None
    assert volume is not None
    expected = {pair["label"]: pair["value"] for pair in LABELS}
    assert (network["Internal"], network["Labels"], volume["Labels"]) == (True, expected, expected)
    assert network["IPAM"]["Config"] == [{"Subnet": "10.213.7.0/24"}]
    outputs = stack.outputs()
    assert outputs["network"]["id"] == network["Id"]
    assert outputs["network"]["driver"] == "bridge"
    assert outputs["volume"]["id"] == outputs["volume"]["name"] == name("volume")
    assert outputs["volume"]["mountpoint"] == volume["Mountpoint"]
    memory = machine.volume(name("memory"))
    assert memory is not None
    assert memory["Options"] == declared["memory"]["args"]["driver_opts"]

    machine.run("network", "rm", name("network"))
    machine.run("volume", "rm", name("volume"))
    assert stack.drift().steps == {"network": ["delete"], "volume": ["delete"]}
    again = stack.up("--refresh")
    assert again.steps["network"][-1] == again.steps["volume"][-1] == "create"
    assert machine.network(name("network")) is not None
    stack.assert_settled()

    stack.destroy()
    left = [machine.network(name("network")), machine.volume(name("volume"))]
    assert left == [None, None]


def test_names_are_made_up_and_kept(stack: Stack, machine: Machine) -> None:
    """Without a name it is the logical one with seven hex digits, the same in every run."""
    declared = {"net": resource("Network"), "vol": resource("Volume")}
    stack.up(**declared)
    outputs = stack.outputs()
    for logical, kind in (("net", "network"), ("vol", "volume")):
        made = outputs[logical]["name"]
        assert re.fullmatch(rf"{logical}-[0-9a-f]{{7}}", made)
        assert getattr(machine, kind)(made) is not None
    stack.assert_settled()
    stack.destroy()
    assert machine.volume(outputs["vol"]["name"]) is None


def test_every_change_makes_a_new_one(
    stack: Stack, machine: Machine, name: Callable[[str], str]
) -> None:
    """A network or volume of a given name is removed before the new one is made."""
    first = resource("Network", name=name("network"))
    plain = resource("Volume", name=name("volume"))
    stack.up(network=first, volume=plain)
    labelled = {
        "network": resource("Network", name=name("network"), labels=LABELS),
        "volume": resource("Volume", name=name("volume"), labels=LABELS),
    }
    replaced = stack.up(**labelled)
    for logical in ("network", "volume"):
        assert "replace" in replaced.steps[logical]
    found = machine.volume(name("volume"))
    assert found is not None
    assert found["Labels"]["purpose"] == "it's a test"
    stack.assert_settled()
    reordered = resource("Volume", name=name("volume"), labels=LABELS[::-1])
    assert stack.up(**labelled | {"volume": reordered}).steps == {}


def test_one_that_exists_already(
    stack: Stack, machine: Machine, name: Callable[[str], str]
) -> None:
    """A volume is taken over with what is in it; a network of that name is refused."""
    machine.run("volume", "create", name("volume"))
    stack.up(volume=resource("Volume", name=name("volume")))
    stack.assert_settled()
    machine.run("network", "create", name("network"))
    with pytest.raises(RunError, match="already exists"):
        stack.up(network=resource("Network", name=name("network")))
    assert machine.network(name("network")) is not None


def test_imports(stack: Stack, machine: Machine, name: Callable[[str], str]) -> None:
    """Both come into the state by their ids; an id that means nothing is refused."""
    identity = machine.run("network", "create", "--internal", name("network"))
    machine.run("volume", "create", name("volume"))
    stack.declare()
    stack.adopt(
        network=("docker:index/network:Network", identity),
        volume=("docker:index/volume:Volume", name("volume")),
    )
    outputs = stack.outputs()
    assert (outputs["network"]["name"], outputs["network"]["internal"]) == (name("network"), True)
    assert outputs["volume"]["driver"] == "local"
    stack.declare(
        network=resource("Network", name=name("network"), internal=True),
        volume=resource("Volume", name=name("volume")),
    )
    stack.assert_settled()
    with pytest.raises(RunError, match="none"):
        stack.adopt(none=("docker:index/volume:Volume", name("none")))


def test_what_is_in_use_stays(
    stack: Stack, machine: Machine, image: str, name: Callable[[str], str]
) -> None:
    """A volume or network that a stranger uses is not taken from it; the run says who is there."""
    # A plugin waits for the stranger to go, for 30 s where nobody says less.
    options = {"custom_timeouts": {"delete": "1s"}}
    stack.up(
        network=resource("Network", name=name("network"), opts=options),
        volume=resource("Volume", name=name("volume"), opts=options),
    )
    using = ["--network", name("network"), "--volume", f"{name('volume')}:/data"]
    machine.run("run", "--detach", "--name", name("stranger"), *using, image, "sleep", "300")
    with pytest.raises(RunError, match="in use"):
        stack.destroy()
    assert machine.volume(name("volume")) is not None
    assert machine.network(name("network")) is not None
    machine.run("rm", "--force", name("stranger"))
    stack.destroy()
    assert machine.volume(name("volume")) is None


def test_containers_reach_each_other_by_alias(
    stack: Stack, machine: Machine, image: str, name: Callable[[str], str]
) -> None:
    """A container joins the networks that it names, under its aliases, and no other one."""
    stack.up(
        image=resource("RemoteImage", name=image, keep_locally=True),
        one=resource("Network", name=name("one")),
        two=resource("Network", name=name("two"), ipam_configs=[{"subnet": "10.213.9.0/24"}]),
        box=sleeping(
            name=name("box"),
            networks_advanced=[
                {"name": {"output": "one.name"}, "aliases": ["db", "primary"]},
                {"name": {"output": "two.id"}, "ipv4_address": "10.213.9.77"},
            ],
        ),
    )
    stack.assert_settled()
    found = machine.container(name("box"))
    assert found is not None
    joined = found["NetworkSettings"]["Networks"]
    assert set(joined) == {name("one"), name("two")}
    assert {"db", "primary"} <= set(joined[name("one")]["Aliases"])
    assert joined[name("two")]["IPAddress"] == "10.213.9.77"
    told = stack.outputs()["box"]["networkDatas"]
    assert [network["networkName"] for network in told] == sorted([name("one"), name("two")])
    stack.destroy()
    assert machine.network(name("one")) is None
