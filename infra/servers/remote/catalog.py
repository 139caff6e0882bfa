"""The questions to the catalog of an existing server, in one place."""

from __future__ import annotations

__all__ = [
    "AVAILABLE",
    "CLUSTER",
    "DATABASE",
    "FIRST_RUN",
    "INSTALLED",
    "LEDGER",
    "NO_WRITES",
    "SCHEMAS",
    "SETTINGS",
    "TABLES",
    "VERSIONED",
    "admin",
    "owners",
    "roles",
]

NO_WRITES = """
SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'it is a standby'
            WHEN pg_catalog.current_setting('transaction_read_only') = 'on'
            THEN 'its default_transaction_read_only is on' END
"""

# Whether the ledger of the schema may be read; NULL where there is none.
LEDGER = """
SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
       AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'schema_ledger' AND c.relname = 'events'
"""
FIRST_RUN = "SELECT run::text FROM schema_ledger.events ORDER BY id LIMIT 1"

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
SELECT r.rolname::text AS name, r.rolcanlogin AS login,
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
       pg_catalog.pg_encoding_to_char(encoding)::text AS encoding,
       ARRAY(SELECT a.privilege_type FROM pg_catalog.aclexplode(
                 COALESCE(datacl, pg_catalog.acldefault('d', datdba))) a
             WHERE a.grantee = 0 ORDER BY 1) AS public
FROM pg_catalog.pg_database WHERE datname = $1
"""

# Those of the roles $2 that are set in the database $1 alone.
SETTINGS = """
SELECT r.rolname::text AS role, s.setconfig AS entries
FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
WHERE d.datname = $1 AND r.rolname = ANY ($2::text[]) ORDER BY 1
"""

SCHEMAS = """
SELECT n.nspname::text AS name, pg_catalog.pg_get_userbyid(n.nspowner)::text AS owner,
       ARRAY(SELECT a.privilege_type FROM pg_catalog.aclexplode(
                 COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
             WHERE a.grantee = 0 ORDER BY 1) AS public,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION') AS grantable
FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY ($1::text[]) ORDER BY 1
"""

VERSIONED = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = 'alembic_version' AND c.relkind IN ('r', 'p'))
"""

TABLES = """
SELECT count(*)::int FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND n.nspname !~ '^pg_'
    AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                        AND d.objid = c.oid AND d.deptype = 'e')
"""

INSTALLED = """
SELECT e.extname::text AS name, n.nspname::text AS schema, e.extversion::text AS version,
       CASE WHEN pg_catalog.has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION') THEN ''
            ELSE pg_catalog.pg_get_userbyid(n.nspowner)::text END AS barrier
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname <> 'plpgsql' ORDER BY 1
"""

# Whose objects migrations in the schema $1 meet, and whether the owner's role $2 may change them.
# What an extension brought along is not for migrations.
_OWNERS = """
WITH object AS (
    SELECT c.relowner AS owner, c.relname::text AS relation, NULL AS other
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
        AND d.objid = c.oid AND d.deptype IN ('e', 'i', 'a'))
    UNION ALL
    SELECT p.proowner, NULL, format('ROUTINE %I.%I(%s)', n.nspname, p.proname,
                                    pg_catalog.pg_get_function_identity_arguments(p.oid))
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = $1 AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass
        AND d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT t.typowner, NULL, format('TYPE %I.%I', n.nspname, t.typname)
    FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
    WHERE n.nspname = $1 AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_type'::regclass
        AND d.objid = t.oid AND d.deptype = 'e')
    UNION ALL
    SELECT datdba, NULL, NULL FROM pg_catalog.pg_database WHERE datname = current_database()
    UNION ALL
    SELECT nspowner, NULL, NULL FROM pg_catalog.pg_namespace WHERE nspname = $1
)
SELECT r.rolname::text AS name, r.rolsuper AS superuser, r.rolcanlogin AS login,
       {administered} AS administered,
       EXISTS (SELECT FROM pg_catalog.pg_roles o WHERE o.rolname = $2
               AND pg_catalog.pg_has_role(o.oid, r.oid, 'USAGE')) AS reached,
       array_remove(array_agg(DISTINCT object.relation ORDER BY object.relation), NULL)
           AS relations,
       array_remove(array_agg(DISTINCT object.other ORDER BY object.other), NULL) AS others
FROM object JOIN pg_catalog.pg_roles r ON r.oid = object.owner
WHERE r.rolname <> 'pg_database_owner'
GROUP BY r.oid, r.rolname, r.rolsuper, r.rolcanlogin ORDER BY 1
"""

# A managed service lets its own administrators make what elsewhere takes a superuser, by a role
# of the service or by a list in its settings, and says so nowhere in pg_available_extensions.
AVAILABLE = """
SELECT v.name::text AS name, e.default_version::text AS version,
       COALESCE(v.requires, '{}')::text[] AS requires,
       NOT v.superuser OR v.trusted
       OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
       OR EXISTS (SELECT FROM pg_catalog.pg_roles
                  WHERE rolname IN ('rds_superuser', 'azure_pg_admin', 'cloudsqlsuperuser',
                                    'alloydbsuperuser', 'neon_superuser')
                      AND pg_catalog.pg_has_role(oid, 'MEMBER'))
       OR v.name = ANY (pg_catalog.regexp_split_to_array(concat_ws(',',
              pg_catalog.current_setting('extwlist.extensions', true),
              pg_catalog.current_setting('supautils.privileged_extensions', true)),
              '[[:space:],]+')) AS allowed
FROM pg_catalog.pg_available_extension_versions v
JOIN pg_catalog.pg_available_extensions e ON e.name = v.name AND e.default_version = v.version
WHERE v.name = ANY ($1::text[]) ORDER BY 1
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
    return _ROLES.format(
        administered=_administered(separates=separates),
        usable="(m.inherit_option OR m.set_option)" if separates else "true",
    )


def owners(*, separates: bool) -> str:
    """Ask whose objects are in the schema $1, with the owner's role as $2.

    Args:
        separates: As above.
    """
    return _OWNERS.format(administered=_administered(separates=separates))


def _administered(*, separates: bool) -> str:
    rule = (
        "pg_catalog.pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION')"
        if separates
        else "NOT r.rolsuper AND (SELECT a.rolcreaterole FROM pg_catalog.pg_roles a"
        " WHERE a.rolname = current_user)"
    )
    superuser = "(SELECT a.rolsuper FROM pg_catalog.pg_roles a WHERE a.rolname = current_user)"
    return f"({superuser} OR ({rule}))"
