"""The questions to the catalog of an existing server, in one place."""

from __future__ import annotations

__all__ = ["CLUSTER", "DATABASE", "EXTENSION", "INSIDE", "NO_WRITES", "admin", "roles"]

NO_WRITES = """
SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'it is a standby'
            WHEN pg_catalog.current_setting('transaction_read_only') = 'on'
            THEN 'its default_transaction_read_only is on' END
"""

CLUSTER = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"

_ADMIN = """
SELECT rolname::text AS "user", rolsuper AS superuser,
       rolsuper OR rolcreaterole AS creates_roles, rolsuper OR rolcreatedb AS creates_databases,
       {reads_all} AS reads_all,
       pg_catalog.current_setting('server_version') AS version,
       pg_catalog.current_setting('server_version_num')::int / 10000 AS major,
       CASE WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')
            THEN 'may be asked' ELSE '' END AS cluster
FROM pg_catalog.pg_roles WHERE rolname = current_user
"""

# pg_shdepend alone of all catalogs says what a role owns in databases other than this one.
_ROLES = """
SELECT r.rolname::text AS name,
       array_remove(ARRAY[
           CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
           CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,
           CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
           CASE WHEN rolcreatedb THEN 'CREATEDB' END], NULL) AS attributes,
       {administered} AS administered,
       ARRAY(SELECT DISTINCT u.rolname::text FROM pg_catalog.pg_auth_members m
             JOIN pg_catalog.pg_roles u ON u.oid = m.member
             WHERE m.roleid = r.oid AND m.admin_option ORDER BY 1) AS admins,
       ARRAY(SELECT d.datname::text FROM pg_catalog.pg_database d WHERE d.datdba = r.oid
             UNION SELECT d.datname::text FROM pg_catalog.pg_shdepend s
             JOIN pg_catalog.pg_database d ON d.oid = s.dbid
             WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid = r.oid
                 AND s.deptype = 'o' ORDER BY 1) AS owns,
       ARRAY(SELECT DISTINCT g.rolname::text FROM pg_catalog.pg_auth_members m
             JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
             WHERE m.member = r.oid ORDER BY 1) AS groups,
       ARRAY(SELECT DISTINCT u.rolname::text FROM pg_catalog.pg_auth_members m
             JOIN pg_catalog.pg_roles u ON u.oid = m.member
             WHERE m.roleid = r.oid AND {usable} ORDER BY 1) AS members
FROM pg_catalog.pg_roles r
WHERE r.rolname = ANY($1::text[]) ORDER BY r.rolname
"""

DATABASE = """
SELECT pg_catalog.pg_get_userbyid(datdba)::text AS owner,
       pg_catalog.pg_encoding_to_char(encoding)::text AS encoding
FROM pg_catalog.pg_database WHERE datname = $1
"""

INSIDE = """
SELECT COALESCE((SELECT pg_catalog.pg_get_userbyid(nspowner)::text FROM pg_catalog.pg_namespace
                 WHERE nspname = 'app'), '') AS app_owner,
       COALESCE((SELECT n.nspname::text FROM pg_catalog.pg_extension e
                 JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
                 WHERE e.extname = 'vector'), '') AS extension_schema,
       COALESCE((SELECT pg_catalog.pg_get_userbyid(n.nspowner)::text FROM pg_catalog.pg_extension e
                 JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
                 WHERE e.extname = 'vector'
                     AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION')),
                '') AS extension_barrier,
       (SELECT count(*)::int FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND n.nspname !~ '^pg_'
            AND n.nspname <> 'information_schema'
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                AND d.objid = c.oid AND d.deptype = 'e')) AS tables
"""

# A managed service lets its own administrators make what elsewhere takes a superuser, by a role
# of the service or by a list in its settings, and says so nowhere in pg_available_extensions.
EXTENSION = """
SELECT CASE WHEN bool_or(
           NOT v.superuser OR v.trusted
           OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
           OR EXISTS (SELECT FROM pg_catalog.pg_roles
                      WHERE rolname IN ('rds_superuser', 'azure_pg_admin', 'cloudsqlsuperuser',
                                        'alloydbsuperuser', 'neon_superuser')
                          AND pg_catalog.pg_has_role(oid, 'MEMBER'))
           OR 'vector' = ANY (pg_catalog.regexp_split_to_array(concat_ws(',',
                  pg_catalog.current_setting('extwlist.extensions', true),
                  pg_catalog.current_setting('supautils.privileged_extensions', true)),
                  '[[:space:],]+'))
       ) THEN 'allowed' WHEN count(*) > 0 THEN 'refused' END
FROM pg_catalog.pg_available_extension_versions v
JOIN pg_catalog.pg_available_extensions e ON e.name = v.name AND e.default_version = v.version
WHERE v.name = 'vector'
"""


def admin(*, separates: bool) -> str:
    """Ask who the admin is and what it may do.

    Args:
        separates: Whether CREATEROLE alone is not enough to administer a role (16 and later).
    """
    option = "pg_catalog.pg_has_role('pg_read_all_data', 'USAGE WITH ADMIN OPTION')"
    return _ADMIN.format(reads_all=f"rolsuper OR {option if separates else 'rolcreaterole'}")


def roles(*, separates: bool) -> str:
    """Ask for the roles among the names $1.

    Args:
        separates: As above; then memberships have options too, and one without any lends nothing.
    """
    rule = (
        "pg_catalog.pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION')"
        if separates
        else "NOT rolsuper AND (SELECT a.rolcreaterole FROM pg_catalog.pg_roles a"
        " WHERE a.rolname = current_user)"
    )
    superuser = "(SELECT a.rolsuper FROM pg_catalog.pg_roles a WHERE a.rolname = current_user)"
    return _ROLES.format(
        administered=f"({superuser} OR ({rule}))",
        usable="(m.inherit_option OR m.set_option)" if separates else "true",
    )
