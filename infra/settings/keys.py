"""Every key of a stack's configuration, in the one table that code, schema and page follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from infra.schema import options
from infra.servers import TARGETS
from infra.settings.key import ENVIRONMENTS, LOGINS, Key

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEYS"]

_EMBEDDED, _CONTAINER, _EXISTING = "embedded", "container", "existing"
_OWN = (_EMBEDDED, _CONTAINER)
_WHO = {"app": "application"}

_PLACE = (
    Key(
        name="environment",
        default="dev",
        description="The kind of environment, which fills what is not set and says what is refused",
        section="environment",
        choices=ENVIRONMENTS,
    ),
    Key(
        name="protect",
        description="Whether server, database and schema node refuse to be destroyed; empty takes "
        "what the environment says",
        section="environment",
        choices=("true", "false"),
        presets={"dev": "false", "preview": "false", "prod": "true"},
    ),
    Key(
        name="retain",
        description="Whether destroy leaves data directory, volume, database and roles as they "
        "are; empty takes what the environment says",
        section="environment",
        choices=("true", "false"),
        presets={"dev": "false", "preview": "false", "prod": "true"},
    ),
    Key(
        name="target",
        default="embedded",
        description="Where the server runs",
        section="server",
        choices=TARGETS,
    ),
    Key(
        name="port",
        type="integer",
        default="0",
        description="TCP port on 127.0.0.1; 0 takes a free one at creation and keeps it",
        section="server",
        span=(1024, 65535),
        beside=0,
        targets=_OWN,
    ),
    Key(
        name="dataDir",
        description="Data directory; empty places it outside the checkout, one for each stack",
        section="server",
        shape="path",
        targets=(_EMBEDDED,),
    ),
    Key(
        name="postgresBin",
        description="Folder with the programs of PostgreSQL 17 with pgvector; empty uses the "
        "machine's, or fetches them",
        section="server",
        shape="path",
    ),
    Key(
        name="parameters",
        type="object",
        default="{}",
        description="More settings of postgresql.conf, by their names",
        section="server",
        targets=_OWN,
    ),
    Key(
        name="waitSeconds",
        type="integer",
        default="60",
        description="How long to wait for a server that does not answer yet, in seconds",
        section="server",
        span=(1, 3600),
        targets=(_CONTAINER, _EXISTING),
    ),
    Key(
        name="adminPasswordVersion",
        type="integer",
        default="1",
        description="Raise it for a new password of the superuser",
        section="passwords",
        span=(1, 1_000_000),
        targets=_OWN,
    ),
)
_IN_A_CONTAINER = (
    Key(
        name="image",
        default="pgvector/pgvector:pg17",
        description="The image, by tag or digest: PostgreSQL 17 with pgvector",
        section="container",
        targets=(_CONTAINER,),
    ),
    Key(
        name="volume",
        description="Name of the volume with the data; empty has one generated",
        section="container",
        targets=(_CONTAINER,),
    ),
    Key(
        name="memory",
        type="integer",
        default="0",
        description="Limit of memory in MiB; 0 for none",
        section="container",
        span=(64, 16_777_216),
        beside=0,
        targets=(_CONTAINER,),
    ),
    Key(
        name="cpus",
        description="Limit in cores, 1.5 for example; empty for none",
        section="container",
        targets=(_CONTAINER,),
    ),
    Key(
        name="shmSize",
        type="integer",
        default="0",
        description="Shared memory in MiB, which parallel index builds need; 0 derives it from the "
        "parameters",
        section="container",
        span=(64, 16_777_216),
        beside=0,
        targets=(_CONTAINER,),
    ),
    *(
        Key(
            name=name,
            description=f"PEM file of {what}, relative to the project; all three or none",
            section="tls",
            shape="path",
            targets=(_CONTAINER,),
        )
        for name, what in (
            ("tlsCertificate", "the server's certificate, its chain after it"),
            ("tlsKey", "the certificate's key, without a passphrase"),
            ("tlsCa", "the authority that clients check the certificate with"),
        )
    ),
    Key(
        name="sslmode",
        description="How clients use TLS; empty is the target's own: none without tlsCertificate, "
        "verify-full with it, what adminUrl says for an existing server",
        section="tls",
        choices=("", "disable", "require", "verify-ca", "verify-full"),
    ),
    Key(
        name="sslmodeReason",
        description="Why clients in prod may go without checking the server's certificate, with "
        "sslmode require",
        section="tls",
        targets=(_EXISTING,),
    ),
    Key(
        name="adminUrl",
        description="URL of the administrator, "
        "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=FILE",
        section="existing",
        secret=True,
        targets=(_EXISTING,),
    ),
    Key(
        name="existingObjects",
        default="refuse",
        description="When roles or the database are there already: refuse, or adopt, which takes "
        "them over and never drops them",
        section="existing",
        choices=("refuse", "adopt"),
        targets=(_EXISTING,),
    ),
    Key(
        name="movedTo",
        description="The other cluster and database that the stack has moved to on purpose, as the "
        "refusal names it: SYSTEM_IDENTIFIER/DATABASE; means that one alone, and may stay",
        section="existing",
        targets=(_EXISTING,),
    ),
)
_INSIDE = (
    Key(
        name="database",
        default="groundwork",
        description="Name of the database, 1 to 63 bytes, without % ? #",
        section="database",
    ),
    Key(
        name="schema",
        default="app",
        description="Name of the schema that migrations work in; public is one",
        section="database",
        shape="schema",
    ),
    Key(
        name="extensions",
        type="list",
        default='["vector"]',
        description="Extensions that the database has: names, or maps with name and schema; an "
        "empty list for none",
        section="database",
    ),
    Key(
        name="extensionSchema",
        default="ext",
        description="Schema of extensions that name none and are not installed yet",
        section="database",
        shape="schema",
    ),
    *(
        Key(
            name=f"{kind}Role",
            description=f"Name of the role {what}; empty is DATABASE_{kind}",
            section="database",
            shape="role",
        )
        for kind, what in (
            ("owner", "that owns everything and never logs in"),
            ("migrator", "that runs migrations"),
            ("readwrite", "whose members read and write rows"),
            ("readonly", "whose members read rows"),
            ("app", "of the application"),
            ("reader", "of reports"),
            ("auditor", "that sees the rows of every client"),
        )
    ),
    Key(
        name="auditor",
        type="boolean",
        default="false",
        description="Whether there is an auditor, who sees the rows of all clients and writes none",
        section="database",
    ),
    Key(
        name="passwordVersion",
        type="integer",
        default="1",
        description="Raise it for new passwords of all roles whose password is not chosen",
        section="passwords",
        span=(1, 1_000_000),
    ),
    *(
        Key(
            name=f"{kind}Password",
            description=f"A chosen password of the {_WHO.get(kind, kind)}, at least 12 characters "
            "of printable ASCII; empty has one generated",
            section="passwords",
            shape="password",
            secret=True,
        )
        for kind in LOGINS
    ),
)


def _limits(
    kind: str, *, statement: str, lock: str, idle: str, connections: int, least: int
) -> tuple[Key, ...]:
    """Give the keys of what one role that logs in may take, with their defaults."""
    who = _WHO.get(kind, kind)
    durations = (
        ("StatementTimeout", statement, f"How long a statement of the {who} may take"),
        ("LockTimeout", lock, f"How long a statement of the {who} waits for a lock"),
        ("IdleTimeout", idle, f"How long the {who} may do nothing inside a transaction"),
    )
    return (
        *(
            Key(
                name=f"{kind}{suffix}",
                default=default,
                description=f"{what}; empty sets none",
                section="limits",
                shape="duration",
            )
            for suffix, default, what in durations
        ),
        Key(
            name=f"{kind}Connections",
            type="integer",
            default=str(connections),
            description=f"How many sessions the {who} may have at once; -1 for any number",
            section="limits",
            span=(least, 262_143),
            beside=-1,
        ),
    )


# Together they leave a server with its 100 connections some for its administrator. A run of the
# schema node holds up to four sessions.
_LIMITS = (
    *_limits("migrator", statement="", lock="", idle="10min", connections=10, least=4),
    *_limits("app", statement="30s", lock="5s", idle="1min", connections=60, least=1),
    *_limits("reader", statement="5min", lock="5s", idle="5min", connections=20, least=1),
    *_limits("auditor", statement="5min", lock="5s", idle="5min", connections=5, least=1),
)
_SCHEMA_WORDS = {
    "revision": "Where the schema goes: head, heads, base, a revision, LABEL@head, or several with "
    "commas",
    "downgrade": "Whether the schema may go back, with the data that this loses; empty takes what "
    "the environment says",
    "drift": "When objects were changed by hand: report, refuse (stop), accept (compare with that "
    "from now on); empty takes what the environment says",
    "acceptedDrift": "Objects whose changes by hand are accepted, by name as drift shows them, "
    "with what is part of them; * stands for any characters",
    "driftIgnore": "Objects whose changes are no drift, by name or kind; * stands for any "
    "characters. Partitions that come and go at run time are none in any case",
    "edited": "When the file of an applied revision is not what ran",
    "adopt": "Revision that a database with tables and without a version table is taken to have, "
    "after a comparison",
    "apply": "How revisions run: compiled (rendered SQL where there is any), online (all through "
    "env.py)",
    "approved_plan": "Digest that a plan must have to run, all 64 characters; empty takes any",
    "on_destroy": "What becomes of the schema when its node goes and the database stays",
    "lock_timeout": "How long a revision waits for a lock before it is tried again; empty takes "
    "what role or URL say, or 5s",
    "statement_timeout": "How long a statement of a revision may take; empty takes what role or "
    "URL say, or 1h",
    "url_variable": "Environment variable that env.py reads the URL from, where revisions run "
    "through it",
    "iniSection": "Section of alembic.ini, as `alembic -n` names it",
    "xArguments": "What `alembic -x` would hand to env.py, each as NAME=VALUE; set with --secret, "
    "they are in no message, plan or state",
    "migrationsRoot": "Folder that Alembic is called in, relative to the project; empty finds the "
    "one from which the configuration's paths lead to env.py",
    "engineName": "Of an env.py with several databases, the section of alembic.ini of the one that "
    "this stack has; empty for one database",
    "driver": "Driver that env.py's URL is to name; empty takes the one that its variable or "
    "alembic.ini names, or none",
    "migrationsEnvironment": "Environment variables for env.py and revisions, by name; set with "
    "--secret, their values are in no message, plan or state",
    "migrationsPython": "Interpreter, or folder of a virtual environment, that renders and runs "
    "online, relative to the project; empty takes the project's own",
    "renderTimeout": "How long env.py and the revisions may take to be rendered; 0 for no limit",
    "lint": "What becomes of findings in pending revisions: off, report, refuse (an error stops "
    "up); empty takes what the environment says",
    "lint_levels": "Levels of rules that differ from their own, by rule: error, warning, note, off",
    "since": "Commit, tag or branch of the previous release, whose revisions are history to lint; "
    "empty takes the commit that the ledger knows",
    "rehearse": "Whether previews run what is pending on a throwaway server first; empty takes "
    "what the environment says",
    "rehearse_rows": "How many made-up rows a rehearsal puts into each table at the most; -1 for "
    "as many as the live one has, up to 1000, where statistics show rows",
    "rehearse_timeout": "How long a rehearsal may take",
    "dataChecks": "Whether reviews ask the live rows, read-only, what statements depend on; else "
    "statistics answer",
    "dataCheckTimeout": "How long one question about the live rows may take",
    "dataChecksTimeout": "How long all questions about the live rows may take",
    "longTransaction": "From which age on a transaction that is in a plan's way is told",
}
_SCHEMA_PRESETS = {
    "downgrade": {"dev": "refuse", "preview": "allow", "prod": "refuse"},
    "drift": {"dev": "report", "preview": "refuse", "prod": "refuse"},
    "lint": {"dev": "report", "preview": "report", "prod": "refuse"},
    "rehearse": {"dev": "false", "preview": "true", "prod": "false"},
}
# What whoever starts a preview knows and a stack's file can't: that it is a pull request's.
_SCHEMA_VARIABLES = {"since": "GROUNDWORK_SINCE", "rehearse": "GROUNDWORK_REHEARSE"}
_SCHEMA_TYPES: Mapping[str, Literal["array", "integer", "object"]] = {
    "acceptedDrift": "array",
    "driftIgnore": "array",
    "xArguments": "array",
    "lint_levels": "object",
    "migrationsEnvironment": "object",
    "rehearse_rows": "integer",
}
_SCHEMA = (
    Key(
        name="migrations",
        default="migrations",
        description="Folder with alembic.ini or pyproject.toml, relative to the project",
        section="schema",
        shape="path",
    ),
    *(
        Key(
            name=name,
            type=_SCHEMA_TYPES.get(name, "string"),
            span=(0, options.MOST_ROWS),
            beside=-1 if name == "rehearse_rows" else None,
            default="" if name in _SCHEMA_PRESETS else default,
            description=_SCHEMA_WORDS[name],
            section="schema",
            choices=options.CHOICES.get(name, ()),
            presets=_SCHEMA_PRESETS.get(name, {}),
            variable=_SCHEMA_VARIABLES.get(name, ""),
        )
        for name, default in options.DEFAULTS.items()
    ),
)

KEYS: Mapping[str, Key] = {
    key.name: key for key in (*_PLACE, *_IN_A_CONTAINER, *_INSIDE, *_LIMITS, *_SCHEMA)
}
