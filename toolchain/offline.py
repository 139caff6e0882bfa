"""The plugins of this checkout, for machines that can't reach the genuine ones.

A plugin's folder in `plugins/NAME` holds the package `groundwork_NAME` and a hash-locked
requirements.txt; what all of them share is the package in `plugins/in-common`. Installed, a
plugin stands on its own: both packages, dependencies, a launcher that knows its interpreter, and
a marker that tells it from a genuine plugin.
"""

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from toolchain import cache

__all__ = ["Marker", "assemble", "available", "digest", "interpreter", "marker", "names"]

PLUGINS = Path(__file__).parent / "plugins"
"""The folder that holds a folder for each plugin."""

SHARED = "in-common"
"""The folder in it with the package that every plugin takes along.

Its name is none that Python could import: tools that guess a module's name from its path then
find `groundwork_plugin` under the name that it has where it runs.
"""

_MARKER = "groundwork.json"

_LAUNCHER = """\
#!/bin/sh
# The offline {name} plugin: a stand-in for the genuine one where it can't be had.
here=$(dirname "$(readlink -f "$0")")
python={python}
if [ ! -x "$python" ]; then
    echo "error: the offline {name} plugin was installed for $python, which is gone." >&2
    echo "Install it again, from the checkout: python -m toolchain install --plugin {name}" >&2
    exit 1
fi
PYTHONPATH=$here:$here/lib
export PYTHONPATH
unset PYTHONHOME
exec "$python" -P -s -m groundwork_{name} "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Marker:
    """What an installed offline plugin says of itself.

    Attributes:
        digest: that of the sources which it was made from.
        python: the interpreter that runs it.
    """

    digest: str
    python: str

    def reason_to_replace(self, name: str) -> str:
        """Tell why the plugin has to be installed again; an empty text when it needn't."""
        if not os.access(self.python, os.X_OK):
            return f"its Python {self.python} is gone"
        if self.digest != digest(name):
            return "this checkout has another version of it"
        return ""


def available(name: str) -> bool:
    """Tell whether this checkout has an offline plugin `name`."""
    return (PLUGINS / name / f"groundwork_{name}" / "__main__.py").is_file()


def names() -> list[str]:
    """Give the names of the plugins that this checkout has."""
    return sorted(path.name for path in PLUGINS.iterdir() if available(path.name))


def digest(name: str) -> str:
    """Give the digest of all that decides how the plugin `name` behaves."""
    total = hashlib.sha256(_LAUNCHER.encode())
    for path in [*sorted(_sources(name)), PLUGINS / name / "requirements.txt"]:
        content = path.read_bytes()
        total.update(f"\n{path.relative_to(PLUGINS).as_posix()} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()


def marker(place: Path) -> Marker | None:
    """Read the marker of an installed plugin; None when it is a genuine one."""
    try:
        found = json.loads((place / _MARKER).read_text(encoding="utf-8"))
        return Marker(digest=str(found["digest"]), python=str(found["python"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Marker(digest="", python="")  # ours, and damaged: to be replaced


def assemble(name: str, place: Path) -> None:
    """Fill the empty folder `place` with the plugin `name`, ready to be installed.

    Raises:
        ToolchainError: when its dependencies can't be had.
    """
    import shlex  # noqa: PLC0415 - slow to import, and not needed when everything is there
    import shutil  # noqa: PLC0415 - slow to import, and not needed when everything is there

    from toolchain import run  # noqa: PLC0415 - slow to import, and not needed when everything is there

    python = interpreter()
    for source in _sources(name):
        _, *rest = source.relative_to(PLUGINS).parts
        target = place.joinpath(*rest)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    run.output([python, "-m", "compileall", "-q", str(place)], timeout=120)
    # The cache is on the same file system as the folder aside, and the engine copies both.
    shutil.copytree(_dependencies(name, python), place / "lib", copy_function=os.link)
    launcher = place / f"pulumi-resource-{name}"
    launcher.write_text(_LAUNCHER.format(name=name, python=shlex.quote(python)), encoding="utf-8")
    launcher.chmod(0o755)
    told = {"offline": True, "plugin": name, "digest": digest(name), "python": python}
    (place / _MARKER).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _sources(name: str) -> list[Path]:
    packages = (PLUGINS / name / f"groundwork_{name}", PLUGINS / SHARED)
    files = (path for package in packages for path in package.rglob("*") if path.is_file())
    return [path for path in files if "__pycache__" not in path.parts]


def _dependencies(name: str, python: str) -> Path:
    """Install what the plugin needs, once for each interpreter and requirements file."""
    from toolchain import pip  # noqa: PLC0415 - slow to import, and not needed when everything is there

    requirements = PLUGINS / name / "requirements.txt"
    key = hashlib.sha256(f"{python} {sys.version}\n".encode() + requirements.read_bytes())
    label = f"fetching the packages of the offline {name} plugin"
    install = partial(pip.install, requirements, python=python, label=label)
    return cache.make(f"plugin-{name}-{key.hexdigest()[:16]}", install, doing=label)


def interpreter() -> str:
    """Give the Python to run a plugin with: no venv's, which goes away with its checkout."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = Path(sys.base_prefix, "bin", version)
    return str(own if os.access(own, os.X_OK) else Path(sys.executable).resolve())
