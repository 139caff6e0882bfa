"""The provider plugins: genuine where they can be had, else made from the checkout."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.toolchain.conftest import CLOSED, Site, archive, executable, pin
from toolchain import cache, offline, pip, plugins, versions
from toolchain.errors import ToolchainError

_NAME = "postgresql"  # a plugin that the project pins; what it consists of is made up here
_PROGRAM = f"pulumi-resource-{_NAME}"
_OVERRIDES = "PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES"
_MAIN = "import sys\nimport groundwork_probe\nprint(groundwork_probe.WORD, *sys.argv[1:])\n"


@pytest.fixture(autouse=True)
def _home(
    tmp_path: Path, pulumi: Path, monkeypatch: pytest.MonkeyPatch, cache_home: Path, pins: Path
) -> None:
    """A Pulumi home of its own, the real engine on PATH, and no way to the genuine plugin."""
    assert cache_home.is_dir()
    assert pins.exists()
    monkeypatch.setenv("PATH", f"{pulumi.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi home"))
    monkeypatch.setenv(_OVERRIDES, f".*={CLOSED}")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's plugin that needs one package, which a folder of wheels has."""
    folder = tmp_path / "it's plugins"
    package = folder / _NAME / f"groundwork_{_NAME}"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text(_MAIN)
    digest = _wheel(tmp_path / "wheels")
    pinned = f"groundwork-probe==1.0 --hash=sha256:{digest}\n"
    (folder / _NAME / "requirements.txt").write_text(pinned)
    monkeypatch.setattr(offline, "PLUGINS", folder)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return folder / _NAME


def _wheel(folder: Path) -> str:
    folder.mkdir()
    path = folder / "groundwork_probe-1.0-py3-none-any.whl"
    info = "groundwork_probe-1.0.dist-info"
    files = {
        "groundwork_probe.py": 'WORD = "probed"\n',
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: groundwork-probe\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _launch() -> subprocess.CompletedProcess[str]:
    """Start what the engine starts, with the checkout of the test in the place of this one."""
    code = (
        "import pathlib, sys; from toolchain import offline\n"
        "from toolchain.plugins import __main__\n"
        "offline.PLUGINS = pathlib.Path(sys.argv.pop(1)); sys.exit(__main__.main(*sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-P", "-S", "-c", code, offline.PLUGINS, _NAME, "a b"],
        env=os.environ | {"PYTHONPATH": str(versions.ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def _older(content: str) -> Path:
    """Put a plugin where older checkouts did, and the engine looks by itself."""
    place = Path(
        os.environ["PULUMI_HOME"], "plugins", f"resource-{_NAME}-v{versions.plugin(_NAME)}"
    )
    executable(place / _PROGRAM, content)
    (place / "groundwork.json").write_text('{"digest": "of another checkout", "python": "/gone"}')
    return place


def _publish(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    content = archive({_PROGRAM: "#!/bin/sh\necho genuine\n"})
    for system in ("linux", "darwin"):
        for machine in ("amd64", "arm64"):
            name = f"{_PROGRAM}-v{versions.plugin(_NAME)}-{system}-{machine}.tar.gz"
            site.files[f"/{name}"] = content
            pin([f"{hashlib.sha256(content).hexdigest()}  {name}\n"])
    monkeypatch.setenv(_OVERRIDES, f".*={site.url}")


def test_offline_plugin(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a network the checkout's plugin is used, with its packages; it is said so.

    The second time what is there is left as it is, in silence. Nothing is put where the engine
    looks by itself.
    """
    found = plugins.install(_NAME)
    told = capsys.readouterr().err
    assert found.route == "offline"
    assert f"plugin {_NAME} {versions.plugin(_NAME)}: the offline one of this checkout" in told
    assert plugins.install(_NAME) == found
    assert capsys.readouterr().err == ""
    assert _launch().stdout == "probed a b\n"
    assert not list(cache.folder(".aside").iterdir())
    assert not list(Path(os.environ["PULUMI_HOME"]).glob("plugins/*"))
    (checkout / f"groundwork_{_NAME}" / "__main__.py").write_text('print("changed")\n')
    assert _launch().stdout == "changed\n"


@pytest.mark.usefixtures("checkout")
def test_the_launcher_fetches_what_is_missing() -> None:
    """`pulumi up` works where nothing else has run before; what happens goes to standard error."""
    done = _launch()
    assert (done.returncode, done.stdout) == (0, "probed a b\n")
    assert "the offline one of this checkout" in done.stderr


@pytest.mark.usefixtures("checkout")
def test_a_plugin_of_an_older_checkout_is_neither_used_nor_touched() -> None:
    """Each of two checkouts on one machine keeps its own, whatever the other one does."""
    place = _older("#!/bin/sh\necho of another checkout\n")
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    assert plugins.install(_NAME).route == "offline"
    assert _launch().stdout == "probed a b\n"
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


def test_shared_package(checkout: Path) -> None:
    """The package that all plugins share is the checkout's own, too."""
    shared = checkout.parent / offline.SHARED / "groundwork_shared.py"
    shared.parent.mkdir()
    shared.write_text('WORD = "first"\n')
    main = checkout / f"groundwork_{_NAME}" / "__main__.py"
    main.write_text("import groundwork_shared\nprint(groundwork_shared.WORD)\n")
    assert _launch().stdout == "first\n"


def test_every_plugin_has_its_launcher() -> None:
    """Pulumi.yaml leads the engine to a program for each plugin of the checkout."""
    project = yaml.safe_load((versions.ROOT / "Pulumi.yaml").read_text())
    declared = {
        each["name"]: versions.ROOT / each["path"] for each in project["plugins"]["providers"]
    }
    assert sorted(declared) == offline.names()
    for name, place in declared.items():
        assert place == offline.folder(name)
        assert os.access(place / f"pulumi-resource-{name}", os.X_OK)


def test_wrong_hash(checkout: Path) -> None:
    """A package that isn't the pinned one ends the installation, and no plugin stays."""
    (checkout / "requirements.txt").write_text(f"groundwork-probe==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ToolchainError, match=r"no route to the .* plugin[\s\S]*offline: .*") as err:
        plugins.install(_NAME)
    assert "hash" in str(err.value).lower()
    with pytest.raises(ToolchainError, match="has no genuine plugin"):
        plugins.find(_NAME)


@pytest.mark.usefixtures("checkout")
def test_genuine_is_preferred(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the genuine plugin can be had, it is taken, by the engine itself."""
    _publish(site, monkeypatch)
    assert plugins.install(_NAME).route == "genuine"
    assert _launch().stdout == "genuine\n"


@pytest.mark.usefixtures("checkout")
def test_another_archive_than_the_pinned_one_is_not_installed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine refuses it, and the offline plugin is taken."""
    _publish(site, monkeypatch)
    for path in site.files:
        site.files[path] = archive({_PROGRAM: "#!/bin/sh\necho mine\n"})
    assert plugins.install(_NAME).route == "offline"
    assert site.asked


@pytest.mark.usefixtures("checkout")
def test_an_archive_without_a_pinned_checksum_is_not_asked_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, pins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The offline plugin is taken, and it is told why."""
    _publish(site, monkeypatch)
    pins.write_text("")
    assert plugins.install(_NAME).route == "offline"
    assert not site.asked
    assert "no sha256 of pulumi-resource-postgresql-" in capsys.readouterr().err


@pytest.mark.usefixtures("checkout")
def test_the_genuine_plugin_takes_the_place_of_an_older_checkouts(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what an older checkout would rather have, too."""
    place = _older("#!/bin/sh\necho of another checkout\n")
    _publish(site, monkeypatch)
    assert plugins.install(_NAME).path == place
    assert _launch().stdout == "genuine\n"


@pytest.mark.usefixtures("checkout")
def test_hanging_site_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download site that says nothing costs the limit, and the offline plugin is taken."""
    _publish(site, monkeypatch)
    site.wait = 600
    begin = time.monotonic()
    assert plugins.install(_NAME, limit=0.5).route == "offline"
    assert time.monotonic() - begin < 300


def test_plugin_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One on PATH is what the engine uses, unless it is told to ignore those."""
    program = executable(tmp_path / "bin" / _PROGRAM, "#!/bin/sh\n")
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    assert plugins.install(_NAME).path == program
    monkeypatch.setenv("PULUMI_IGNORE_AMBIENT_PLUGINS", "true")
    with pytest.raises(ToolchainError, match="has no genuine plugin"):
        plugins.find(_NAME)


@pytest.mark.usefixtures("checkout")
def test_half_installed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed engine left of a genuine plugin doesn't count as one."""
    _publish(site, monkeypatch)
    place = plugins.install(_NAME).path
    place.with_name(f"{place.name}.partial").touch()
    with pytest.raises(ToolchainError, match="has no genuine plugin"):
        plugins.find(_NAME)
    assert plugins.install(_NAME).route == "genuine"


def test_no_route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network and without an offline plugin, each route's reason is told."""
    monkeypatch.setattr(offline, "PLUGINS", tmp_path / "none")
    with pytest.raises(ToolchainError) as caught:
        plugins.install("docker", limit=1)
    told = str(caught.value)
    for words in (
        "installed: ",
        "download: ",
        "offline: ",
        "pulumi plugin install resource docker",
    ):
        assert words in told


def test_wheels_are_downloaded(checkout: Path, tmp_path: Path) -> None:
    """`pip.download` fetches the pinned wheels, and nothing where the hash is another one."""
    (wheel,) = pip.download(checkout / "requirements.txt", tmp_path / "fetched")
    assert wheel.name == "groundwork_probe-1.0-py3-none-any.whl"
    wrong = tmp_path / "wrong.txt"
    wrong.write_text(f"groundwork-probe==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ToolchainError, match=r"(?i)hash"):
        pip.download(wrong, tmp_path / "refused")
    assert not list((tmp_path / "refused").glob("*.whl"))
