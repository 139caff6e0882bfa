-- What must be known of tables to make up rows for them, as one JSON object. The session has
-- search_path = pg_catalog, so that every other name comes out qualified.
--
-- $1 the schemas; $2 schema and $3 name of Alembic's version table, which is left out.
WITH RECURSIVE wanted AS (
    SELECT c.oid, c.relkind, n.nspname, c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND (n.nspname <> $2::text OR c.relname <> $3::text)
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                        AND d.objid = c.oid AND d.deptype = 'e')
),
part AS (
    SELECT oid AS root, oid, relkind, '[]'::jsonb AS levels FROM wanted WHERE relkind = 'p'
    UNION ALL
    SELECT part.root, c.oid, c.relkind,
           part.levels || jsonb_build_object(
               'columns', p.partattrs::int2[], 'strategy', p.partstrat,
               'bound', pg_get_expr(c.relpartbound, c.oid))
    FROM part
    JOIN pg_inherits h ON h.inhparent = part.oid
    JOIN pg_class c ON c.oid = h.inhrelid
    JOIN pg_partitioned_table p ON p.partrelid = part.oid
)
SELECT json_build_object(
    'tables', (
        SELECT json_agg(json_build_object(
            'oid', w.oid::bigint, 'schema', w.nspname, 'name', w.relname, 'kind', w.relkind,
            'label', quote_ident(w.nspname) || '.' || quote_ident(w.relname),
            'columns', (
                SELECT json_agg(json_build_object(
                    'number', a.attnum, 'name', a.attname, 'type', a.atttypid::bigint,
                    'modifier', a.atttypmod, 'cast', format_type(a.atttypid, a.atttypmod),
                    'required', a.attnotnull OR y.typnotnull, 'identity', a.attidentity <> '',
                    'generated', CASE WHEN a.attgenerated <> ''
                                      THEN pg_get_expr(d.adbin, d.adrelid) END,
                    'default', CASE WHEN a.attgenerated = ''
                                    THEN pg_get_expr(d.adbin, d.adrelid) END) ORDER BY a.attnum)
                FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
                LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped),
            'keys', (
                SELECT json_agg(json_build_object(
                    'columns', (i.indkey::int2[])[0:i.indnkeyatts - 1], 'deferrable', NOT i.indimmediate,
                    'partial', i.indpred IS NOT NULL OR i.indexprs IS NOT NULL,
                    'unique', i.indisunique) ORDER BY i.indisprimary DESC, i.indexrelid)
                FROM pg_index i
                WHERE i.indrelid = w.oid AND (i.indisunique OR i.indisexclusion)),
            'slow', (
                SELECT json_agg(i.indexrelid::regclass::text ORDER BY i.indexrelid)
                FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                JOIN pg_am m ON m.oid = x.relam
                WHERE i.indrelid = w.oid AND m.amname IN ('hnsw', 'ivfflat') AND i.indisvalid
                  AND x.relkind = 'i'),
            'checks', (
                SELECT json_agg(json_build_object(
                    'name', k.conname, 'columns', k.conkey,
                    'text', pg_get_expr(k.conbin, k.conrelid)) ORDER BY k.conname)
                FROM pg_constraint k WHERE k.conrelid = w.oid AND k.contype = 'c'),
            'references', (
                SELECT json_agg(json_build_object(
                    'columns', k.conkey, 'table', k.confrelid::bigint,
                    'label', k.confrelid::regclass::text,
                    'others', (SELECT json_agg(a.attname ORDER BY f.place)
                               FROM unnest(k.confkey) WITH ORDINALITY f (number, place)
                               JOIN pg_attribute a ON a.attrelid = k.confrelid
                                    AND a.attnum = f.number)) ORDER BY k.conname)
                FROM pg_constraint k
                WHERE k.conrelid = w.oid AND k.contype = 'f' AND k.conparentid = 0),
            'leaves', (
                SELECT json_agg(part.levels ORDER BY part.oid)
                FROM part WHERE part.root = w.oid AND part.relkind <> 'p')) ORDER BY w.oid)
        FROM wanted w),
    'types', (
        SELECT json_object_agg(t.oid::bigint, json_build_object(
            'name', t.typname, 'schema', n.nspname, 'label', format_type(t.oid, NULL),
            'kind', t.typtype, 'category', t.typcategory, 'base', t.typbasetype::bigint,
            'modifier', t.typtypmod, 'element', t.typelem::bigint,
            'labels', (SELECT json_agg(enumlabel ORDER BY enumsortorder)
                       FROM pg_enum WHERE enumtypid = t.oid),
            'inner', coalesce(
                (SELECT rngsubtype FROM pg_range WHERE rngtypid = t.oid),
                (SELECT rngtypid FROM pg_range WHERE rngmultitypid = t.oid))::bigint,
            'checks', (SELECT json_agg(pg_get_expr(k.conbin, 0) ORDER BY k.conname)
                       FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'),
            'fields', (SELECT json_agg(json_build_array(a.atttypid::bigint, a.atttypmod)
                                       ORDER BY a.attnum)
                       FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid
                         AND a.attnum > 0 AND NOT a.attisdropped)))
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typtype <> 'p' AND (t.typtype <> 'c' OR NOT n.nspname ~ '^(pg_|information_)'))
)::text
