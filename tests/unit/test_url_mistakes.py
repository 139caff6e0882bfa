"""Whatever somebody takes for a URL or an option ends in a message."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.schema import dsn, options
from infra.schema.errors import LiveError
from infra.schema.options import DEFAULTS

_PIECES = st.sampled_from(
    ["postgresql://", "u", ":", "@", "/", "?", "#", "[", "]", ",", "%", "port=", "&", "host="]
)
_URLS = st.lists(_PIECES | st.text(max_size=6), max_size=12).map("".join)


@given(url=_URLS | st.builds("postgresql://u:secret@h{}".format, _URLS))
def test_any_url_is_read_or_refused_in_words(url: str) -> None:
    """No other exception, and a password is in no message."""
    with suppress(LiveError):
        dsn.arguments(url)
    dsn.place(url)
    assert "secret" not in dsn.redacted("is secret", "postgresql://u:secret@h/d")


@given(url=_URLS)
def test_any_url_is_redacted(url: str) -> None:
    """However broken it is, its text is not shown whole."""
    if url.strip():
        assert dsn.redacted(url, url) != url or "://" not in url


@pytest.mark.parametrize("port", ["99999", "0", "-1", "abc", "1e3", "٣"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    """In the address and as an option, for each of several hosts."""
    for url in (f"u:p@h:{port}/d", f"u:p@a:1,b:{port}/d", f"u:p@/d?host=h&port={port}"):
        with pytest.raises(LiveError, match="a port is a number from 1 to 65535"):
            dsn.arguments(f"postgresql://{url}")


@given(values=st.dictionaries(st.sampled_from(sorted(DEFAULTS)), st.text(max_size=20)))
def test_any_options_are_taken_or_have_their_mistakes_listed(values: dict[str, str]) -> None:
    """A value without a mistake can be parsed."""
    if not options.mistakes(values):
        options.parse(values)
