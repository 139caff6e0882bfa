"""Settings that have to fit each other: targets, environments, TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.servers import TARGETS
from infra.settings.keys import KEYS
from tests.unit.settings_project import ADMIN_URL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.settings_project import SettingsProject

_FILES = ("tlsCertificate", "tlsKey", "tlsCa")


class Certificates:
    """Files for a server in the folder `tls` of a project."""

    def __init__(self, folder: Path) -> None:
        """Make an authority and one certificate of 127.0.0.1."""
        self._trustme: Any = pytest.importorskip("trustme", reason="it makes the certificates")
        self._folder = folder / "tls"
        self._folder.mkdir()
        self._ca = self.authority("ca.pem")
        self.issue("server", "127.0.0.1")

    def authority(self, name: str) -> Any:
        """Make an authority, and write its certificate."""
        ca = self._trustme.CA()
        ca.cert_pem.write_to_path(self._folder / name)
        return ca

    def issue(self, name: str, *hosts: str, **how: Any) -> None:
        """Make a certificate and its key: NAME.pem and NAME.key."""
        made = self._ca.issue_cert(*hosts, **how)
        made.cert_chain_pems[0].write_to_path(self._folder / f"{name}.pem")
        made.private_key_pem.write_to_path(self._folder / f"{name}.key")

    def write(self, name: str, text: str) -> None:
        """Write a file of any content."""
        (self._folder / name).write_text(text)

    @staticmethod
    def keys(certificate: str = "server", key: str = "server", ca: str = "ca") -> dict[str, str]:
        """Give the keys of the configuration that name the files."""
        paths = (f"tls/{certificate}.pem", f"tls/{key}.key", f"tls/{ca}.pem")
        return {"target": "container", **dict(zip(_FILES, paths, strict=True))}


@pytest.fixture
def certificates(project: SettingsProject) -> Certificates:
    """A sound set of files."""
    return Certificates(project.folder)


_OTHER = {"integer": "70", "object": '{"jit": false}', "boolean": "true"}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("key", [key.name for key in KEYS.values() if key.targets])
def test_a_key_that_does_nothing_with_the_target_is_a_mistake(
    project: SettingsProject, target: str, key: str
) -> None:
    """It says for which targets the key is, and how to take it out."""
    given = {"target": target, key: _OTHER.get(KEYS[key].type, "x")}
    idle = [line for line in project.mistakes(**given) if "does nothing with" in line]

    if target in KEYS[key].targets:
        assert idle == []
    else:
        targets = " and ".join(KEYS[key].targets)
        (line,) = idle
        assert line.startswith(f"groundwork:{key}: does nothing with the target {target}; it is")
        assert line.endswith(f"for {targets}: take it out with: pulumi config rm groundwork:{key}")


def test_every_target_of_the_table_is_one(project: SettingsProject) -> None:
    """No key is for a target that isn't there, and each target can be chosen."""
    assert {target for key in KEYS.values() for target in key.targets} <= set(TARGETS)
    for target in TARGETS:
        given = {"adminUrl": ADMIN_URL} if target == "existing" else {}
        assert project.parse(target=target, **given).target == target


def test_an_existing_server_needs_its_url(project: SettingsProject) -> None:
    """The message has the command, and that it is a secret."""
    mistake = project.mistake(target="existing")

    assert mistake.startswith("groundwork:adminUrl: is missing")
    assert "pulumi config set --secret groundwork:adminUrl" in mistake


@pytest.mark.parametrize(
    "url",
    [
        "geheim",
        "mysql://admin:geheim@db.test/x",
        "postgresql://admin:ge@heim@db.test/x",
        "postgresql://db.test/geheim",
        "postgresql://admin:geheim@/x",
        "postgresql://admin:geheim@db.test:99999/x",
        "postgresql://admin:geheim@db.test/x?sslmode=prefer",
        "postgresql://admin:geheim@db.test/x?sslmode=verify-full&sslrootcert=nowhere.pem",
    ],
)
def test_a_url_that_leads_nowhere_is_told_without_showing_it(
    project: SettingsProject, url: str
) -> None:
    """A torn URL may have a piece of the password anywhere."""
    mistake = project.mistake(target="existing", adminUrl=url)

    assert mistake.startswith("groundwork:adminUrl: ")
    assert "geheim" not in mistake


def test_what_belongs_to_the_auditor_needs_one(project: SettingsProject) -> None:
    """A role, a password or limits of nobody are a mistake."""
    for key, value in (
        ("auditorRole", "x"),
        ("auditorPassword", "twelve chars"),
        ("auditorLockTimeout", "1s"),
        ("auditorConnections", "2"),
    ):
        mistake = project.mistake(**{key: value})
        assert mistake == (
            f"groundwork:{key}: does nothing without an auditor; set groundwork:auditor true"
        )
        assert project.parse(**{key: value, "auditor": "true"})


@pytest.mark.parametrize("mode", ["prefer", "allow"])
def test_a_mode_that_goes_on_without_tls_is_refused_with_the_reason(
    project: SettingsProject, mode: str
) -> None:
    """They look like TLS and give none."""
    mistake = project.mistake(target="existing", adminUrl=ADMIN_URL, sslmode=mode)

    assert mistake.startswith(f"groundwork:sslmode: {mode!r} goes on without TLS")


@pytest.mark.parametrize("target", ["embedded", "container"])
@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_tls_is_asked_only_of_a_server_that_has_it(
    project: SettingsProject, target: str, mode: str
) -> None:
    """Clients would be refused by their own side."""
    mistake = project.mistake(target=target, sslmode=mode)

    assert "this server has none" in mistake
    assert project.parse(target=target, sslmode="disable").sslmode == "disable"


def test_shared_memory_is_within_the_containers_and_above_a_builds(
    project: SettingsProject,
) -> None:
    """Docker counts it in the limit; a parallel build of an index takes maintenance_work_mem."""
    given = {"target": "container", "memory": "512"}
    builds = {"parameters": '{"maintenance_work_mem": "256MB"}'}

    assert project.mistake(shmSize="513", **given).startswith("groundwork:shmSize: 513 MiB are")
    assert project.parse(shmSize="512", **given).shm_size == 512
    assert "no more than 'maintenance_work_mem'" in project.mistake(
        target="container", shmSize="256", **builds
    )
    assert project.parse(target="container", shmSize="257", **builds)
    assert project.mistake(target="container", shmSize="64")  # PostgreSQL's default is 64 MB


def test_files_of_tls_are_taken_where_they_fit(
    project: SettingsProject, certificates: Certificates
) -> None:
    """Relative to the project; they are absolute in the settings."""
    tls = project.parse(**certificates.keys()).tls

    assert tls is not None
    folder = project.folder / "tls"
    assert (tls.certificate, tls.key, tls.ca) == (
        folder / "server.pem",
        folder / "server.key",
        folder / "ca.pem",
    )


@pytest.mark.parametrize("missing", _FILES)
def test_files_of_tls_come_together(
    project: SettingsProject, certificates: Certificates, missing: str
) -> None:
    """One alone does nothing."""
    given = certificates.keys()
    del given[missing]

    mistake = project.mistake(**given)
    assert mistake.startswith(f"groundwork:{missing}: is missing; it belongs to ")
    assert mistake.endswith("all three or none")


def test_a_file_that_is_none_is_told_with_its_key(
    project: SettingsProject, certificates: Certificates
) -> None:
    """Nothing there, a folder, another kind of file, a key with a passphrase."""
    certificates.write("text.pem", "text")
    certificates.write("text.key", "text")
    certificates.write("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    certificates.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n")
    for names, key, said in (
        ({"certificate": "nowhere"}, "tlsCertificate", "No such file"),
        ({"certificate": "text"}, "tlsCertificate", "holds no certificate"),
        ({"ca": "text"}, "tlsCa", "holds no certificate"),
        ({"ca": "broken"}, "tlsCa", "holds no certificate that can be read"),
        ({"key": "text"}, "tlsKey", "holds no private key"),
        ({"key": "locked"}, "tlsKey", "with a passphrase"),
        ({"certificate": "broken"}, "tlsKey", "can't be read together with"),
    ):
        mistake = project.mistake(**certificates.keys(**names))

        assert mistake.startswith(f"groundwork:{key}: ")
        assert said in mistake
    assert "Is a directory" in project.mistake(**certificates.keys() | {"tlsKey": "tls"})


def test_a_key_of_another_certificate_is_told(
    project: SettingsProject, certificates: Certificates
) -> None:
    """The server wouldn't start with them."""
    certificates.issue("other", "127.0.0.1")

    assert project.mistake(**certificates.keys(key="other")) == (
        "groundwork:tlsKey: 'tls/other.key' is no key of groundwork:tlsCertificate"
    )


def test_a_certificate_that_clients_would_refuse_is_told(
    project: SettingsProject, certificates: Certificates
) -> None:
    """Of another authority, run out, or of another host; the last is for verify-full alone."""
    from datetime import UTC, datetime

    certificates.authority("stranger.pem")
    certificates.issue("old", "127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    certificates.issue("elsewhere", "db.test")

    stranger = project.mistake(**certificates.keys(ca="stranger"))
    assert "issuer" in stranger or "self-signed" in stranger
    assert "expired" in project.mistake(**certificates.keys("old", "old"))
    elsewhere = certificates.keys("elsewhere", "elsewhere")
    assert "127.0.0.1" in project.mistake(**elsewhere)
    assert project.parse(**elsewhere, sslmode="verify-ca").sslmode == "verify-ca"


def test_tls_in_a_container_is_for_everybody(
    project: SettingsProject, certificates: Certificates
) -> None:
    """A server that requires it can't be reached without."""
    mistake = project.mistake(**certificates.keys(), sslmode="disable")

    assert mistake.startswith("groundwork:sslmode: 'disable' is of no use with groundwork:tls")


# -- environments ---------------------------------------------------------------------------


def _prod(**more: str) -> dict[str, str]:
    return {"environment": "prod", "target": "existing", "adminUrl": ADMIN_URL, **more}


def _reasoned(**more: str) -> dict[str, str]:
    return _prod(sslmode="require", sslmodeReason="the cloud has no CA", **more)


@pytest.mark.parametrize(
    ("environment", "kept", "downgrade", "drift"),
    [
        ("dev", False, "refuse", "report"),
        ("preview", False, "allow", "refuse"),
        ("prod", True, "refuse", "refuse"),
    ],
)
def test_an_environment_fills_what_is_not_set(
    project: SettingsProject,
    environment: str,
    kept: bool,  # noqa: FBT001 - a column of the table
    downgrade: str,
    drift: str,
) -> None:
    """Each has its own values, and a stack may still choose among what they allow."""
    given = _reasoned() if environment == "prod" else {"environment": environment}
    chosen = project.parse(**given)

    assert (chosen.protect, chosen.retain) == (kept, kept)
    assert (chosen.schema.policy.downgrade, chosen.schema.policy.drift) == (downgrade, drift)
    assert chosen.schema.on_destroy == "retain"
    assert project.parse(**given, drift="accept").schema.policy.drift == "accept"


@pytest.mark.parametrize("environment", ["dev", "preview"])
def test_what_prod_means_can_be_chosen_elsewhere(
    project: SettingsProject, environment: str
) -> None:
    """Key by key."""
    chosen = project.parse(
        environment=environment, protect="true", retain="true", downgrade="refuse"
    )

    assert (chosen.protect, chosen.retain, chosen.schema.policy.downgrade) == (True, True, "refuse")


@pytest.mark.parametrize(
    ("key", "value", "way"),
    [
        ("protect", "false", "pulumi config set groundwork:environment dev"),
        ("retain", "false", "pulumi config set groundwork:environment dev"),
        ("on_destroy", "downgrade", "pulumi config set groundwork:environment dev"),
        ("downgrade", "allow", "groundwork:protect and groundwork:retain true"),
    ],
)
def test_what_contradicts_prod_is_refused_with_the_way_to_do_it(
    project: SettingsProject, key: str, value: str, way: str
) -> None:
    """Nobody takes the protection off by one key and a slip of the hand."""
    mistake = project.mistake(**_reasoned(**{key: value}))

    assert mistake.startswith(f"groundwork:{key}: {value!r} is refused in prod")
    assert way in mistake


def test_prod_requires_tls_everywhere(project: SettingsProject, certificates: Certificates) -> None:
    """No embedded server, no container without, no existing server whose clients don't check it."""
    container = certificates.keys() | {"environment": "prod"}
    ca = "sslrootcert=tls/ca.pem"

    assert project.mistake(environment="prod").startswith(
        "groundwork:target: 'embedded' is refused"
    )
    assert "prod requires TLS" in project.mistake(environment="prod", target="container")
    assert project.parse(**container).tls
    assert project.parse(**container, sslmode="verify-ca")
    assert project.mistake(**container, sslmode="require").endswith("verify-full, or verify-ca")
    for mode in ("disable", "require"):
        assert f"{mode!r} is refused in prod" in project.mistake(**_prod(sslmode=mode))
        given = _prod(adminUrl=f"{ADMIN_URL}?sslmode={mode}")
        assert f"{mode!r} is refused in prod" in project.mistake(**given)
    for mode in ("verify-ca", "verify-full"):
        assert project.parse(**_prod(adminUrl=f"{ADMIN_URL}?sslmode={mode}&{ca}"))
        assert project.parse(**_prod(adminUrl=f"{ADMIN_URL}?{ca}", sslmode=mode))
    assert project.parse(**_prod(adminUrl=f"{ADMIN_URL}?{ca}"))


def test_prod_goes_without_a_check_only_for_a_reason(project: SettingsProject) -> None:
    """It is said in the settings; where it does nothing it is a mistake."""
    assert project.parse(**_reasoned()).sslmode_reason == "the cloud has no CA"
    assert project.mistake(**_prod(sslmode="require", sslmodeReason="  "))
    assert project.mistake(**_prod(sslmode="disable", sslmodeReason="why not"))
    assert "does nothing" in project.mistake(
        target="existing", adminUrl=ADMIN_URL, sslmode="require", sslmodeReason="x"
    )


def test_what_is_kept_is_not_emptied(project: SettingsProject) -> None:
    """`retain` and `on_destroy: downgrade` say the contrary of each other."""
    mistake = project.mistake(retain="true", on_destroy="downgrade")

    assert mistake.startswith("groundwork:on_destroy: 'downgrade' empties what groundwork:retain")
