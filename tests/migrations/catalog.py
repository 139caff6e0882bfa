"""What is in a database, as lines that can be compared: every definition, no object ids."""

from __future__ import annotations

__all__ = ["CATALOG"]

# Objects that belong to an extension are the extension's business; catalogs are PostgreSQL's.
# Privileges are compared as they act: none recorded is the same as the defaults recorded.
# `object` names whatever else there may be (operators, casts, rules, languages, publications and
# so on), so that nothing of a kind that has no line of its own goes unseen.
CATALOG = """
WITH own AS (
    SELECT n.*, nspname AS label FROM pg_namespace n
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
members AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
relations AS (
    SELECT c.*, format('%I.%I', own.nspname, c.relname) AS label
    FROM pg_class c JOIN own ON own.oid = c.relnamespace
    WHERE ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM members)
),
types AS (
    SELECT t.*, format('%I.%I', own.nspname, t.typname) AS label
    FROM pg_type t JOIN own ON own.oid = t.typnamespace
    WHERE ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM members)
),
functions AS (
    SELECT p.*, p.oid::regprocedure AS label
    FROM pg_proc p JOIN own ON own.oid = p.pronamespace
    WHERE ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM members)
),
rights (what, label, acl) AS (
    SELECT 'schema', label, COALESCE(nspacl, acldefault('n', nspowner)) FROM own
    UNION ALL
    SELECT 'relation', label,
           COALESCE(relacl, acldefault((CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char",
                                       relowner))
    FROM relations WHERE relkind NOT IN ('i', 'I')
    UNION ALL
    SELECT 'column', format('%s.%I', r.label, attname), attacl
    FROM relations r JOIN pg_attribute a ON attrelid = r.oid WHERE attacl IS NOT NULL
    UNION ALL
    SELECT 'type', label, COALESCE(typacl, acldefault('T', typowner)) FROM types
    UNION ALL
    SELECT 'function', label::text, COALESCE(proacl, acldefault('f', proowner)) FROM functions
    UNION ALL
    SELECT 'default', concat_ws(' ', defaclrole::regrole, NULLIF(defaclnamespace, 0)::regnamespace,
                                defaclobjtype), defaclacl
    FROM pg_default_acl
),
objects (classid, objid) AS (
    SELECT 'pg_type'::regclass, oid FROM pg_type
    UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc
    UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite
    UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator
    UNION ALL SELECT 'pg_opclass'::regclass, oid FROM pg_opclass
    UNION ALL SELECT 'pg_opfamily'::regclass, oid FROM pg_opfamily
    UNION ALL SELECT 'pg_am'::regclass, oid FROM pg_am
    UNION ALL SELECT 'pg_cast'::regclass, oid FROM pg_cast
    UNION ALL SELECT 'pg_collation'::regclass, oid FROM pg_collation
    UNION ALL SELECT 'pg_conversion'::regclass, oid FROM pg_conversion
    UNION ALL SELECT 'pg_language'::regclass, oid FROM pg_language
    UNION ALL SELECT 'pg_ts_config'::regclass, oid FROM pg_ts_config
    UNION ALL SELECT 'pg_ts_dict'::regclass, oid FROM pg_ts_dict
    UNION ALL SELECT 'pg_ts_parser'::regclass, oid FROM pg_ts_parser
    UNION ALL SELECT 'pg_ts_template'::regclass, oid FROM pg_ts_template
    UNION ALL SELECT 'pg_transform'::regclass, oid FROM pg_transform
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext
    UNION ALL SELECT 'pg_event_trigger'::regclass, oid FROM pg_event_trigger
    UNION ALL SELECT 'pg_publication'::regclass, oid FROM pg_publication
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_foreign_server'::regclass, oid FROM pg_foreign_server
    UNION ALL SELECT 'pg_largeobject'::regclass, oid FROM pg_largeobject_metadata
)
SELECT format('relation %s %s owner %s kept as %s options %s row security %s forced %s comment %s',
              relkind, label, relowner::regrole, relpersistence, reloptions, relrowsecurity,
              relforcerowsecurity, obj_description(oid, 'pg_class')) AS line
FROM relations
UNION ALL
SELECT format('column %s.%s %s %s not null %s default %s identity %s generated %s storage %s'
              ' collation %s comment %s', r.label,
              a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
              pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, a.attstorage,
              NULLIF(a.attcollation, 0)::regcollation, col_description(r.oid, a.attnum))
FROM relations r
JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
WHERE r.relkind NOT IN ('i', 'I', 'S')
UNION ALL
SELECT format('sequence %s %s from %s by %s between %s and %s cache %s cycle %s', r.label,
              seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle)
FROM pg_sequence JOIN relations r ON r.oid = seqrelid
UNION ALL
SELECT format('constraint %s %s %s comment %s', COALESCE(r.label, t.label), k.conname,
              pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint'))
FROM pg_constraint k
LEFT JOIN relations r ON r.oid = k.conrelid
LEFT JOIN types t ON t.oid = k.contypid
WHERE r.oid IS NOT NULL OR t.oid IS NOT NULL
UNION ALL
SELECT format('index %s valid %s', pg_get_indexdef(i.indexrelid), i.indisvalid)
FROM pg_index i JOIN relations r ON r.oid = i.indexrelid
UNION ALL
SELECT format('view %s %s', label, pg_get_viewdef(oid)) FROM relations WHERE relkind IN ('v', 'm')
UNION ALL
SELECT format('trigger %s enabled %s comment %s', pg_get_triggerdef(t.oid), t.tgenabled,
              obj_description(t.oid, 'pg_trigger'))
FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL
SELECT format('policy %s %s permissive %s for %s to %s using %s check %s comment %s', r.label,
              polname, polpermissive, polcmd,
              (SELECT string_agg(COALESCE(rolname, 'public'), ',' ORDER BY rolname)
               FROM unnest(polroles) AS role LEFT JOIN pg_roles ON pg_roles.oid = role),
              pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid),
              obj_description(p.oid, 'pg_policy'))
FROM pg_policy p JOIN relations r ON r.oid = polrelid
UNION ALL
SELECT format('type %s %s owner %s labels %s base %s default %s comment %s', typtype, label,
              typowner::regrole,
              (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum
               WHERE enumtypid = types.oid),
              NULLIF(typbasetype, 0)::regtype, typdefault, obj_description(oid, 'pg_type'))
FROM types WHERE typtype <> 'b'
UNION ALL
SELECT format('function %s owner %s comment %s %s', label, proowner::regrole,
              obj_description(oid, 'pg_proc'),
              CASE WHEN prokind <> 'a' THEN pg_get_functiondef(oid) END)
FROM functions
UNION ALL
SELECT format('rights %s %s %s', what, label,
              (SELECT string_agg(item::text, ' ' ORDER BY item::text) FROM unnest(acl) AS item))
FROM rights
UNION ALL
SELECT format('schema %s owner %s comment %s', label, nspowner::regrole,
              obj_description(oid, 'pg_namespace'))
FROM own
UNION ALL
SELECT format('object %s %s', found.type, found.identity)
FROM objects, pg_identify_object(classid, objid, 0) AS found
WHERE objid >= 16384  -- what initdb made is below
AND (classid, objid) NOT IN (SELECT classid, objid FROM members)
AND found.schema IS DISTINCT FROM 'pg_toast'
UNION ALL
SELECT format('setting of %s: %s', NULLIF(setrole, 0)::regrole, setconfig)
FROM pg_db_role_setting
WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT format('extension %s in %s comment %s', extname, extnamespace::regnamespace,
              obj_description(oid, 'pg_extension'))
FROM pg_extension
ORDER BY line
"""
