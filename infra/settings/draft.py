"""A configuration while it is read: what is given, what it stands for, what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings.key import ENVIRONMENTS, spelled
from infra.settings.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Draft"]


class Draft:
    """The texts of all keys, and the mistakes that were found so far.

    Attributes:
        root: The project's folder, to which relative paths refer.
        given: The keys that the stack sets to something else than the default.
        environment: The kind of environment; the default one where the key names none.
        mistakes: One line each, beginning with the key to set, or with the variable that has it.
    """

    def __init__(
        self, values: Mapping[str, str], *, root: Path, variables: Mapping[str, str]
    ) -> None:
        """Fill in what is not set: from a key's variable, the environment's preset, the default."""
        self.root = root
        # The engine hands defaults over like values: who sets a key to its default sets nothing.
        self.given = {
            name: text
            for name, text in values.items()
            if name in KEYS and text != KEYS[name].default
        }
        named = self.given.get("environment", "")
        self.environment = named if named in ENVIRONMENTS else KEYS["environment"].default
        self.mistakes: list[str] = []
        self._bad: set[str] = set()
        # CI systems hand a variable that nobody set over as an empty one.
        self._variables = {
            name: key.variable
            for name, key in KEYS.items()
            if name not in self.given and variables.get(key.variable)
        }
        self._texts = {
            name: self.given.get(name, key.presets.get(self.environment, key.default))
            for name, key in KEYS.items()
        } | {name: variables[variable] for name, variable in self._variables.items()}

    def __getitem__(self, name: str) -> str:
        """Give the text of a key."""
        return self._texts[name]

    def refuse(self, name: str, why: str) -> None:
        """Note a mistake of one key, or of the variable that stands in for it."""
        self._bad.add(name)
        self.mistakes.append(f"{self._variables.get(name, spelled(name))}: {why}")

    def sound(self, *names: str) -> bool:
        """Tell whether no mistake was noted of any of the keys."""
        return not self._bad.intersection(names)

    def path(self, name: str) -> Path | None:
        """Give the place that a key names; None where it names none.

        Raises:
            RuntimeError: It begins with the home of a user whom this machine doesn't know.
        """
        return self.root / Path(self[name]).expanduser() if self[name] else None
