"""What is in a database, as lines that can be compared: every definition, no object ids."""

from __future__ import annotations

__all__ = ["CATALOG"]

# Objects that belong to an extension are the extension's business; catalogs are PostgreSQL's.
CATALOG = """
WITH own AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
members AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
relations AS (
    SELECT c.*, format('%s.%s', own.nspname, c.relname) AS label
    FROM pg_class c JOIN own ON own.oid = c.relnamespace
    WHERE ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM members)
)
SELECT format('relation %s %s owner %s comment %s', relkind, label, relowner::regrole,
              obj_description(oid, 'pg_class')) AS line
FROM relations
UNION ALL
SELECT format('column %s.%s %s %s not null %s default %s identity %s comment %s', r.label,
              a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
              pg_get_expr(d.adbin, d.adrelid), a.attidentity, col_description(r.oid, a.attnum))
FROM relations r
JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
WHERE r.relkind IN ('r', 'p', 'v', 'm')
UNION ALL
SELECT format('constraint %s %s %s', r.label, k.conname, pg_get_constraintdef(k.oid))
FROM pg_constraint k JOIN relations r ON r.oid = k.conrelid
UNION ALL
SELECT format('index %s valid %s', pg_get_indexdef(i.indexrelid), i.indisvalid)
FROM pg_index i JOIN relations r ON r.oid = i.indexrelid
UNION ALL
SELECT format('trigger %s', pg_get_triggerdef(t.oid))
FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL
SELECT format('enum %s.%s %s', own.nspname, t.typname,
              (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum
               WHERE enumtypid = t.oid))
FROM pg_type t JOIN own ON own.oid = t.typnamespace WHERE t.typtype = 'e'
UNION ALL
SELECT format('domain %s.%s', own.nspname, t.typname)
FROM pg_type t JOIN own ON own.oid = t.typnamespace WHERE t.typtype = 'd'
UNION ALL
SELECT format('function %s.%s', own.nspname, p.proname)
FROM pg_proc p JOIN own ON own.oid = p.pronamespace
WHERE ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM members)
UNION ALL
SELECT format('schema %s', nspname) FROM own
UNION ALL
SELECT format('extension %s in %s comment %s', extname, extnamespace::regnamespace,
              obj_description(oid, 'pg_extension'))
FROM pg_extension
ORDER BY line
"""
