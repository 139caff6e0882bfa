"""Images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.plugins.docker.declare import resource
from tests.plugins.run import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.plugins.docker.machine import Machine
    from tests.plugins.stack import Stack


@pytest.fixture
def tagged(
    machine: Machine, image: str, name: Callable[[str], str]
) -> Iterator[Callable[[str], str]]:
    """Gives the image further names, which are taken away at the end."""
    given: list[str] = []

    def tag(suffix: str) -> str:
        given.append(f"{name(suffix)}:of-a-test")
        machine.run("tag", image, given[-1])
        return given[-1]

    yield tag
    for found in given:
        if machine.image(found) is not None:
            machine.run("rmi", found)


def test_a_local_image_is_taken(stack: Stack, machine: Machine, image: str) -> None:
    """It is not pulled, its id is told, it settles, and with keep_locally it stays at the end."""
    stack.up(image=resource("RemoteImage", name=image, keep_locally=True))
    stack.assert_settled()
    found = machine.image(image)
    assert found is not None
    outputs = stack.outputs()["image"]
    assert outputs["imageId"] == found["Id"]
    assert outputs["id"] == found["Id"] + image
    stack.destroy()
    assert machine.image(image) is not None


def test_an_image_that_is_not_kept_goes(
    stack: Stack, machine: Machine, tagged: Callable[[str], str]
) -> None:
    """Without keep_locally the image's name is removed; keep_locally is changed in place."""
    first, second = tagged("first"), tagged("second")
    stack.up(
        first=resource("RemoteImage", name=first),
        second=resource("RemoteImage", name=second),
    )
    changed = stack.up(
        first=resource("RemoteImage", name=first, keep_locally=True),
        second=resource("RemoteImage", name=second),
    )
    assert changed.steps == {"first": ["update"]}
    stack.destroy()
    assert machine.image(first) is not None
    assert machine.image(second) is None


def test_another_image_replaces(
    stack: Stack, machine: Machine, tagged: Callable[[str], str]
) -> None:
    """Another name or trigger makes a new resource; an image removed by hand is seen."""
    first, second = tagged("first"), tagged("second")
    stack.up(image=resource("RemoteImage", name=first, keep_locally=True))
    replaced = stack.up(image=resource("RemoteImage", name=second, keep_locally=True))
    assert "replace" in replaced.steps["image"]
    triggered = resource("RemoteImage", name=second, keep_locally=True, pull_triggers=["other"])
    assert "replace" in stack.up(image=triggered).steps["image"]
    stack.assert_settled()
    machine.run("rmi", second)
    assert stack.drift().steps == {"image": ["delete"]}


def test_images_that_cannot_be_had(stack: Stack) -> None:
    """The run fails with each image's name and what its registry, or the way to it, says."""
    references = {
        "tag": "127.0.0.1:9/no/such:image",
        "plain": "127.0.0.1:9/no/tag",
        "digest": f"127.0.0.1:9/by/digest@sha256:{'0' * 64}",
        "unknown": "no.such.registry.invalid/some/image:1",
        "wrong": "Not An Image",
    }
    images = {key: resource("RemoteImage", name=name) for key, name in references.items()}
    with pytest.raises(RunError) as failure:
        stack.up("--continue-on-error", **images)
    told = str(failure.value)
    for reference in references.values():
        assert reference in told
    for words in ("connection refused", "no.such.registry.invalid", "invalid reference format"):
        assert words in told
    assert "Traceback" not in told
