"""What the parts of the schema node tell each other: plain data, no I/O."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Applied",
    "Catalog",
    "Direction",
    "Drift",
    "History",
    "Live",
    "Lock",
    "Part",
    "Plan",
    "Policy",
    "Revision",
    "Script",
    "Step",
    "TypeUse",
]

Direction = Literal["up", "down"]

_RULE = "plan 2"
"""What the digest of a plan covers; another rule makes other digests."""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock that a statement takes until its transaction ends.

    Attributes:
        mode: As PostgreSQL names it, "AccessExclusiveLock" for example.
        relation: What is locked, as the statement names it.
    """

    mode: str
    relation: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """Statements that run in one transaction, or each in its own.

    Attributes:
        statements: SQL, in order; one element may hold several statements where the revision
            executes them as one text.
        autocommit: Whether each statement commits by itself, as CREATE INDEX CONCURRENTLY must.
        environment: Whether env.py itself sends them, and not the revision.
    """

    statements: tuple[str, ...]
    autocommit: bool = False
    environment: bool = False


@dataclass(frozen=True, kw_only=True)
class Script:
    """One direction of a revision.

    Attributes:
        parts: The SQL; empty where the revision does nothing, or where it runs live.
        live: Why it can't be rendered without a database; empty where it is rendered.
        absent: Whether the file says that there is none (it raises NotImplementedError).
        locks: What it locks, strongest first; known for rendered scripts only.
        refused: What it sends that no driver can send, with the line; empty where all can be sent.
    """

    parts: tuple[Part, ...] = ()
    live: str = ""
    absent: bool = False
    locks: tuple[Lock, ...] = ()
    refused: str = ""

    @property
    def autocommit(self) -> bool:
        """Whether a part of it can't be undone by PostgreSQL when it is interrupted."""
        return any(part.autocommit for part in self.parts)

    @property
    def statements(self) -> tuple[str, ...]:
        """All its SQL, in order."""
        return tuple(statement for part in self.parts for statement in part.statements)

    @property
    def own(self) -> Script:
        """The revision's own part of it, without what env.py sends before and after."""
        return replace(self, parts=tuple(part for part in self.parts if not part.environment))

    @property
    def environment(self) -> tuple[str, ...]:
        """What env.py itself sends before and after the revision's own SQL."""
        return tuple(sql for part in self.parts if part.environment for sql in part.statements)

    @property
    def leading(self) -> int:
        """How many of the first statements env.py sends."""
        return len(self.parts[0].statements) if self.parts and self.parts[0].environment else 0

    @property
    def trailing(self) -> int:
        """How many of the last statements env.py sends; they come after the revision's own."""
        last = self.parts[1:][-1:]
        return len(last[0].statements) if last and last[0].environment else 0

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Script:
        """Build one from what `dataclasses.asdict` made of it."""
        return cls(
            parts=tuple(
                Part(
                    statements=tuple(part["statements"]),
                    autocommit=part["autocommit"],
                    environment=part.get("environment", False),  # the ledger has older ones
                )
                for part in data["parts"]
            ),
            live=data["live"],
            absent=data["absent"],
            locks=tuple(Lock(**lock) for lock in data["locks"]),
            refused=data.get("refused", ""),
        )


@dataclass(frozen=True, kw_only=True)
class TypeUse:
    """What one direction of a revision does with enum types and domains.

    Attributes:
        made: Schema ("" for the first of the search_path) and name of those that it makes for the
            columns of new tables; known where it is rendered.
        gone: Those that it may drop or rename, of all that the history makes.
        open: Whether it runs through env.py and may make others.
    """

    made: tuple[tuple[str, str], ...] = ()
    gone: tuple[tuple[str, str], ...] = ()
    open: bool = False

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> TypeUse:
        """Build one from what `dataclasses.asdict` made of it."""
        pairs = {
            name: tuple((schema, type_) for schema, type_ in data[name])
            for name in ("made", "gone")
        }
        return cls(**pairs, open=data["open"])


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One revision file.

    Attributes:
        id: The whole id.
        parents: Ids of its down revisions; several for a merge, none for a base.
        depends_on: Ids of the other revisions that must be there before.
        labels: Branch labels that this file declares.
        message: First line of its docstring.
        file: Name of the file.
        sha256: Of the file's content with line ends of Unix, in hex.
        upgrade: What it does.
        downgrade: What takes it back.
        lock_timeout: PostgreSQL's, where the file declares its own ("30s"); else empty.
        statement_timeout: The same.
        ignores: Why a finding of lint may pass, by its rule, as the file declares it.
        path: The file, as seen from the folder that Alembic is called in.
    """

    id: str
    parents: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    message: str = ""
    file: str = ""
    sha256: str = ""
    upgrade: Script = field(default_factory=Script)
    downgrade: Script = field(default_factory=Script)
    lock_timeout: str = ""
    statement_timeout: str = ""
    ignores: Mapping[str, str] = field(default_factory=dict)
    path: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """Everything that must be there before it."""
        return (*self.parents, *self.depends_on)


@dataclass(frozen=True, kw_only=True)
class History:
    """A compiled Alembic directory.

    Attributes:
        revisions: In an order in which they can run, from the first to the last.
        heads: Revisions that no other has as a parent, sorted.
        digest: sha256 in hex of all that it was compiled from; the same on every machine.
        version_table: Name of Alembic's table.
        version_schema: Its schema, where env.py says one; else the first of the search_path.
        version_columns: The columns and constraints of the table, as CREATE TABLE has them, where
            env.py's implementation makes another one than Alembic; else empty.
        version_width: Characters of an id that it holds where it is still to be made; 0 for any.
        prologue: SQL that env.py sends before the revisions (SET search_path for example).
        epilogue: SQL that env.py sends after them.
        sources: sha256 in hex of each project file that a run through env.py can load, by its name
            below the project's folder.
        offline: Why env.py can't render at all; empty where it can.
        called: How Alembic is called, as options, without secrets; "" as usual.
        root: The folder that Alembic is called in, as seen from the folder that was named.
        models: The columns of each table of the models that env.py names, by the table's name as
            SQL writes it, with its schema where the models say one; empty where it names none.
        types: What the revisions do with types, by direction and id ("up 1a2b"); those that do
            nothing with any are left out.
    """

    revisions: tuple[Revision, ...]
    heads: tuple[str, ...]
    digest: str
    version_table: str = "alembic_version"
    version_schema: str = ""
    prologue: tuple[str, ...] = ()
    epilogue: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    offline: str = ""
    called: str = ""
    root: str = "."
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: Mapping[str, TypeUse] = field(default_factory=dict)
    version_columns: str = ""
    version_width: int = 32

    @property
    def by_id(self) -> dict[str, Revision]:
        """The revisions by their id."""
        return {revision.id: revision for revision in self.revisions}

    def dump(self) -> dict[str, Any]:
        """Give it as data for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> History:
        """Build one from what `dump` gave."""
        tuples = ("parents", "depends_on", "labels")
        revisions = (
            Revision(
                **{
                    **revision,
                    **{name: tuple(revision[name]) for name in tuples},
                    "upgrade": Script.of(revision["upgrade"]),
                    "downgrade": Script.of(revision["downgrade"]),
                }
            )
            for revision in data["revisions"]
        )
        return cls(
            **{
                **data,
                "revisions": tuple(revisions),
                "heads": tuple(data["heads"]),
                "prologue": tuple(data["prologue"]),
                "epilogue": tuple(data["epilogue"]),
                "models": {name: tuple(columns) for name, columns in data["models"].items()},
                "types": {name: TypeUse.of(use) for name, use in data["types"].items()},
            }
        )


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """What is in the schemas of the migrations, object by object.

    Attributes:
        format: Version of the way in which objects are described; two of different formats
            can't be compared.
        objects: Definition by name: "table app.clients", "column app.clients.name", ...
        ids: What an object is known by when it is renamed, by name; of this one database, and empty
            where the catalog comes from the ledger.
    """

    format: int
    objects: Mapping[str, str]
    ids: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Drift:
    """An object that is not as the last apply left it.

    Attributes:
        change: What somebody did to it.
        object: Its name in the catalog.
        before: Its definition after the last apply; empty where it was not there.
        after: Its definition now; empty where it is gone.
    """

    change: Literal["added", "changed", "removed"]
    object: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What the ledger says of a revision that is there.

    Attributes:
        revision: Its id.
        message: Its message.
        sha256: Of its file as it ran; empty where it was stamped.
        needs: Its parents and dependencies.
        downgrade: The SQL that takes it back, as rendered when it ran.
        commit: The commit of the checkout that ran it; empty where none was known.
        stack: The stack that ran it.
        at: When, ISO 8601.
        finished: False where a run was interrupted between its autocommitted statements.
    """

    revision: str
    message: str = ""
    sha256: str = ""
    needs: tuple[str, ...] = ()
    downgrade: Script = field(default_factory=Script)
    commit: str = ""
    stack: str = ""
    at: str = ""
    finished: bool = True


@dataclass(frozen=True, kw_only=True)
class Live:
    """What a database says of itself.

    Attributes:
        heads: The rows of the version table, sorted.
        versioned: Whether the version table is there.
        applied: The ledger's revisions by id; empty where there is no ledger.
        recorded: The catalog after the last apply; None where none was recorded.
        recorded_heads: The heads that it was recorded with.
        unaccepted: What of it was changed by hand and not accepted; each part of an object.
        catalog: The catalog now; None where it was not asked for.
        server: Version of the server, 170004 for example.
        cluster: PostgreSQL's system identifier.
        database: Name of the database.
        schema: The first schema of the search_path that is there.
        search_path: As the session has it.
        extensions: The schema of each extension, by its name.
        role: The role that acts.
    """

    heads: tuple[str, ...] = ()
    versioned: bool = False
    applied: Mapping[str, Applied] = field(default_factory=dict)
    recorded: Catalog | None = None
    recorded_heads: tuple[str, ...] = ()
    unaccepted: tuple[Drift, ...] = ()
    catalog: Catalog | None = None
    server: int = 0
    cluster: str = ""
    database: str = ""
    schema: str = ""
    search_path: str = ""
    extensions: Mapping[str, str] = field(default_factory=dict)
    role: str = ""

    @property
    def stack(self) -> str:
        """The stack that ran what is there last, PROJECT/STACK; "" where the ledger names none."""
        named = [entry for entry in self.applied.values() if entry.stack]
        return max(named, key=lambda entry: entry.at).stack if named else ""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the stack allows.

    Attributes:
        target: "head", "heads", "base", a revision, the beginning of one, "LABEL@head"; or several
            of these, with commas.
        downgrade: Whether the schema may go back.
        drift: What happens when objects were changed by hand.
        accepted_drift: Objects whose changes are accepted, by name or with "*" for any characters.
        drift_ignore: Objects whose changes are no drift; the same.
        edited: What happens when an applied revision's file is no longer what ran.
        adopt: The revision that a database without a version table is taken to have.
        apply: "compiled" sends rendered SQL where there is any; "online" sends all through env.py.
        approved_plan: Digest that the plan must have; empty takes any.
    """

    target: str = "head"
    downgrade: Literal["refuse", "allow"] = "refuse"
    drift: Literal["report", "refuse", "accept"] = "report"
    accepted_drift: tuple[str, ...] = ()
    drift_ignore: tuple[str, ...] = ()
    edited: Literal["refuse", "accept"] = "refuse"
    adopt: str = ""
    apply: Literal["compiled", "online"] = "compiled"
    approved_plan: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One revision to run, in one direction.

    Attributes:
        revision: Its id.
        direction: Whether it is applied or taken back.
        message: Its message.
        script: What runs.
        before: The version table's rows before it, sorted.
        after: Those after it, sorted.
        file: Name of its file; empty where the checkout lacks it.
        sha256: Of its file.
        needs: Its parents and dependencies, which the ledger keeps.
        undo: What the ledger keeps to take it back.
        lock_timeout: Its own; empty takes the run's.
        statement_timeout: The same.
        again: Whether an interrupted run may have left a part of it.
        loses: What goes with its data, in words; known where the database could be asked.
        ignores: Why a finding of lint may pass, by its rule; nothing that runs depends on it.
        sources: sha256 in hex of all project files that it can load, where it runs through env.py.
    """

    revision: str
    direction: Direction
    message: str
    script: Script
    before: tuple[str, ...]
    after: tuple[str, ...]
    file: str = ""
    sha256: str = ""
    needs: tuple[str, ...] = ()
    undo: Script = field(default_factory=Script)
    lock_timeout: str = ""
    statement_timeout: str = ""
    again: bool = False
    loses: tuple[str, ...] = ()
    ignores: Mapping[str, str] = field(default_factory=dict)
    sources: str = ""

    @property
    def digest(self) -> str:
        """Sha256 in hex of what will run; of all files where that is known only when it runs."""
        files = [self.sha256, self.sources] if self.script.live else []
        return _digest([self.direction, self.revision, files, self.script.parts])

    @property
    def former_digest(self) -> str:
        """The digest by the rule before `Plan.former_digest`."""
        parts = [
            {"statements": part.statements, "autocommit": part.autocommit}
            for part in self.script.own.parts
        ]
        live = self.script.live and self.sha256
        return _digest([self.direction, self.revision, live, parts])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to get from what a database has to what the files say.

    Attributes:
        steps: In order; empty where there is nothing to run.
        before: The version table's rows now, sorted.
        after: Those at the end, sorted.
        stamp: Ids to write into the ledger and the version table without running them.
        drift: Objects that were changed by hand.
        notes: What a reader should know, a line each.
        session: SQL of env.py that prepares the session of each revision.
        invalid: Indexes that are INVALID, by name: a build was interrupted, or is at work.
    """

    steps: tuple[Step, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    stamp: tuple[str, ...] = ()
    session: tuple[str, ...] = ()
    drift: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Sha256 in hex of what will run and where it begins; not of what is only said."""
        steps = [step.digest for step in self.steps]
        return _digest([_RULE, self.before, self.after, self.stamp, self.session, steps])

    @property
    def former_digest(self) -> str:
        """The digest by the first rule, which left out env.py's SQL and the files of helpers."""
        steps = [step.former_digest for step in self.steps]
        return _digest([self.before, self.after, self.stamp, steps])


def _digest(what: list[Any]) -> str:
    return hashlib.sha256(json.dumps(what, default=asdict).encode()).hexdigest()
