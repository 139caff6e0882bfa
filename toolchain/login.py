"""A URL of a database as libpq's variables, which no process list shows."""

from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["variables"]

_PORT = "5432"
_OPTIONS = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


def variables(url: str) -> dict[str, str]:
    """Give the variables that lead psql to where the URL leads.

    Args:
        url: libpq's, as a stack gives it: with a user and a database, of one host or of several.
    """
    parts = urlsplit(url)
    login, _, places = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    pairs = [_host_and_port(place) for place in places.split(",")]
    found = {
        "PGHOST": ",".join(host for host, _ in pairs),
        "PGPORT": ",".join(port for _, port in pairs),
        "PGUSER": unquote(user),
        "PGPASSWORD": unquote(password),
        "PGDATABASE": unquote(parts.path.removeprefix("/")),
    }
    options = dict(parse_qsl(parts.query))
    return found | {_OPTIONS[name]: options[name] for name in _OPTIONS if name in options}


def _host_and_port(place: str) -> tuple[str, str]:
    host, colon, port = place.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = place, ""
    return unquote(host.removeprefix("[").removesuffix("]")), port or _PORT
