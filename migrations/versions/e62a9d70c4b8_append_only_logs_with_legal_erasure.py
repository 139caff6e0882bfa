# ruff: noqa: D415 - the first line is the message that Alembic shows
"""append-only logs with legal erasure

Revision ID: e62a9d70c4b8
Revises: 4b8e15a7f0d3
Create Date: 2026-01-12 13:00:00+00:00

Three things that belong together: the logs refuse every change; `erase_client` is the one way out
that the law asks for, and says in the log what it does before it does it; and nobody but the owner
can write a line that looks like one of an erasure.

All functions find their words in pg_catalog alone and name the schema of the tables outright: no
search_path, no temporary table and no function of somebody else changes what they do. Which
schema that is, they are told when they are made.
"""

from __future__ import annotations

from alembic import op

revision = "e62a9d70c4b8"
down_revision = "4b8e15a7f0d3"
branch_labels = None
depends_on = None

APPEND_ONLY = ("agent_logs", "client_profile_entries")

# A DELETE passes for the owner of the table alone, and only inside an erasure: the transaction
# names a line of the log that this very transaction has written and not yet closed. A number of a
# transaction comes again in a restored copy of the database, the time it began at does not.
REFUSE_CHANGE = """
CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    owned boolean := EXISTS (
        SELECT FROM pg_class WHERE oid = TG_RELID AND pg_get_userbyid(relowner) = current_user);
    line bigint := substring(current_setting('groundwork.erasure', true) FROM '^[0-9]{1,18}$');
    erasing boolean := false;
BEGIN
    IF TG_OP = 'DELETE' AND owned AND line IS NOT NULL THEN
        EXECUTE format(
            $query$
            SELECT EXISTS (
                SELECT FROM %1$I.agent_logs
                WHERE id = $1 AND agent = 'erasure' AND created_at = now()
                AND metadata ->> 'transaction' = pg_current_xact_id()::text
            ) AND NOT EXISTS (
                SELECT FROM %1$I.agent_logs
                WHERE id > $1 AND agent = 'erasure' AND metadata ->> 'erasure' = $1::text
            )
            $query$, TG_TABLE_SCHEMA)
        INTO erasing USING line;
    END IF;
    IF erasing THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'restrict_violation',
        MESSAGE = format('"%s" is append-only: %s refused', TG_TABLE_NAME, TG_OP),
        SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME,
        HINT = 'Add a row that corrects it. Where the law asks for it, the data of a client is'
            ' erased by erase_client(client, reason).';
END
$function$
"""

REFUSE_FORGED_LINE = """
CREATE FUNCTION refuse_forged_line() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    IF EXISTS (
        SELECT FROM pg_class WHERE oid = TG_RELID AND pg_get_userbyid(relowner) = current_user)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'insufficient_privilege',
        MESSAGE = format('lines of agent "%s" are written by erase_client alone', NEW.agent),
        SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME,
        HINT = 'Give the agent another name.';
END
$function$
"""

# Makes the function where the tables are: %1$I and %1$L stand for that schema, %% for one %.
# - The locks keep everybody from adding to the client and from completing one of its tasks
#   meanwhile: foreign keys wait for them.
# - With row_security off, a policy that applied to the owner would be an error, where it would
#   otherwise hide rows, which then were left without a word.
# - $1 is the client, $2 its tasks, $3 those of them that the law keeps. Children before parents.
# - The revokes leave the owner alone with it, whatever default privileges say of new functions.
ERASE_CLIENT = r"""
DO $make$
DECLARE
    home text := nspname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
        WHERE pg_class.oid = 'agent_logs'::regclass;
    definition text := $definition$
CREATE FUNCTION %1$I.erase_client(client uuid, reason text)
RETURNS TABLE (table_name text, erased bigint, kept bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET row_security = off AS $function$
DECLARE
    line bigint;
    of_client uuid[];
    retained uuid[];
    owned text;
    stays text;
    tables jsonb := '{}';
BEGIN
    IF reason IS NULL OR reason !~ '\S' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'an erasure needs a reason: nothing was erased',
            HINT = 'Give what asks for it, such as the number of the request; no personal data.';
    END IF;
    PERFORM FROM %1$I.clients WHERE id = client FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'no_data_found',
            MESSAGE = format('there is no client %%L: nothing was erased', client),
            HINT = 'Look for its id in "clients"; it may have been erased before.';
    END IF;
    PERFORM FROM %1$I.tasks WHERE client_id = client ORDER BY id FOR UPDATE;
    SELECT COALESCE(array_agg(id), '{}'), COALESCE(array_agg(id) FILTER (
        WHERE status = 'completed' AND completed_at > now() - interval '7 years'), '{}')
    INTO of_client, retained FROM %1$I.tasks WHERE client_id = client;

    INSERT INTO %1$I.agent_logs (agent, level, message, metadata, created_at)
    VALUES ('erasure', 'warning', format('erasure of client %%s began', client), jsonb_build_object(
        'client', client, 'reason', reason, 'by', session_user,
        'transaction', pg_current_xact_id()::text), now())
    RETURNING id INTO line;
    PERFORM set_config('groundwork.erasure', line::text, true);

    FOR table_name, owned, stays IN VALUES
        ('client_profile_entries', 'client_id = $1', 'false'),
        ('document_embeddings', 'client_id = $1', 'false'),
        ('agent_logs', 'client_id = $1 OR task_id = ANY ($2)', 'task_id = ANY ($3)'),
        ('escalations', 'task_id = ANY ($2)', 'task_id = ANY ($3)'),
        ('feedback_entries', 'task_id = ANY ($2)', 'task_id = ANY ($3)'),
        ('task_artifacts', 'task_id = ANY ($2)', 'task_id = ANY ($3)'),
        ('tasks', 'id = ANY ($2)', 'id = ANY ($3)'),
        ('clients', 'id = $1', 'cardinality($3) > 0')
    LOOP
        EXECUTE format('DELETE FROM %%I.%%I WHERE (%%s) AND (%%s) IS NOT TRUE',
            %1$L, table_name, owned, stays)
        USING client, of_client, retained;
        GET DIAGNOSTICS erased = ROW_COUNT;
        EXECUTE format('SELECT count(*) FROM %%I.%%I WHERE %%s', %1$L, table_name, owned)
        INTO kept USING client, of_client, retained;
        tables := tables || jsonb_build_object(
            table_name, jsonb_build_object('erased', erased, 'kept', kept));
        RETURN NEXT;
    END LOOP;

    INSERT INTO %1$I.agent_logs (agent, level, message, metadata)
    VALUES ('erasure', 'warning', format('erasure of client %%s ended', client), jsonb_build_object(
        'client', client, 'erasure', line, 'tables', tables));
    PERFORM set_config('groundwork.erasure', '', true);
END
$function$
    $definition$;
    made regprocedure;
    grantee regrole;
BEGIN
    EXECUTE format(definition, home);
    made := format('%I.erase_client(uuid, text)', home);
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', made);
    FOR grantee IN
        SELECT DISTINCT acl.grantee FROM pg_proc, aclexplode(proacl) AS acl
        WHERE pg_proc.oid = made AND acl.grantee <> proowner
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s', made, grantee);
    END LOOP;
END
$make$
"""


def upgrade() -> None:
    """Refuse UPDATE, DELETE and TRUNCATE of both logs; offer erasure of a client."""
    op.execute(REFUSE_CHANGE)
    op.execute(REFUSE_FORGED_LINE)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER tg_{table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER tg_{table}_append_only")
    op.execute(
        "CREATE TRIGGER tg_agent_logs_erasure_not_forged BEFORE INSERT ON agent_logs"
        " FOR EACH ROW WHEN (NEW.agent = 'erasure') EXECUTE FUNCTION refuse_forged_line()"
    )
    op.execute("ALTER TABLE agent_logs ENABLE ALWAYS TRIGGER tg_agent_logs_erasure_not_forged")
    op.execute(ERASE_CLIENT)


def downgrade() -> None:
    """Let rows of both logs be changed and deleted again; no data is lost."""
    op.execute("DROP FUNCTION erase_client(uuid, text)")
    op.execute("DROP TRIGGER tg_agent_logs_erasure_not_forged ON agent_logs")
    for table in APPEND_ONLY:
        op.execute(f"DROP TRIGGER tg_{table}_append_only ON {table}")
    op.execute("DROP FUNCTION refuse_forged_line()")
    op.execute("DROP FUNCTION refuse_change()")
