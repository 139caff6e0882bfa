"""The admin's URL of an existing server: read once, every doubt about it in words."""

from __future__ import annotations

import os
import shlex
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from infra.errors import GroundworkError
from infra.project import spelled
from infra.schema import dsn

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AdminUrl", "AdminUrlError", "parse", "written"]

_KEY = spelled("adminUrl")
_KEPT = "Nothing was changed."
_PORT = 5432
_PORTS = range(1, 65536)
_MODES = ("disable", "require", "verify-ca", "verify-full")
_IN_CLEAR = ("allow", "prefer")
_SSL = {"true": "require", "false": "disable"}
_ATTRS = ("any", "primary", "read-write")
_SECONDS = 5.0
# What decides where a connection goes, and as whom.
_READ = frozenset(
    {"host", "port", "user", "password", "dbname", "connect_timeout", "target_session_attrs"}
    | {"ssl", "sslmode", "sslrootcert", "sslcert", "sslkey"}
)
# They tune a client that is libpq, and decide nothing.
_WITHOUT_EFFECT = frozenset(
    {"application_name", "fallback_application_name", "client_encoding", "gssencmode"}
    | {"keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval"}
    | {"load_balance_hosts", "sslcompression", "sslsni", "tcp_user_timeout"}
)


class AdminUrlError(GroundworkError):
    """The admin's URL can't be used as it is.

    Attributes:
        mistake: Why, in sentences that hold no secret.
    """

    def __init__(self, mistake: str) -> None:
        """Word the message."""
        self.mistake = mistake
        super().__init__(
            f"{_KEY}: {mistake} {_KEPT} Set it with: pulumi config set --secret {_KEY}"
        )


@dataclass(frozen=True, kw_only=True)
class AdminUrl:
    """How an existing server is administered.

    Attributes:
        hosts: Names or addresses with their ports, in the order of the URL.
        user: The admin.
        password: The admin's; "" for none.
        database: Where the admin logs in.
        sslmode: "disable", "require", "verify-ca" or "verify-full".
        sslrootcert: File with the authority's certificate, as it is written in the URL; "" for
            none. A relative one is meant from the project's folder.
        sslcert: File with the client's certificate, in the same way.
        sslkey: File with its key, in the same way.
        session_attrs: libpq's target_session_attrs for other URLs of several hosts; else "".
        seconds: How long one connection may take to come about.
    """

    hosts: tuple[tuple[str, int], ...]
    user: str
    password: str = field(repr=False)
    database: str
    sslmode: str
    sslrootcert: str
    sslcert: str
    sslkey: str
    session_attrs: str
    seconds: float

    @property
    def addresses(self) -> str:
        """The hosts as they stand in a URL."""
        return ",".join(written(host, port) for host, port in self.hosts)

    def of(self, host: tuple[str, int], database: str = "") -> str:
        """Name one of the hosts in messages, as a URL without any secret."""
        return f"postgresql://{written(*host)}/{database or self.database}"

    def encryption(self, root: Path) -> ssl.SSLContext | bool:
        """Make what TLS needs; False where there is to be none.

        Args:
            root: The project's folder.

        Raises:
            AdminUrlError: A file is missing, or isn't what it should be.
        """
        if self.sslmode == "disable":
            return False
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.sslmode == "verify-full"
        if self.sslrootcert:
            _load_authority(context, self.sslrootcert, root)
        else:
            context.verify_mode = ssl.CERT_NONE
        if self.sslcert:
            _load_certificate(context, self.sslcert, self.sslkey, root)
        return context


def parse(text: str, *, sslmode: str = "") -> AdminUrl:
    """Read a libpq URL.

    Args:
        text: The URL.
        sslmode: Of the stack's configuration; "" where it says nothing.

    Raises:
        AdminUrlError: It can't be read, or asks for what can't be had.
    """
    try:
        parts = urlsplit(dsn.portable(text))
    except GroundworkError as exc:
        raise AdminUrlError(str(exc).replace(f" {_KEPT}", "")) from exc
    options = _options(parts.query)
    login, _, place = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    hosts = _hosts(place, options)
    chosen = unquote(user) or options.get("user", "")
    if not chosen:
        raise AdminUrlError("It names no user.")
    return AdminUrl(
        hosts=hosts,
        user=chosen,
        password=unquote(password) or options.get("password", ""),
        database=unquote(parts.path.removeprefix("/")) or options.get("dbname", "") or "postgres",
        session_attrs=_session_attrs(options, several=len(hosts) > 1),
        seconds=_seconds(options),
        **_tls(options, sslmode),
    )


def _options(query: str) -> dict[str, str]:
    """Read the options as libpq does: a + is a +."""
    found: dict[str, str] = {}
    for piece in filter(None, query.split("&")):
        name, _, value = piece.partition("=")
        name, value = unquote(name), unquote(value)
        if name == "channel_binding" and value == "require":
            raise AdminUrlError(
                "It asks for channel_binding=require, which the driver asyncpg doesn't offer. Take"
                " it out, and set sslmode=verify-full."
            )
        if name not in _READ | _WITHOUT_EFFECT | {"channel_binding"}:
            raise AdminUrlError(
                f"Its option {name!r} is none that can be kept for every tool that takes the URL."
                f" Leave it out; these are known: {', '.join(sorted(_READ))}."
            )
        if value:
            found[name] = value
    return found


def _hosts(place: str, options: dict[str, str]) -> tuple[tuple[str, int], ...]:
    if options.get("host"):  # libpq lets it win
        names = options["host"].split(",")
        ports = options.get("port", "").split(",")
        ports = ports * len(names) if len(ports) == 1 else ports
        if len(ports) != len(names):
            raise AdminUrlError(f"It has {len(names)} hosts and {len(ports)} ports.")
    else:
        host, port = _parted(place)
        names, ports = [host], [port or options.get("port", "")]
    if any(name.startswith(("/", "@")) for name in names):
        raise AdminUrlError("It leads to a socket of this machine; give a host that TCP reaches.")
    if not all(names):
        raise AdminUrlError("It names no host.")
    return tuple((unquote(name), _port(port)) for name, port in zip(names, ports, strict=True))


def _parted(place: str) -> tuple[str, str]:
    host, colon, port = place.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = place, ""
    return host.removeprefix("[").removesuffix("]"), port


def _port(text: str) -> int:
    if not text:
        return _PORT
    if not (text.isascii() and text.isdecimal()) or int(text) not in _PORTS:
        # What stands there may be a piece of a password, so that it isn't quoted.
        raise AdminUrlError(f"A port in it is no number from {_PORTS[0]} to {_PORTS[-1]}.")
    return int(text)


def _session_attrs(options: dict[str, str], *, several: bool) -> str:
    given = options.get("target_session_attrs", "any")
    if given not in _ATTRS:
        raise AdminUrlError(
            f"Its target_session_attrs is {given!r}, and a server that takes no writes is of no use"
            f" here. Write one of {', '.join(_ATTRS)}."
        )
    if not several:
        return ""
    return "read-write" if given == "any" else given


def _seconds(options: dict[str, str]) -> float:
    given = options.get("connect_timeout", "")
    return float(given) if given.isascii() and given.isdecimal() and int(given) else _SECONDS


def _tls(options: dict[str, str], configured: str) -> dict[str, str]:
    ssl_option = options.get("ssl", "").lower()
    given = options.get("sslmode", "") or _SSL.get(ssl_option, ssl_option)
    if given and configured and given != configured:
        raise AdminUrlError(
            f"Its sslmode is {given!r}, and {spelled('sslmode')} is {configured!r}. Say it once."
        )
    authority = options.get("sslrootcert", "")
    mode = given or configured or ("verify-full" if authority else "require")
    if mode in _IN_CLEAR:
        raise AdminUrlError(
            f"Its sslmode {mode!r} lets anybody in between have the password in clear. Write"
            " sslmode=verify-full with sslrootcert=FILE, or at least sslmode=require; on a network"
            " that can be trusted, sslmode=disable."
        )
    if mode not in _MODES:
        raise AdminUrlError(f"Its sslmode {mode!r} is none of {', '.join(_MODES)}.")
    if authority == "system" or (mode.startswith("verify") and not authority):
        bundle = ssl.get_default_verify_paths().cafile
        trusted = f" Those that this machine trusts are in {bundle}." if bundle else ""
        raise AdminUrlError(
            f"Its sslmode {mode} needs sslrootcert=FILE with the authority's certificate.{trusted}"
        )
    if bool(options.get("sslcert")) != bool(options.get("sslkey")):
        raise AdminUrlError("sslcert and sslkey belong together; it has one of them.")
    used = {} if mode == "disable" else options
    return {
        "sslmode": mode,
        "sslrootcert": used.get("sslrootcert", ""),
        "sslcert": used.get("sslcert", ""),
        "sslkey": used.get("sslkey", ""),
    }


def _load_authority(context: ssl.SSLContext, name: str, root: Path) -> None:
    try:
        context.load_verify_locations(cafile=root / name)
    except ssl.SSLError as exc:
        raise AdminUrlError(f"The file {name!r} of sslrootcert holds no certificate.") from exc
    except OSError as exc:
        raise _unread("sslrootcert", name, exc) from exc


def _load_certificate(context: ssl.SSLContext, name: str, key: str, root: Path) -> None:
    for option, file in (("sslcert", name), ("sslkey", key)):
        try:
            (root / file).open("rb").close()
        except OSError as exc:
            raise _unread(option, file, exc) from exc
    try:
        # Without this OpenSSL would ask whoever sits there for the key's password.
        context.load_cert_chain(root / name, root / key, password=lambda: "")
    except (ssl.SSLError, OSError) as exc:
        raise AdminUrlError(
            f"The files {name!r} of sslcert and {key!r} of sslkey are no certificate with its key"
            " in PEM, or the key has a password: take one without."
        ) from exc
    _refuse_readable_by_others(key, root)


def _refuse_readable_by_others(key: str, root: Path) -> None:
    """Refuse a key that the provider `postgresql` would refuse in the middle of an `up`.

    The rule is that of libpq and of Go's lib/pq.
    """
    if os.name != "posix":
        return
    found = (root / key).stat()
    most = 0o640 if found.st_uid == 0 else 0o600
    if found.st_mode & 0o777 & ~most:
        raise AdminUrlError(
            f"The file {key!r} of sslkey has the mode {found.st_mode & 0o777:04o}, with which"
            f" others can read the key: PostgreSQL's clients refuse it. Let it have {most:04o}:"
            f" chmod {most:04o} {shlex.quote(key)}"
        )


def _unread(option: str, name: str, exc: OSError) -> AdminUrlError:
    reason = os.strerror(exc.errno or 0)
    return AdminUrlError(
        f"The file {name!r} of {option} can't be read: {reason}. A relative name is meant from the"
        " project's folder."
    )


def written(host: str, port: int) -> str:
    """Write a host and its port as in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
