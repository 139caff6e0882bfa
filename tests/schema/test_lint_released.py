"""Lint with the previous release: what its models use, and what of the files is history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.schema import history
from infra.schema.errors import HistoryError, LintError
from infra.schema.model import Applied, Catalog, History, Live
from tests.schema.linted import Files, chain, found, git, look, rules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infra.schema.review import Finding

pytestmark = pytest.mark.long  # a git repository each, and the models of two releases

_USED = ("column-still-used", "table-still-used", "models-unknown")
_MODELS = """
sa.Table("people", target_metadata, sa.Column("id", sa.Integer), sa.Column("E Mail 💥", sa.Text))
sa.Table('Odd."Name', target_metadata, sa.Column("a", sa.Integer), schema="My App")
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another one compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Models of two tables, tagged v1."""
    made = Files.made(tmp_path / "a repository")
    made.models(_MODELS)
    made.add("aaa1", None, 'CREATE TABLE people (id int, "E Mail 💥" text)')
    made.commit("v1")
    return made


def _there(*heads: str, applied: Mapping[str, Applied] | None = None) -> Live:
    objects = {
        "table public.people": "",
        'table "My App"."Odd.""Name"': "",
        "table public.unmodelled": "",
        "index public.i": "",
    }
    return Live(
        heads=heads,
        versioned=True,
        applied=applied or {},
        catalog=Catalog(format=1, objects=objects),
        server=170004,
        schema="public",
        search_path="public",
        role="me",
    )


def _look(files: Files, sql: str, *, since: str = "v1") -> list[Finding]:
    return found(look(chain(sql), _there(), folder=files.folder, since=since), *_USED)


@pytest.mark.parametrize(
    ("sql", "rule", "name"),
    [
        ('ALTER TABLE people DROP COLUMN "E Mail 💥"', "column", 'public.people."E Mail 💥"'),
        ("ALTER TABLE IF EXISTS ONLY public.people DROP id CASCADE", "column", "public.people.id"),
        ("ALTER TABLE people RENAME id TO key", "column", "public.people.id"),
        ("DROP TABLE unmodelled, people", "table", "public.people"),
        ("ALTER TABLE people RENAME TO persons", "table", "public.people"),
        ("ALTER TABLE people SET SCHEMA attic", "table", "public.people"),
        ('DROP TABLE "My App"."Odd.""Name"', "table", '"My App"."Odd.""Name"'),
        ('ALTER TABLE "My App"."Odd.""Name" DROP a', "column", '"My App"."Odd.""Name".a'),
        ('DROP SCHEMA "My App" CASCADE', "table", '"My App"."Odd.""Name"'),
        ('ALTER SCHEMA "My App" RENAME TO app', "table", '"My App"."Odd.""Name"'),
        ('SET search_path TO "My App"; DROP TABLE "Odd.""Name"', "table", '"Odd.""Name"'),
    ],
)
def test_what_the_previous_release_has_must_not_go(
    files: Files, sql: str, rule: str, name: str
) -> None:
    """Dropped, renamed or moved, as a table or as a column."""
    [finding] = _look(files, sql)

    assert (finding.rule, finding.level) == (f"{rule}-still-used", "error")
    assert name in finding.message
    assert "(v1)" in finding.message


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE people DROP COLUMN nickname",
        "DROP TABLE unmodelled",
        'DROP TABLE "My App".people',
        "DROP INDEX i; DROP TYPE people_kind; ALTER TABLE people DROP CONSTRAINT id",
        "ALTER TABLE people RENAME TO persons; CREATE VIEW people AS SELECT * FROM persons",
        "ALTER TABLE people DROP id; ALTER TABLE people ADD id bigint",
        "CREATE TABLE fresh (id int); ALTER TABLE fresh DROP id; DROP TABLE fresh",
        "SELECT 'DROP TABLE people'",
        "DROP TABLE; people",
    ],
)
def test_what_it_does_not_have_may_go(files: Files, sql: str) -> None:
    """Other names, what comes back under its name, what is new, what is no SQL."""
    assert _look(files, sql) == []


def test_models_are_those_of_the_release_not_of_the_checkout(files: Files) -> None:
    """The column is gone from the models in the same change that drops it."""
    files.models('sa.Table("people", target_metadata, sa.Column("id", sa.Integer))')
    files.commit("v2")
    sql = 'ALTER TABLE people DROP "E Mail 💥"'

    assert [each.rule for each in _look(files, sql, since="v1")] == ["column-still-used"]
    assert _look(files, sql, since="v2") == []


def test_the_ledger_names_the_release_where_since_does_not(files: Files) -> None:
    """The commit of the newest revision that is there."""
    old = git(files.repository, "rev-parse", "v1")
    files.models("")
    new = files.commit()
    sql = "DROP TABLE people"

    def by(**commits: str) -> list[str]:
        applied = {
            f"x{at}": Applied(
                revision=f"x{at}", commit=commit, at=f"2024-01-0{at[1:]}T00:00:00+00:00"
            )
            for at, commit in commits.items()
        }
        findings = look(chain(sql), _there(applied=applied), folder=files.folder)
        return [each.rule for each in found(findings, *_USED)]

    assert by(_1=new, _2=old) == ["table-still-used"]
    assert by(_1=old, _2=new) == ["models-unknown"]
    assert by(_1=old, _2="") == ["table-still-used"]
    assert by(_1="f" * 40) == ["models-unknown"]
    assert by() == ["models-unknown"]


def test_models_are_loaded_only_where_something_goes(files: Files) -> None:
    """An env.py that fails costs a note then, and nothing else."""
    (files.folder / "models.py").write_text("import nowhere_to_be_found")
    files.commit("broken")

    [note] = _look(files, "DROP TABLE people", since="broken")

    assert (note.rule, note.level) == ("models-unknown", "note")
    assert "nowhere_to_be_found" in note.message
    assert "groundwork-release-" not in note.message  # where it was unpacked is no news
    assert _look(files, "ALTER TABLE people ADD a int", since="broken") == []


def test_several_metadatas_are_taken_together(files: Files) -> None:
    """As env.py gives them, in a list."""
    files.models(
        "more = sa.MetaData(schema='far')\n"
        "sa.Table('one', target_metadata, sa.Column('a', sa.Integer))\n"
        "sa.Table('Two', more, sa.Column('b', sa.Integer))\n"
        "target_metadata = [target_metadata, more]\n"
    )

    assert files.read().models == {"one": ("a",), 'far."Two"': ("b",)}


def test_no_metadata_is_no_models(tmp_path: Path) -> None:
    """An env.py may compare with nothing; the history is read all the same."""
    files = Files.made(tmp_path)
    files.models("target_metadata = None")
    files.add("aaa1", None, "SELECT 1")
    read = files.read()

    assert read.models == {}
    assert History.of(read.dump()) == read
    assert read.revisions[0].path == "alembic/versions/aaa1_.py"


def test_since_makes_old_files_history_though_they_are_pending(files: Files) -> None:
    """A fresh database is told about what is new alone; old tables count as in use."""
    files.add("bbb2", "aaa1", "CREATE TABLE fresh (a int); CREATE INDEX i ON people (id)")
    files.add("ccc3", "bbb2", "CREATE INDEX j ON fresh (a)")
    read = files.read()

    whole = look(read, folder=files.folder)
    since = look(read, folder=files.folder, since="v1")

    assert {each.revision for each in whole} == {"aaa1", "bbb2"}
    assert rules(whole) == []
    assert [each.revision for each in since if each.level != "note"] == ["bbb2"]
    assert rules(since) == [("error", "require-concurrent-index-creation")]


def test_an_old_file_is_known_by_its_path(files: Files) -> None:
    """Whatever stands in it now; another directory's file of that name is another."""
    other = Files(files.repository, files.folder.parent / "other")
    made = Files.made(files.repository, name="other")
    made.add("aaa1", None, "CREATE TABLE t (a int)")
    files.add("aaa1", None, "CREATE TABLE people (id smallint)")

    assert look(files.read(), folder=files.folder, since="v1") == ()
    assert look(other.read(), folder=other.folder, since="v1") != ()


def test_a_folder_that_was_moved_since_is_found_where_it_was(files: Files) -> None:
    """Its revisions are history, and its models those of then; an edited file is a new one."""
    files.add("bbb2", "aaa1", "CREATE INDEX i ON people (id)")
    files.commit("v2")
    moved = files.repository / "svc" / "a new place"
    moved.parent.mkdir()
    git(files.repository, "mv", files.folder.name, str(moved))
    files = Files(files.repository, moved)
    files.models("")
    files.add("ccc3", "bbb2", 'ALTER TABLE people DROP COLUMN "E Mail 💥"')
    read = files.read()

    findings = look(read, folder=moved, since="v2")
    assert {each.revision for each in findings} == {"ccc3"}
    assert [each.rule for each in found(findings, *_USED)] == ["column-still-used"]

    files.add("bbb2", "aaa1", "CREATE INDEX i ON people (id); SELECT 1")
    edited = look(files.read(), folder=moved, since="v2")
    assert "bbb2" in {each.revision for each in edited}


@pytest.mark.parametrize("since", ["main", "v1", "HEAD", "v1^{commit}"])
def test_since_may_be_a_branch_a_tag_or_a_commit(files: Files, since: str) -> None:
    """As git names them, also from a folder that was not named from its root."""
    assert look(files.read(), folder=files.folder, since=since) == ()


def test_since_may_be_a_branch_that_only_origin_has(files: Files, tmp_path: Path) -> None:
    """A clone for CI has its own branch alone."""
    git(files.repository, "branch", "release/1")
    git(tmp_path, "clone", "-q", str(files.repository), "clone")
    clone = Files(tmp_path / "clone", tmp_path / "clone" / "db")

    assert look(clone.read(), folder=clone.folder, since="release/1") == ()


@pytest.mark.parametrize("since", ["no-such", "--help", "a b", "v1..v2", "💥", "f" * 40])
def test_a_since_that_is_not_there_is_one_message(files: Files, since: str) -> None:
    """It names the key, and what to do."""
    with pytest.raises(LintError, match=r"^since is .*Nothing was changed"):
        look(files.read(), folder=files.folder, since=since)


def test_a_shallow_clone_is_told_apart(files: Files, tmp_path: Path) -> None:
    """What is missing is there, and was not fetched."""
    old = git(files.repository, "rev-parse", "HEAD")
    files.commit()
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{files.repository}", "shallow")
    clone = Files(tmp_path / "shallow", tmp_path / "shallow" / "db")

    with pytest.raises(LintError, match=r"since.*shallow clone.*fetch-depth: 0"):
        look(clone.read(), folder=clone.folder, since=old)
    applied = {"x": Applied(revision="x", commit=old)}
    there = _there(applied=applied)
    [note] = found(look(chain("DROP TABLE people"), there, folder=clone.folder), *_USED)
    assert (note.rule, "shallow clone" in note.message) == ("models-unknown", True)


def test_no_repository_and_no_git_are_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a traceback."""
    with pytest.raises(LintError, match=r"since.*not a git repository"):
        look(chain("SELECT 1"), folder=tmp_path, since="v1")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LintError, match=r"since.*git is not installed"):
        look(chain("SELECT 1"), folder=tmp_path, since="v1")


def test_a_hook_of_git_leads_nowhere_else(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variables name another repository than the folder's."""
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_WORK_TREE", "/nowhere")

    assert look(files.read(), folder=files.folder, since="v1") == ()


def test_looking_changes_nothing_in_the_repository(files: Files) -> None:
    """No file, no reference, no worktree."""
    _look(files, "DROP TABLE people")

    assert git(files.repository, "status", "--porcelain") == ""
    assert git(files.repository, "worktree", "list").count("\n") == 0
    assert not list(files.repository.glob("*.tar"))


def test_a_file_says_what_may_pass(files: Files) -> None:
    """`lint_ignore` comes along with the history, and survives being kept."""
    files.add(
        "bbb2", "aaa1", "DROP TABLE people", head="lint_ignore = {'ban-drop-table': ' why\\n so'}"
    )
    for _ in range(2):
        read = files.read()
        assert read.by_id["bbb2"].ignores == {"ban-drop-table": "why so"}
    findings = look(read, _there("aaa1"), folder=files.folder)
    assert found(findings, "ban-drop-table")[0].suppressed == "why so"


@pytest.mark.parametrize("value", ["['a']", "{'a': 1}", "'a'", "{1: 'a'}", "True"])
def test_a_suppression_that_is_none_is_a_mistake_in_the_file(files: Files, value: str) -> None:
    """It names the file, and shows how it is written."""
    files.add("bbb2", "aaa1", "SELECT 1", head=f"lint_ignore = {value}")

    with pytest.raises(HistoryError, match=r"bbb2_\.py: lint_ignore is .*ban-drop-column"):
        history.read(files.folder)
