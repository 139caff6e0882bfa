"""Reviews by hand, for the tests of reports: one with something of everything, and small ones."""

from __future__ import annotations

from typing import Any

from infra.schema.model import Catalog, Drift, Lock, Part, Plan, Script, Step
from infra.schema.review import Built, Finding, Held, Rehearsal, Rehearsed, Review, Rewritten, Sent

__all__ = ["catalog", "full", "plan", "rehearsal", "review", "script", "step"]


def script(*statements: str, **more: Any) -> Script:
    """A script of one transaction."""
    return Script(parts=(Part(statements=statements),) if statements else (), **more)


def step(revision: str, *statements: str, **more: Any) -> Step:
    """A step that applies a revision, with a downgrade unless another is given."""
    given = {
        "direction": "up",
        "message": f"message of {revision}",
        "script": script(*statements),
        "undo": script(f"SELECT 'back of {revision}'"),
        "before": ("a0",),
        "after": (revision,),
    }
    return Step(revision=revision, **{**given, **more})


def plan(*steps: Step, **more: Any) -> Plan:
    """A plan of steps, from a0."""
    after = steps[-1].after if steps else ("a0",)
    return Plan(steps=steps, before=("a0",), after=more.pop("after", after), **more)


def rehearsal(*steps: Rehearsed, **more: Any) -> Rehearsal:
    """A rehearsal whose way back went well, without changes of the catalog."""
    back = tuple(
        Rehearsed(revision=each.revision, direction="down", seconds=0.02)
        for each in reversed(steps)
        if each.direction == "up" and not each.failure
    )
    given = {"base": "the live schema, without its rows", "server": "17.4", "back": back}
    return Rehearsal(steps=steps, **{**given, "before": catalog(), "after": catalog(), **more})


def review(found: Plan | None, **more: Any) -> Review:
    """A review of a plan, on the stack shop/prod."""
    return Review(**{"stack": "shop/prod", "plan": found, **more})


def catalog(**objects: str) -> Catalog:
    """A catalog of objects by name."""
    return Catalog(format=1, objects=objects)


_BEFORE = {
    "schema app": "schema",
    "table app.clients": "table",
    "column app.clients.id": "bigint NOT NULL GENERATED ALWAYS AS IDENTITY",
    "column app.clients.name": "character varying(200) NOT NULL",
    "column app.clients.fax": "text",
    "column app.clients.vat": "integer",
    "column app.clients.created_at": "timestamp with time zone NOT NULL DEFAULT now()",
    "constraint app.clients.clients_pkey": "PRIMARY KEY (id)",
    "index app.clients_name": "on app.clients USING btree (name)",
    "table app.tasks": "table",
    "column app.tasks.id": "bigint NOT NULL",
    "column app.tasks.client_id": "bigint NOT NULL",
    "column app.tasks.title": "text NOT NULL",
    "constraint app.tasks.tasks_pkey": "PRIMARY KEY (id)",
    "constraint app.tasks.tasks_client_id_fkey": (
        "FOREIGN KEY (client_id) REFERENCES app.clients(id)"
    ),
    "table app.faxes": "table",
    "column app.faxes.client_id": "bigint NOT NULL",
    "column app.faxes.pages": "integer",
    "constraint app.faxes.faxes_client_id_fkey": (
        "FOREIGN KEY (client_id) REFERENCES app.clients(id) ON DELETE CASCADE"
    ),
    "table app.untouched": "table",
    "column app.untouched.id": "bigint",
}
_GONE = (
    "column app.clients.fax",
    "table app.faxes",
    "column app.faxes.client_id",
    "column app.faxes.pages",
    "constraint app.faxes.faxes_client_id_fkey",
)
_AFTER = {name: text for name, text in _BEFORE.items() if name not in _GONE} | {
    "column app.clients.vat": "bigint",
    "column app.clients.email": "text",
    "constraint app.clients.clients_email_key": "UNIQUE (email)",
    "table app.invoices": "table",
    "column app.invoices.id": "uuid NOT NULL DEFAULT gen_random_uuid()",
    "column app.invoices.client_id": "bigint",
    "column app.invoices.amount": "numeric(12,2) NOT NULL",
    'column app.invoices."due date"': "date",
    "constraint app.invoices.invoices_pkey": "PRIMARY KEY (id)",
    "constraint app.invoices.invoices_client_id_fkey": (
        "FOREIGN KEY (client_id) REFERENCES app.clients(id)"
    ),
    "trigger app.invoices.touch": (
        "CREATE TRIGGER touch BEFORE UPDATE ON app.invoices FOR EACH ROW EXECUTE FUNCTION app.f()"
    ),
    "policy app.invoices.own": "PERMISSIVE FOR ALL TO PUBLIC USING (true)",
    "function app.f()": "CREATE OR REPLACE FUNCTION app.f()\n RETURNS trigger\nAS $f$\nEND\n$f$\n",
}

_INVOICES = """\
CREATE TABLE app.invoices (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    client_id bigint REFERENCES app.clients (id),
    amount numeric(12, 2) NOT NULL,
    "due date" date
)"""
_VAT = "ALTER TABLE app.clients ALTER COLUMN vat TYPE bigint, ADD COLUMN email text UNIQUE"
_INDEX = "CREATE INDEX CONCURRENTLY clients_email ON app.clients (lower(email))"
_DROP = "DROP TABLE app.faxes"


def _steps() -> tuple[Step, ...]:
    lock = Lock(mode="AccessExclusiveLock", relation="app.clients")
    built = Script(parts=(Part(statements=(_INDEX,), autocommit=True),))
    return (
        step("3f2a91c04be7", _INVOICES, message="invoices of a client"),
        step(
            "83c01ef4c8fc",
            _VAT,
            message="longer numbers for taxes, and an address for mail",
            script=script(_VAT, locks=(lock,)),
        ),
        step("9d41bb20a7c3", message="find clients by mail", script=built),
        step(
            "b7702e11d9f0",
            message="fill in the addresses",
            script=Script(live="line 14 reads rows with op.get_bind()"),
            undo=script(),
        ),
        step(
            "d1903c6e58fb",
            _DROP,
            "ALTER TABLE app.clients DROP COLUMN fax",
            message="no more faxes",
            undo=Script(absent=True, live="line 31 raises NotImplementedError: they are gone"),
            loses=("table app.faxes with 48,210 rows", "column app.clients.fax with 1,201 rows"),
        ),
    )


def _held(mode: str, relation: str, seconds: float, statement: int = 1, **more: Any) -> Held:
    return Held(mode=mode, relation=relation, seconds=seconds, statement=statement, **more)


def _ran() -> tuple[Rehearsed, ...]:
    strong = "AccessExclusiveLock"
    rewritten = Rewritten(relation="app.clients", rows=1_204_113, bytes=412_000_000)
    return (
        Rehearsed(
            revision="3f2a91c04be7",
            direction="up",
            seconds=0.041,
            wal=61_000,
            sent=(Sent(sql=_INVOICES, seconds=0.035, wal=60_000),),
            locks=(_held("ShareRowExclusiveLock", "app.clients", 0.012),),
            built=(Built(index="app.invoices_pkey", relation="app.invoices", fresh=True),),
        ),
        Rehearsed(
            revision="83c01ef4c8fc",
            direction="up",
            seconds=3.24,
            wal=398_000_000,
            sent=(Sent(sql=_VAT, seconds=3.2, wal=397_900_000),),
            locks=(_held(strong, "app.clients", 3.22),),
            rewritten=(rewritten,),
            built=(Built(index="app.clients_email_key", relation="app.clients", bytes=31_000_000),),
        ),
        Rehearsed(
            revision="9d41bb20a7c3",
            direction="up",
            seconds=1.1,
            wal=31_000_000,
            sent=(Sent(sql=_INDEX, seconds=1.08, wal=31_000_000),),
            locks=(_held("ShareUpdateExclusiveLock", "app.clients", 1.08, by="manual"),),
        ),
        Rehearsed(
            revision="b7702e11d9f0",
            direction="up",
            seconds=0.4,
            sent=(Sent(sql="UPDATE app.clients SET email = 'x' -- ('x',)", seconds=0.39, wal=0),),
            locks=(_held("RowExclusiveLock", "app.clients", 0.39),),
        ),
        Rehearsed(
            revision="d1903c6e58fb",
            direction="up",
            seconds=0.019,
            sent=(
                Sent(sql=_DROP, seconds=0.01, wal=2_000),
                Sent(sql="ALTER TABLE app.clients DROP COLUMN fax", seconds=0.004, wal=800),
            ),
            locks=(_held(strong, "app.faxes", 0.01), _held(strong, "app.clients", 0.006, 2)),
        ),
    )


def _findings() -> tuple[Finding, ...]:
    return (
        Finding(
            rule="ban-drop-column",
            level="error",
            revision="d1903c6e58fb",
            message="the release before this one still reads app.clients.fax",
            help="drop it in the release after the one that stops reading it",
            statement="ALTER TABLE app.clients DROP COLUMN fax",
        ),
        Finding(
            rule="changing-column-type",
            level="warning",
            revision="83c01ef4c8fc",
            message="changing the type of app.clients.vat writes the table anew",
            help="add a column, fill it, and switch over",
            statement=_VAT,
        ),
        Finding(
            rule="downgrade-loses-data",
            level="note",
            revision="3f2a91c04be7",
            message="taking it back drops table app.invoices",
        ),
        Finding(
            rule="ban-drop-table",
            level="warning",
            revision="d1903c6e58fb",
            message="app.faxes is dropped",
            suppressed="nobody has sent one since 2019",
        ),
    )


def full() -> Review:
    """A review with something of everything."""
    drift = Drift(change="added", object="index app.by_hand", after="on app.tasks USING btree (x)")
    left = Drift(change="removed", object="column app.clients.fax", before="text")
    found = rehearsal(
        *_ran(),
        before=Catalog(format=1, objects=_BEFORE),
        after=Catalog(format=1, objects=_AFTER),
        back=(),
        returned=(left,),
        unreturned="d1903c6e58fb has no way back",
        differs=("column app.clients.email: the models say varchar(320)",),
        rows={"app.clients": 1_204_113},
        generated={"app.clients": 20_000},
        notes=("the extension postgis could not be remade",),
    )
    steps = plan(*_steps(), drift=(drift,), notes=("app.old was applied by hand",))
    return review(steps, findings=_findings(), rehearsal=found)
