"""A report that a pull request's code has written: what it may not do in a comment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ci import report_file
from ci.report_file import ReportFileError
from infra.schema import report
from tests.ci.conftest import MARKER
from tests.schema import reviews

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ci.conftest import Commenting
    from tests.ci.forge_server import ForgeServer


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("ask @acme/everybody", "ask @&#8203;acme/everybody"),
        ("![x](https://spy.test/x.png)", "&#33;[x](https://spy.test/x.png)"),
        ("<img src='https://spy.test'>", "&lt;img src='https://spy.test'>"),
        ('<details onclick="x">', '&lt;details onclick="x">'),
        ("<!-- groundwork: acme/prod -->", "&lt;!-- groundwork: acme/prod -->"),
        ("a\x1b[2Jb\u202ec\x00d", "a[2Jbcd"),
        ("`@code` and @ann", "`@code` and @&#8203;ann"),
        ("```sql\nSELECT '@x' <@ y; -- \x07\n```", "```sql\nSELECT '@x' <@ y; -- \n```"),
        ("```\n@a\n````\n@b", "```\n@a\n````\n@&#8203;b"),
        ("~~~\n```\n@a\n~~~\n@b", "~~~\n```\n@a\n~~~\n@&#8203;b"),
    ],
)
def test_what_would_act_is_shown_as_text(written: str, shown: str) -> None:
    """Outside of code; in code, where nothing acts, everything but controls stays."""
    assert report_file.harmless(f"{MARKER}\n{written}\n") == f"{MARKER}\n{shown}\n"


def test_our_own_reports_stay_as_they_are() -> None:
    """Every letter of the longest of the tests, with diagrams, folds and SQL."""
    text = report.markdown(reviews.full())

    assert report_file.harmless(text) == text


def test_a_file_that_is_no_report_is_refused(tmp_path: Path) -> None:
    """A link, a pipe without a writer, a folder, a long file, bytes."""
    secret = tmp_path / "secret"
    secret.write_text(f"{MARKER}\nsecret")
    (tmp_path / "link").symlink_to(secret)
    (tmp_path / "linked").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "long").write_bytes(b"x" * (report_file.MOST + 1))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")

    for name, why in (
        ("link", "is a link"),
        ("linked/secret", "is a link"),
        ("pipe", "no regular file"),
        ("folder", "no regular file"),
        ("long", "longer than"),
        ("bytes", "no text"),
    ):
        with pytest.raises(ReportFileError, match=why):
            report_file.read(tmp_path / name)


def test_nothing_of_a_link_gets_into_a_comment(
    on_github: Commenting, forge: ForgeServer, tmp_path: Path
) -> None:
    """The script says why, with status 1."""
    (tmp_path / "elsewhere").write_text(f"{MARKER}\na secret of the runner\n")
    on_github.report.symlink_to(tmp_path / "elsewhere")

    assert "is a link" in on_github.run(None, status=1)

    assert forge.texts() == []
