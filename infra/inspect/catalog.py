"""The questions of an inspection to a server, beside those that a stack asks it."""

from __future__ import annotations

__all__ = ["DATABASES", "LOGINS", "TABLES", "TABLE_COUNT"]

DATABASES = """
SELECT datname::text AS name FROM pg_catalog.pg_database
WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres'
    AND pg_catalog.has_database_privilege(oid, 'CONNECT') ORDER BY 1
"""

TABLE_COUNT = """
SELECT count(*)::int FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""

# What an extension brought along says nothing of an application.
TABLES = """
SELECT n.nspname::text AS schema, c.relname::text AS name,
       pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE')
           AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable,
       EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid
               AND a.attname = 'version_num' AND NOT a.attisdropped) AS versions
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_'
    AND n.nspname NOT IN ('information_schema', $1)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                        AND d.deptype = 'e')
ORDER BY 1, 2
"""

# Roles that log in, and how many tables of a schema each owns or may write.
LOGINS = """
SELECT r.rolname::text AS name, r.rolsuper AS superuser, r.rolcanlogin AS login,
       count(c.oid) FILTER (WHERE c.relowner = r.oid)::int AS owns,
       count(c.oid) FILTER (WHERE pg_catalog.has_table_privilege(r.oid, c.oid, 'INSERT'))::int
           AS writes,
       (SELECT datdba = r.oid FROM pg_catalog.pg_database WHERE datname = current_database())
           AS owns_database
FROM pg_catalog.pg_roles r
LEFT JOIN pg_catalog.pg_class c ON c.relkind IN ('r', 'p') AND c.relnamespace = (
    SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1)
WHERE r.rolname !~ '^pg_'
GROUP BY r.oid, r.rolname, r.rolsuper, r.rolcanlogin ORDER BY 1
"""
