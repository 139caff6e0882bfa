-- $1, $2: schemas and names of the tables concerned; $3: whether a statement is CONCURRENTLY;
-- $4, $5, $6: kind, schema and name of what goes with CASCADE. No lock but on catalogs is taken.
WITH RECURSIVE named AS (
    SELECT c.oid, c.relkind
    FROM unnest($1::text[], $2::text[]) AS w (schema, name)
    JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
         AND c.relkind IN ('r', 'p', 'm')
),
tree AS (
    SELECT oid AS root, oid FROM named
    UNION
    SELECT tree.root, h.inhrelid FROM tree JOIN pg_catalog.pg_inherits h ON h.inhparent = tree.oid
),
label AS (
    SELECT t.root, t.oid, format('%I.%I', n.nspname, c.relname) AS name, n.nspname, c.relname
    FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
),
-- A transaction holds the lock of its own virtual id, which everybody may see.
working AS (
    SELECT pid, virtualtransaction AS transaction FROM pg_catalog.pg_locks
    WHERE locktype = 'virtualxid' AND granted AND mode = 'ExclusiveLock'
),
holding AS (
    SELECT l.pid, array_agg(DISTINCT b.name ORDER BY b.name) AS tables,
           array_agg(DISTINCT l.mode ORDER BY l.mode) AS modes
    FROM pg_catalog.pg_locks l JOIN label b ON b.oid = l.relation
    WHERE l.locktype = 'relation' AND l.granted
      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    GROUP BY l.pid
),
session AS (
    SELECT a.pid, a.usename::text AS role, a.application_name AS application, a.state,
           left(a.query, 2000) AS query, w.transaction, h.tables, h.modes,
           extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds,
           a.backend_xmin IS NOT NULL AS snapshot
    FROM pg_catalog.pg_stat_activity a
    JOIN working w ON w.pid = a.pid
    LEFT JOIN holding h ON h.pid = a.pid
    WHERE a.pid <> pg_backend_pid() AND (h.pid IS NOT NULL OR (
        $3 AND a.datname = current_database() AND (a.xact_start IS NULL OR a.backend_xmin IS NOT NULL)))
),
slot AS (
    SELECT s.slot_name::text AS name, s.active, s.wal_status AS status,
           pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery()
               THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END,
               s.restart_lsn)::int8 AS behind
    FROM pg_catalog.pg_replication_slots s WHERE NOT s.temporary
),
sequence AS (
    SELECT DISTINCT format('%I.%I', v.schemaname, v.sequencename) AS name, b.name AS table,
           a.attname::text AS column, v.last_value AS last,
           least(v.max_value, CASE a.atttypid WHEN 'int2'::regtype THEN 32767
                                              WHEN 'int4'::regtype THEN 2147483647
                                              ELSE v.max_value END) AS most
    FROM label b
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = b.oid
         AND d.refobjsubid > 0 AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
    JOIN pg_catalog.pg_sequences v ON v.schemaname = n.nspname AND v.sequencename = s.relname
    JOIN pg_catalog.pg_attribute a ON a.attrelid = b.oid AND a.attnum = d.refobjsubid
    WHERE v.increment_by > 0 AND NOT v.cycle
),
-- Blocks as of the last VACUUM or ANALYZE: pg_total_relation_size would wait behind a lock.
size AS (
    SELECT r.nspname::text AS schema, r.relname::text AS table, sum(p.relpages)::int8 * b.bytes AS bytes,
           pg_catalog.pg_tablespace_location(coalesce(nullif(c.reltablespace, 0),
               (SELECT dattablespace FROM pg_catalog.pg_database
                WHERE datname = current_database()))) AS place
    FROM named m
    JOIN label r ON r.oid = m.oid AND r.root = m.oid
    JOIN pg_catalog.pg_class c ON c.oid = m.oid
    JOIN tree t ON t.root = m.oid
    JOIN pg_catalog.pg_class k ON k.oid = t.oid
    JOIN pg_catalog.pg_class p ON p.oid = t.oid OR p.oid = k.reltoastrelid
         OR p.oid IN (SELECT indexrelid FROM pg_catalog.pg_index WHERE indrelid = t.oid)
    CROSS JOIN (SELECT current_setting('block_size')::int8 AS bytes) b
    GROUP BY 1, 2, b.bytes, c.reltablespace
),
going AS (
    SELECT w.kind, w.schema, w.name, w.place,
           CASE w.kind WHEN 'schema' THEN 'pg_namespace'::regclass
                       WHEN 'type' THEN 'pg_type'::regclass
                       WHEN 'extension' THEN 'pg_extension'::regclass
                       ELSE 'pg_class'::regclass END::oid AS class,
           CASE w.kind WHEN 'schema' THEN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = w.name)
                       WHEN 'extension' THEN (SELECT oid FROM pg_catalog.pg_extension WHERE extname = w.name)
                       WHEN 'type' THEN (
                           SELECT t.oid FROM pg_catalog.pg_type t
                           JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
                           WHERE n.nspname = w.schema AND t.typname = w.name)
                       ELSE (
                           SELECT c.oid FROM pg_catalog.pg_class c
                           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                           WHERE n.nspname = w.schema AND c.relname = w.name) END AS object
    FROM unnest($4::text[], $5::text[], $6::text[]) WITH ORDINALITY AS w (kind, schema, name, place)
),
-- What a DROP takes along, by pg_depend; a view by the rule that holds its query.
dropped AS (
    SELECT g.place, g.class, g.object, 0 AS part FROM going g
    WHERE g.kind <> 'truncate' AND g.object IS NOT NULL
    UNION
    SELECT r.place, n.class, n.object, n.part
    FROM dropped r CROSS JOIN LATERAL (
        SELECT d.classid AS class, d.objid AS object, d.objsubid AS part
        FROM pg_catalog.pg_depend d
        WHERE d.refclassid = r.class AND d.refobjid = r.object
          AND (r.part = 0 OR d.refobjsubid = r.part)
        UNION ALL
        SELECT 'pg_class'::regclass::oid, w.ev_class, 0 FROM pg_catalog.pg_rewrite w
        WHERE r.class = 'pg_rewrite'::regclass AND w.oid = r.object) n
),
emptied AS (
    SELECT g.place, g.object FROM going g WHERE g.kind = 'truncate' AND g.object IS NOT NULL
    UNION
    SELECT e.place, n.object FROM emptied e CROSS JOIN LATERAL (
        SELECT f.conrelid AS object FROM pg_catalog.pg_constraint f
        WHERE f.contype = 'f' AND f.confrelid = e.object
        UNION ALL
        SELECT h.inhrelid FROM pg_catalog.pg_inherits h WHERE h.inhparent = e.object) n
),
reached AS (
    SELECT d.place, pg_catalog.pg_describe_object(d.class, d.object, d.part) AS what
    FROM dropped d JOIN going g ON g.place = d.place AND (g.class, g.object) <> (d.class, d.object)
    LEFT JOIN pg_catalog.pg_class c ON d.class = 'pg_class'::regclass AND c.oid = d.object
    LEFT JOIN pg_catalog.pg_constraint x ON d.class = 'pg_constraint'::regclass AND x.oid = d.object
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') OR x.contype = 'f'
    UNION
    SELECT e.place, pg_catalog.pg_describe_object('pg_class'::regclass, e.object, 0)
    FROM emptied e JOIN going g ON g.place = e.place AND g.object <> e.object
)
SELECT pg_catalog.json_build_object(
    'pid', pg_backend_pid(),
    'role', session_user,
    'sessions', (SELECT coalesce(pg_catalog.json_agg(s ORDER BY s.seconds DESC NULLS LAST, s.pid), '[]') FROM session s),
    'slots', (SELECT coalesce(pg_catalog.json_agg(s ORDER BY s.name), '[]') FROM slot s),
    'sequences', (SELECT coalesce(pg_catalog.json_agg(s ORDER BY s.name), '[]') FROM sequence s
                  WHERE s.last > 0.8 * s.most),
    'sizes', (SELECT coalesce(pg_catalog.json_agg(s), '[]') FROM size s),
    'reached', (SELECT coalesce(pg_catalog.json_agg(r ORDER BY r.place, r.what), '[]') FROM reached r)
)::text
