"""One comment in a pull request, the same one at each run, on each forge."""

from __future__ import annotations

import time

import pytest

from tests.ci.conftest import ANN, BOT, MARKER, TOKEN, Commenting
from tests.ci.forge_server import Account, Answer, ForgeServer

_OLD, _NEW = f"{MARKER}\nold\n", f"{MARKER}\nnew, with ümlauts and `code`\n"


def test_it_is_made_once_and_edited_from_then_on(
    commenting: Commenting, forge: ForgeServer
) -> None:
    """Two runs, one comment, which has the second one's text; the third one has nothing to do."""
    assert "made " in commenting.script(_OLD)
    assert "edited " in commenting.run(_NEW)
    assert "says it already" in commenting.run(_NEW)

    assert forge.texts() == [_NEW]
    assert (forge.count("POST"), forge.count("PATCH") + forge.count("PUT")) == (1, 1)


def test_it_is_found_on_a_later_page(commenting: Commenting, forge: ForgeServer) -> None:
    """All pages are read; the token goes to no other server that a link may name."""
    forge.page_size = 3
    for number in range(7):
        forge.write(ANN, f"remark {number}")
    forge.write(forge.accounts[TOKEN], _OLD)

    commenting.run(_NEW)

    assert forge.texts()[7:] == [_NEW]
    assert sum("page=" in path and method == "GET" for method, path in forge.asked) == 3


def test_nobody_elses_is_touched(commenting: Commenting, forge: ForgeServer) -> None:
    """Somebody's quotation of a report stays theirs; so do our comments of other stacks."""
    forge.accounts["other"] = Account(login="github-actions", id=9)
    others = [
        (ANN, _OLD),
        (forge.accounts["other"], _OLD),
        (forge.accounts[TOKEN], "<!-- groundwork: groundwork/development -->\nold\n"),
        (forge.accounts[TOKEN], f"see this:\n{_OLD}"),
    ]
    for account, text in others:
        forge.write(account, text)

    assert "made " in commenting.run(_NEW)

    assert forge.texts() == [*(text for _, text in others), _NEW]


def test_of_several_the_oldest_is_edited(commenting: Commenting, forge: ForgeServer) -> None:
    """None is deleted: what a person may have answered to stays."""
    for _ in range(2):
        forge.write(forge.accounts[TOKEN], _OLD)

    commenting.run(_NEW)

    assert forge.texts() == [_NEW, _OLD]


def test_a_stranger_by_a_persons_token_is_told_apart_by_login(
    on_github: Commenting, forge: ForgeServer
) -> None:
    """A personal token edits what its person wrote, and not what the workflow's bot did."""
    forge.accounts[TOKEN] = ANN
    forge.write(BOT, _OLD)
    forge.write(ANN, _OLD)

    on_github.run(_NEW)

    assert forge.texts() == [_OLD, _NEW]


@pytest.mark.parametrize("status", [403, 502])
def test_a_workflows_bot_is_known_although_nobody_says_who_it_is(
    on_github: Commenting, forge: ForgeServer, status: int
) -> None:
    """Where GraphQL is closed, GitHub's own bot is meant; where it is broken, it is asked again."""
    forge.write(BOT, _OLD)
    forge.next = [Answer(status=status, method="POST")]

    assert "edited " in on_github.run(_NEW)

    assert forge.texts() == [_NEW]


@pytest.mark.parametrize("status", [500, 502, 429])
def test_what_is_broken_for_a_moment_is_asked_again(
    commenting: Commenting, forge: ForgeServer, status: int
) -> None:
    """Two answers of a tired server are no reason to fail."""
    forge.next = [Answer(status=status), Answer(status=status, headers={"Retry-After": "0"})]

    commenting.run(_NEW)

    assert forge.texts() == [_NEW]
    assert commenting.waits == [0.5, 0.0]


def test_the_server_says_how_long_to_wait(on_github: Commenting, forge: ForgeServer) -> None:
    """Retry-After is respected, also on the refusal that GitHub's limits come as."""
    forge.write(BOT, _OLD)
    forge.next = [Answer(status=403, headers={"Retry-After": "2"}, method="PATCH")]

    on_github.run(_NEW)

    assert on_github.waits == [2.0]
    assert forge.texts() == [_NEW]


def test_the_script_waits_as_long_as_it_is_told(on_github: Commenting, forge: ForgeServer) -> None:
    """In a process of its own, where nothing stands for the clock."""
    forge.next = [Answer(status=429, headers={"Retry-After": "1"}, method="GET")]
    begin = time.monotonic()

    on_github.script(_NEW)

    assert time.monotonic() - begin >= 1
    assert forge.texts() == [_NEW]


def test_a_long_wait_is_an_error(on_github: Commenting, forge: ForgeServer) -> None:
    """Nobody pays a CI for an hour of waiting; the message says when to come back."""
    reset = str(int(time.time()) + 3000)
    limits = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    forge.next = [Answer(status=403, headers=limits, method="POST")] * 2

    text = on_github.run(_NEW, status=1)

    assert "it asks to come back in" in text
    assert text.count("\n") == 1


def test_a_comment_that_was_made_without_an_answer_is_not_made_twice(
    commenting: Commenting, forge: ForgeServer
) -> None:
    """The server made it and broke before it said so: the next try finds it."""
    if commenting.kind == "github":
        forge.accounts[TOKEN] = ANN  # the only POST is the comment
    forge.next = [Answer(status=502, method="POST", after=True)]

    assert "says it already" in commenting.run(_NEW)

    assert forge.texts() == [_NEW]


def test_a_comment_that_was_deleted_meanwhile_is_made_again(
    commenting: Commenting, forge: ForgeServer
) -> None:
    """Somebody deletes it between the look and the edit."""
    forge.write(forge.accounts[TOKEN], _OLD)
    method = "PUT" if commenting.kind == "gitlab" else "PATCH"
    forge.next = [Answer(status=404, method=method)]

    commenting.run(_NEW)

    assert forge.texts() == [_NEW]


def test_a_server_that_stays_broken_is_an_error(on_github: Commenting, forge: ForgeServer) -> None:
    """In one line, with the status."""
    forge.next = [Answer(status=503)] * 50

    text = on_github.run(_NEW, status=1)

    assert text.startswith("error: 127.0.0.1 answered 503")
    assert text.count("\n") == 1
    assert on_github.waits == [0.5, 1.0, 2.0]


def test_a_server_that_is_not_there_is_an_error(commenting: Commenting) -> None:
    """In one line, with the reason."""
    for name in ("GITHUB_API_URL", "CI_API_V4_URL"):
        commenting.environment[name] = "http://127.0.0.1:9"

    text = commenting.run(_NEW, status=1)

    assert "error: 127.0.0.1 can't be reached: " in text
    assert text.count("\n") == 1


def test_the_token_follows_no_redirect(on_github: Commenting, forge: ForgeServer) -> None:
    """A moved repository is an error: another server must not get the token."""
    moved = {"Location": f"{forge.url}/elsewhere"}
    forge.next = [Answer(status=307, headers=moved, method="GET")] * 9

    assert "answered 307" in on_github.run(_NEW, status=1)

    assert not any("elsewhere" in path for _, path in forge.asked)


def test_a_token_that_is_not_valid_is_named(commenting: Commenting, forge: ForgeServer) -> None:
    """401 names the variable, not its value."""
    forge.accounts.clear()
    variable = "GITLAB_TOKEN" if commenting.kind == "gitlab" else "GITHUB_TOKEN"

    text = commenting.run(_NEW, status=1)

    assert f"answered 401 (Bad credentials): {variable} is not valid" in text
    assert text.count("\n") == 1


def test_a_missing_permission_is_named(commenting: Commenting, forge: ForgeServer) -> None:
    """403 says what the token needs; a pull request of the same repository fails then."""
    account = forge.accounts[TOKEN]
    forge.accounts[TOKEN] = Account(
        login=account.login, id=account.id, bot=account.bot, writes=False
    )
    needed = {
        "github": "pull-requests: write",
        "gitea": "read and write issues",
        "gitlab": "the scope api and at least the role Reporter",
    }[commenting.kind]

    text = commenting.run(_NEW, status=1)

    assert "answered 403" in text
    assert needed in text
    assert text.count("\n") == 1
    if commenting.kind != "gitlab":
        assert _NEW in commenting.summary.read_text()


def test_a_pull_request_that_is_not_there_is_named(commenting: Commenting) -> None:
    """404 says which one, and that the token may not see it."""
    text = commenting.run(_NEW, "--number", "8", status=1)

    assert "request 8 in " in text
    assert "may not see it" in text


@pytest.mark.parametrize("token", [TOKEN, ""])
def test_a_fork_gets_its_report_on_the_jobs_page(
    commenting: Commenting, forge: ForgeServer, token: str
) -> None:
    """A token that may not write, or none, is no failure of a fork's pull request."""
    account = forge.accounts[TOKEN]
    forge.accounts[TOKEN] = Account(
        login=account.login, id=account.id, bot=account.bot, writes=False
    )
    commenting.environment |= {"GITHUB_TOKEN": token, "GITLAB_TOKEN": token}
    commenting.foreign()
    commenting.summary.write_text("before\n")

    text = commenting.run(_NEW)

    assert "no comment, since this pull request's token may not write one" in text
    assert forge.texts() == []
    if commenting.kind != "gitlab":
        assert "the report is in the job's summary" in text
        assert commenting.summary.read_text() == f"before\n{_NEW}\n"


@pytest.mark.parametrize("head", ["", "mallory/db"])
def test_a_fork_that_is_gone_is_one(on_github: Commenting, forge: ForgeServer, head: str) -> None:
    """GitHub says null then; Dependabot's own pull requests get a token that reads too."""
    forge.accounts[TOKEN] = Account(login=BOT.login, id=1, bot=True, writes=False)
    on_github.event(head)
    assert "no comment" in on_github.run(_NEW)

    on_github.event("acme/db")
    on_github.environment["GITHUB_ACTOR"] = "dependabot[bot]"
    assert "no comment" in on_github.run(_NEW)


def test_a_missing_token_is_named(commenting: Commenting) -> None:
    """A pull request of the repository itself needs one."""
    commenting.environment |= {"GITHUB_TOKEN": "", "GITLAB_TOKEN": ""}

    assert "TOKEN is not set" in commenting.run(_NEW, status=1)


def test_a_token_of_several_lines_is_not_shown(commenting: Commenting) -> None:
    """What a careless copy adds in the middle is refused without a word of it."""
    broken = f"{TOKEN}\n{TOKEN}"
    commenting.environment |= {"GITHUB_TOKEN": broken, "GITLAB_TOKEN": broken}

    assert "holds characters that no token has" in commenting.run(_NEW, status=1)


@pytest.mark.parametrize("text", ["", "# a report\n", f"text\n{MARKER}\n"])
def test_a_text_without_its_marker_is_no_report(commenting: Commenting, text: str) -> None:
    """Without the marker a comment would never be found again."""
    assert "doesn't begin with <!-- groundwork: " in commenting.run(text, status=1)


def test_a_run_without_a_pull_request_says_so(commenting: Commenting) -> None:
    """A push is none, nor is a machine without a CI."""
    (commenting.folder / "event.json").write_text("{}")
    commenting.environment |= {"GITHUB_REF": "refs/heads/main", "CI_MERGE_REQUEST_IID": ""}
    assert "not for a pull request; give --number" in commenting.run(_NEW, status=1)

    for name in ("GITHUB_ACTIONS", "GITEA_ACTIONS", "GITLAB_CI"):
        commenting.environment.pop(name, None)
    assert "give --forge" in commenting.run(_NEW, status=1)
    assert "made " in commenting.run(_NEW, "--forge", commenting.kind, "--number", "7")


def test_a_report_that_is_too_long_is_cut_at_a_line(
    on_github: Commenting, forge: ForgeServer
) -> None:
    """Behind its last whole line, with fences and folds closed, and it says so."""
    lines = "".join(f"SELECT {number};\n" for number in range(8000))

    on_github.run(f"{MARKER}\n<details>\n\n```sql\n{lines}```\n\n</details>\n")

    (text,) = forge.texts()
    assert 60_000 < len(text) <= 65_536
    assert text.count("```") == 2
    assert text.count("<details>") == text.count("</details>") == 1
    assert text.rstrip().endswith("the job has all of it.*")


def test_no_report_is_an_error_in_words(on_github: Commenting) -> None:
    """A file that isn't there, or is no text, is named."""
    assert "No such file or directory: 'report.md'" in on_github.script(None, status=1)

    on_github.report.write_bytes(b"\xff\xfe")
    assert "report.md is no text" in on_github.run(None, status=1)
