"""What a stack says of itself in Pulumi's console: Markdown, without any secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.settings.key import spelled

if TYPE_CHECKING:
    from infra.settings import Settings

__all__ = ["Server", "write"]

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_PURPOSES = {
    "migrator": "runs migrations, as the owner",
    "app": "reads and writes rows",
    "reader": "reads rows",
    "auditor": "reads the rows of all clients",
}


@dataclass(frozen=True, kw_only=True)
class Server:
    """What is said of a server.

    Attributes:
        endpoint: "HOST:PORT", or several with commas.
        version: Its version; "" where it isn't known yet.
        data_dir: Folder of the machine with the data; "" where they are elsewhere.
    """

    endpoint: str
    version: str
    data_dir: str = ""


def write(settings: Settings, *, stack: str, server: Server, revision: str, psql: str) -> str:
    """Write the page.

    Args:
        settings: Of the stack; nothing secret is taken from them.
        stack: Its name.
        server: Its server.
        revision: What the schema is at; "" for nothing.
        psql: The command that opens psql, without a password.
    """
    parts = (
        _what(settings, server, revision=revision),
        _connecting(settings, stack=stack, psql=psql),
        _rotation(settings, stack=stack),
        _end(settings, stack=stack),
    )
    return "\n\n".join(parts) + "\n"


def _what(settings: Settings, server: Server, *, revision: str) -> str:
    reason = f"\n\nClients don't check the server's certificate: {_plain(settings.sslmode_reason)}"
    return (
        f"# {_code(settings.database)}\n\n"
        f"PostgreSQL {server.version} at {_code(server.endpoint)}, target"
        f" {_code(settings.target)}, environment {_code(settings.environment)}."
        f" The schema is at {_code(revision or 'base')}."
        f"{f' The data is in {_code(server.data_dir)}.' if server.data_dir else ''}"
        f"{reason if settings.sslmode_reason else ''}"
    )


def _connecting(settings: Settings, *, stack: str, psql: str) -> str:
    rows = [
        f"| {_code(name)} | {_PURPOSES[kind]} | `{kind}_url` |"
        for kind in _PURPOSES
        if (name := getattr(settings.access.roles, kind))
    ]
    table = "\n".join(("| role | what it does | its URL |", "|---|---|---|", *rows))
    return (
        f"## Connecting\n\n{table}\n\n"
        f"    pulumi stack output url --show-secrets --stack {stack}\n"
        f"    pulumi stack output sqlalchemy_url --show-secrets --stack {stack}\n"
        f"    {_UNPRINTABLE.sub('?', psql)}\n\n"
        "`url` is the application's, `sqlalchemy_url` the same for SQLAlchemy with asyncpg. Keep"
        " URLs out of command lines: everybody on the machine reads those."
    )


def _rotation(settings: Settings, *, stack: str) -> str:
    key = spelled("passwordVersion")
    lines = [f"    pulumi config set {key} {settings.access.password_version + 1} --stack {stack}"]
    if settings.target != "existing":
        admin = spelled("adminPasswordVersion")
        following = settings.admin_password_version + 1
        lines.append(f"    pulumi config set {admin} {following} --stack {stack}")
    lines += [
        f"    pulumi config set --secret {spelled(f'{kind}Password')} --stack {stack}"
        for kind in _PURPOSES
        if kind in settings.access.passwords
    ]
    lines.append(f"    pulumi up --stack {stack}")
    return (
        "## New passwords\n\n" + "\n".join(lines) + "\n\n"
        "Each line but the last changes one kind. Sessions that are open go on; the former"
        " password opens no new one."
    )


def _end(settings: Settings, *, stack: str) -> str:
    kept = "leaves the data where it is" if settings.retain else "deletes the data"
    if settings.target == "existing" and settings.existing_objects == "adopt":
        kept = "leaves database and roles on the server, those that the stack made too"
    if settings.protect:
        return (
            f"## Taking it down\n\nIt is protected. `pulumi config set {spelled('environment')} dev"
            f" --stack {stack}` and `pulumi up` take that off; `pulumi destroy` then deletes it."
            if settings.environment == "prod"
            else f"## Taking it down\n\nIt is protected by {_code(spelled('protect'))}; `pulumi"
            f" destroy` without that {kept}."
        )
    return f"## Taking it down\n\n`pulumi destroy --stack {stack}` {kept}."


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_<>|#\[\]])", r"\\\1", _UNPRINTABLE.sub(" ", text))


def _code(text: str) -> str:
    """Quote any text as code that also stands in a table."""
    shown = _UNPRINTABLE.sub("?", text).replace("|", r"\|")
    runs = [len(run) for run in re.findall(r"`+", shown)]
    fence = "`" * (max(runs, default=0) + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{space}{shown}{space}{fence}"
