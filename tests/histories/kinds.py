"""What an Alembic directory may be and do: one directory in `fixtures` for each kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FIXTURES", "KINDS", "Kind"]

FIXTURES = Path(__file__).with_name("fixtures")

# A role is the server's: another database may have made it.
_OWNER = (
    "DO 'BEGIN CREATE ROLE boxes_owner; EXCEPTION WHEN duplicate_object THEN NULL; END';"
    "GRANT CREATE ON SCHEMA public TO boxes_owner"
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of history.

    Attributes:
        folder: The directory in `fixtures`.
        rendered: How many upgrades of how many are rendered.
        root: Where Alembic is called, below the directory.
        ini: The ini, below the root; empty for none.
        section: Its section.
        x: What follows `-x`.
        synchronous: Whether env.py has a synchronous engine.
        variable: The variable that env.py reads.
        prepare: SQL in the empty database.
        options: Keys of the stack that it needs.
        long: Whether a daily run leaves it out.
    """

    folder: str
    rendered: tuple[int, int] = (1, 2)
    root: str = "."
    ini: str = "alembic.ini"
    section: str = "alembic"
    x: tuple[str, ...] = ()
    synchronous: bool = False
    variable: str = "DATABASE_URL"
    prepare: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    long: bool = False

    @property
    def name(self) -> str:
        """Name it among the tests."""
        return f"{self.folder}-{self.section}" if self.section != "alembic" else self.folder


KINDS = (
    # What an application does while it is imported.
    Kind(folder="program_at_import", synchronous=True),
    Kind(folder="scratch_folder", synchronous=True),
    Kind(folder="threads_and_signals", long=True),
    Kind(folder="standard_output", long=True),
    Kind(folder="event_loops", long=True),
    Kind(folder="logging_to_output", long=True),
    Kind(folder="logging_incomplete"),
    Kind(folder="engine_at_import", variable="SHOP_URL"),
    # Types that several revisions name.
    Kind(folder="enums_in_mixtures", synchronous=True, rendered=(4, 7)),
    # What env.py decides.
    Kind(folder="version_locations_in_env", synchronous=True),
    Kind(folder="version_table_wider"),
    Kind(folder="version_table_schema", rendered=(0, 2)),
    Kind(folder="translate_map", rendered=(0, 1)),
    Kind(folder="search_path_at_connect", rendered=(0, 2), prepare="CREATE SCHEMA acme"),
    Kind(folder="search_path_after_connect", synchronous=True, rendered=(0, 2), long=True),
    Kind(folder="engine_listener", synchronous=True, rendered=(0, 2), long=True),
    Kind(folder="set_role", rendered=(0, 2), prepare=_OWNER),
    Kind(folder="set_role_in_both", rendered=(2, 3), prepare=_OWNER),
    Kind(folder="session_authorization", rendered=(0, 2), prepare=_OWNER),
    Kind(folder="version_listener", rendered=(0, 2)),
    Kind(folder="include_object"),
    # Where Alembic is called from.
    Kind(folder="ini_below", ini="deploy/database/config/alembic.ini", synchronous=True),
    Kind(folder="named_section", section="boxes", synchronous=True),
    Kind(folder="named_section", section="lids", synchronous=True, rendered=(1, 1)),
    Kind(folder="x_arguments", x=("tenant=acme",), synchronous=True, rendered=(1, 1)),
    Kind(folder="pyproject_alone", ini=""),
    Kind(folder="relative_paths", root="project", synchronous=True),
    Kind(folder="package_location", synchronous=True),
    # What revisions send.
    Kind(folder="literals_of_all_types", rendered=(1, 1)),
    Kind(folder="autocommit_and_data", rendered=(2, 4)),
    Kind(folder="errors_caught"),
    # Their graph.
    Kind(
        folder="heads_and_labels", synchronous=True, rendered=(5, 6), options={"revision": "heads"}
    ),
)
