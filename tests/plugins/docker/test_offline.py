"""What holds for the offline plugin alone, whichever plugin the rest of the suite drives."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from tests.plugins.docker.machine import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.plugins.docker.machine import Machine

URN = "urn:pulumi:s::p::docker:index/{}::one"
CONTAINER = URN.format("container:Container")
VOLUME = URN.format("volume:Volume")
IMAGE = URN.format("remoteImage:RemoteImage")
SECRET_MARK = "4dabf18193072939515e22adb298388d"  # noqa: S105 - the engine's own mark of a secret
SECRET_KIND = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the engine's own kind of a secret


class Plugin:
    """A process of the plugin, and a client of it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        """Starts it and reads its port."""
        self.process = subprocess.Popen(
            [folder / "pulumi-resource-docker", "127.0.0.1:1"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.channel = grpc.insecure_channel(f"127.0.0.1:{int(self.process.stdout.readline())}")
        self._stub = provider_pb2_grpc.ResourceProviderStub(self.channel)

    def stop(self) -> str:
        """Ends it; everything that it printed after its port."""
        self.channel.close()
        self.process.terminate()
        return "".join(self.process.communicate(timeout=30))

    def call(self, method: str, request: Any) -> Any:
        """The answer to a request, or its failure as a text."""
        try:
            return getattr(self._stub, method)(request, timeout=60)
        except grpc.RpcError as error:
            return str(error.details())

    def configure(self, **settings: object) -> Any:
        """Points it at a Docker, with settings as the SDK sends them."""
        return self.call("Configure", provider_pb2.ConfigureRequest(args=struct(**settings)))

    def check(self, urn: str, **news: object) -> dict[str, str]:
        """What is wrong with inputs, by property."""
        answer = self.call("Check", provider_pb2.CheckRequest(urn=urn, news=struct(**news)))
        assert isinstance(answer, provider_pb2.CheckResponse), answer
        return {failure.property: failure.reason for failure in answer.failures}

    def make(self, urn: str, *, preview: bool = False, **news: object) -> Any:
        """Creates a resource from inputs that are checked before."""
        checked = self.call("Check", provider_pb2.CheckRequest(urn=urn, news=struct(**news)))
        assert not checked.failures, checked.failures
        request = provider_pb2.CreateRequest(urn=urn, properties=checked.inputs, preview=preview)
        return self.call("Create", request)


def struct(**values: object) -> struct_pb2.Struct:
    """Properties on the wire."""
    return json_format.Parse(json.dumps(values), struct_pb2.Struct())


def secret(value: str) -> dict[str, str]:
    """A secret on the wire."""
    return {SECRET_MARK: SECRET_KIND, "value": value}


@pytest.fixture(scope="module")
def process(offline_plugin: Path) -> Iterator[Plugin]:
    """A process of the plugin, which must print nothing but its port."""
    plugin = Plugin(offline_plugin)
    yield plugin
    assert plugin.stop() == ""


def test_without_docker_one_message_says_what_to_do(process: Plugin, tmp_path: Path) -> None:
    """What was tried, that nothing was changed, and how Docker is started; previews need none."""
    address = f"unix://{tmp_path}/no.sock"
    process.configure(host=address)
    preview = process.make(VOLUME, preview=True, name="later")
    assert preview.properties["name"] == "later"
    told = process.make(VOLUME, name="later")
    assert told.count(address) == 1
    for words in ("cannot be reached", "No such file", "nothing was changed", "systemctl start"):
        assert words in told
    assert "Traceback" not in told
    assert "HTTPConnection" not in told


def test_an_address_where_nobody_listens(process: Plugin) -> None:
    """The same for an address on the network, in words of the system."""
    process.configure(host="tcp://127.0.0.1:9")
    told = process.make(VOLUME, name="later")
    assert "tcp://127.0.0.1:9: Connection refused" in told
    assert "DOCKER_HOST" in told


def test_settings_that_need_the_genuine_plugin_are_refused(process: Plugin) -> None:
    """Each by its name, with the way around it; an ssh address as well."""
    news = struct(
        registryAuth=[{"address": "x"}],
        context="other",
        sshOpts="x",
        hots="x",
        host="ssh://somewhere",
    )
    answer = process.call("CheckConfig", provider_pb2.CheckRequest(news=news))
    told = {failure.property: failure.reason for failure in answer.failures}
    assert set(told) == {"registryAuth", "context", "sshOpts", "hots", "host"}
    assert "docker login" in told["registryAuth"]
    assert "ssh://somewhere" in told["host"]
    assert "ssh://somewhere" in process.configure(host="ssh://somewhere")


def test_certificates_that_are_missing(process: Plugin, tmp_path: Path) -> None:
    """A folder without certificates is told as such, and nothing is tried without them."""
    process.configure(host="tcp://127.0.0.1:9", certPath=str(tmp_path))
    told = process.make(VOLUME, name="later")
    assert f"{tmp_path} has no ca.pem and no cert.pem and no key.pem" in told
    assert "nothing was changed" in told


@pytest.mark.parametrize(
    ("news", "named"),
    [
        ({"gpus": "all", "name": "x"}, {"gpus"}),
        (
            {"ports": [{"internal": 1}, {"internal": "x", "foo": 1}]},
            {"ports[1].foo", "ports[1].internal"},
        ),
        ({"healthcheck": {"tests": ["CMD", "true"], "interval": "60s"}}, {"healthcheck.interval"}),
        (
            {"healthcheck": {"timeout": "soon", "retries": 0.5}},
            {"healthcheck.timeout", "healthcheck.retries"},
        ),
        ({"uploads": [{"file": "/a", "permissions": "rw"}]}, {"uploads[0].permissions"}),
        (
            {"uploads": [{"file": "/a"}, {"file": "/b", "content": "c", "source": "d"}]},
            {"uploads[0]", "uploads[1]"},
        ),
        ({"uploads": [{"file": "/a", "contentBase64": "?"}]}, {"uploads[0].contentBase64"}),
        ({"uploads": [{"file": "/a", "content": "a"}], "readOnly": True}, {"uploads"}),
        ({"volumes": [{"volumeName": "v"}]}, {"volumes[0]"}),
        ({"mounts": [{"type": "nfs", "target": "/x"}]}, {"mounts[0].type"}),
        ({"attach": True}, {"attach"}),
        ({"start": False}, {"start"}),
        ({"command": ["sh", ""]}, {"command"}),
        ({"memory": -1, "cpus": "many", "cpuSet": "all"}, {"memory", "cpus", "cpuSet"}),
        ({"restart": "sometimes", "envs": "A=1"}, {"restart", "envs"}),
        ({"exitCode": 1}, {"exitCode"}),
    ],
)
def test_inputs_that_make_no_sense_are_refused(
    process: Plugin, news: dict[str, object], named: set[str]
) -> None:
    """Each wrong, missing or uncovered property is told by its name, and no Docker is asked."""
    process.configure(host="unix:///no/such/socket")
    assert set(process.check(CONTAINER, image="sha256:0", **news)) == named


def test_what_is_not_covered_leads_to_the_genuine_plugin(process: Plugin) -> None:
    """Properties, resources and functions name the command that installs it."""
    advice = "pulumi plugin install resource docker"
    assert advice in process.check(CONTAINER, image="i", gpus="all")["gpus"]
    assert advice in process.check(IMAGE, name="i", build={"context": "."})["build"]
    service = URN.format("service:Service")
    request = provider_pb2.CheckRequest(urn=service, news=struct(name="x"))
    refused = process.call("Check", request)
    assert advice in refused
    assert "Network, Volume, RemoteImage and Container" in refused
    function = provider_pb2.InvokeRequest(tok="docker:index/getNetwork:getNetwork")
    assert advice in process.call("Invoke", function)


def test_unknown_inputs_are_passed_over(process: Plugin) -> None:
    """What another resource has yet to tell is neither refused nor taken for a value."""
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    news = {
        "image": unknown,
        "name": unknown,
        "ports": [{"internal": 80, "external": unknown}],
        "uploads": [{"file": "/a", "content": unknown}],
        "volumes": unknown,
        "healthcheck": {"tests": [unknown], "interval": unknown},
    }
    assert process.check(CONTAINER, **news) == {}
    process.configure(host="unix:///no/such/socket")
    made = process.make(CONTAINER, preview=True, **news)
    assert made.properties["image"] == unknown
    assert made.properties["hostname"] == unknown


def test_no_message_has_a_secret(
    process: Plugin, machine: Machine, image: str, name: Callable[[str], str]
) -> None:
    """Docker's own words come without what the program marks, even where they quote it."""
    del machine
    hidden = "sh0wn-never"
    process.configure(host=ADDRESS)
    told = process.make(
        CONTAINER, name=name("box"), image=image, command=[secret(hidden)], stopTimeout=3
    )
    assert "cannot be made" in told
    assert "[secret]" in told
    assert hidden not in told


def test_a_start_interval_that_this_docker_ignores(
    process: Plugin, machine: Machine, image: str, name: Callable[[str], str]
) -> None:
    """An old Docker would leave it out without a word; so the run fails before anything is made."""
    version = machine.run("version", "--format", "{{.Server.APIVersion}}")
    if tuple(map(int, version.split("."))) >= (1, 44):
        pytest.skip(f"this Docker (API {version}) knows start_interval")
    process.configure(host=ADDRESS)
    health = {"tests": ["CMD", "true"], "startInterval": "1s"}
    told = process.make(CONTAINER, name=name("box"), image=image, healthcheck=health)
    assert "Docker Engine 25" in told
    assert machine.container(name("box")) is None
