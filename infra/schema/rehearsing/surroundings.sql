-- What an administrator arranges around a schema, as one JSON object. Catalogs that everybody may
-- read alone; rows are taken as JSON where PostgreSQL 14 to 17 differ in their columns. No password
-- is in it: pg_roles shows none.
WITH grants (kind, id, grantee, privilege, grantable) AS (
    SELECT kind, id, CASE x.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(x.grantee)::text END,
           x.privilege_type, x.is_grantable
    FROM (SELECT 'schema' AS kind, oid AS id, coalesce(nspacl, acldefault('n', nspowner)) AS acl
          FROM pg_namespace
          UNION ALL
          SELECT 'database', oid, coalesce(datacl, acldefault('d', datdba))
          FROM pg_database WHERE datname = current_database()
          UNION ALL
          SELECT 'default', oid, defaclacl FROM pg_default_acl) lists,
    LATERAL aclexplode(acl) x
),
rights AS (
    SELECT kind, id, json_agg(json_build_object('grantee', grantee, 'privilege', privilege,
                                                'grantable', grantable)) AS list
    FROM grants GROUP BY kind, id
)
SELECT json_build_object(
    'server', current_setting('server_version_num')::int,
    'login', session_user,
    'database', (
        SELECT to_jsonb(d) || jsonb_build_object(
                   'owner', pg_get_userbyid(d.datdba), 'charset', pg_encoding_to_char(d.encoding),
                   'rights', (SELECT list FROM rights WHERE kind = 'database' AND id = d.oid))
        FROM pg_database d WHERE datname = current_database()),
    'roles', (
        SELECT json_agg(to_jsonb(r) - '{rolpassword,rolconfig,rolvaliduntil}'::text[] ORDER BY oid)
        FROM pg_roles r WHERE rolname !~ '^pg_'),
    'memberships', (
        SELECT json_agg(json_build_object(
                   'group', g.rolname, 'member', r.rolname, 'admin', m.admin_option,
                   'inherit', to_jsonb(m) -> 'inherit_option', 'set', to_jsonb(m) -> 'set_option')
                   ORDER BY m.admin_option, g.rolname)
        FROM pg_auth_members m
        JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member
        WHERE r.rolname !~ '^pg_'),
    'settings', (
        SELECT json_agg(json_build_object('inside', s.setdatabase <> 0, 'role', r.rolname,
                                          'config', s.setconfig))
        FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
        WHERE (s.setrole = 0 OR r.rolname = session_user)
          AND s.setdatabase IN (0, (SELECT oid FROM pg_database
                                    WHERE datname = current_database()))),
    'schemas', (
        SELECT json_agg(json_build_object(
                   'name', n.nspname, 'owner', pg_get_userbyid(n.nspowner),
                   'enters', has_schema_privilege(n.oid, 'USAGE'),
                   'extension', (
                       SELECT extname FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
                       WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid
                         AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'),
                   'rights', (SELECT list FROM rights WHERE kind = 'schema' AND id = n.oid))
                   ORDER BY n.oid)
        FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
    'extensions', (
        SELECT json_agg(json_build_object(
                   'name', x.extname, 'version', x.extversion, 'schema', s.nspname,
                   'owner', pg_get_userbyid(x.extowner),
                   'comment', obj_description(x.oid, 'pg_extension')) ORDER BY x.oid)
        FROM pg_extension x JOIN pg_namespace s ON s.oid = x.extnamespace),
    'defaults', (
        SELECT json_agg(json_build_object(
                   'role', pg_get_userbyid(d.defaclrole), 'schema', n.nspname,
                   'objects', CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'
                       WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' END,
                   'rights', (SELECT list FROM rights WHERE kind = 'default' AND id = d.oid)))
        FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
        WHERE d.defaclobjtype IN ('r', 'S', 'f', 'T', 'n'))
)::text
