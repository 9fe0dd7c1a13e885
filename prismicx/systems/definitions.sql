-- How to make again what one schema holds. These texts are deparsed one by one, so this is for one schema at a time.
-- The search path is the schema, so that its name is in none of them.

-- name: definitions
-- $1 the schema. One row for each object that a statement makes; `needs` are the nodes that must be there before.
WITH wanted AS (SELECT oid, nspname::text AS name FROM pg_namespace WHERE nspname = $1),
relations AS (
    SELECT c.*, quote_ident(c.relname) AS object FROM pg_class c JOIN wanted w ON w.oid = c.relnamespace
),
columns AS (
    SELECT a.attrelid, a.attnum, quote_ident(a.attname) AS name, a.attislocal, concat_ws(' ',
        quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation::text END,
        CASE a.attgenerated WHEN 's' THEN 'GENERATED ALWAYS AS (' || e.value || ') STORED'
            WHEN 'v' THEN 'GENERATED ALWAYS AS (' || e.value || ') VIRTUAL' ELSE 'DEFAULT ' || e.value END,
        CASE WHEN a.attidentity <> '' THEN (
            SELECT format('GENERATED %s AS IDENTITY (SEQUENCE NAME %I START %s INCREMENT %s '
                          || 'MINVALUE %s MAXVALUE %s CACHE %s%s)',
                          CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, i.relname, s.seqstart,
                          s.seqincrement, s.seqmin, s.seqmax, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' END)
            FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid JOIN pg_class i ON i.oid = d.objid
            WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i'
                AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum) END,
        CASE WHEN a.attnotnull THEN 'NOT NULL' END) AS definition
    FROM pg_attribute a JOIN relations c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    , LATERAL (SELECT pg_get_expr(d.adbin, d.adrelid) AS value) e
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'c')
),
made AS (
    SELECT 'type' AS kind, quote_ident(t.typname) AS object, 'pg_type'::regclass AS class, t.oid,
           CASE t.typtype WHEN 'e' THEN format('CREATE TYPE %I AS ENUM (%s)', t.typname, (
               SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum
                   WHERE enumtypid = t.oid))
           ELSE (
               SELECT format('CREATE TYPE %I AS RANGE (%s)', t.typname, concat_ws(', ',
                   'SUBTYPE = ' || format_type(r.rngsubtype, NULL),
                   'SUBTYPE_OPCLASS = ' || (SELECT quote_ident(opcname) FROM pg_opclass WHERE oid = r.rngsubopc),
                   'COLLATION = ' || nullif(r.rngcollation, 0)::regcollation::text,
                   'SUBTYPE_DIFF = ' || nullif(r.rngsubdiff::oid, 0)::regproc::text,
                   'MULTIRANGE_TYPE_NAME = ' || format_type(r.rngmultitypid, NULL)))
               FROM pg_range r WHERE r.rngtypid = t.oid) END AS statement
    FROM pg_type t JOIN wanted w ON w.oid = t.typnamespace WHERE t.typtype IN ('e', 'r')
    UNION ALL
    SELECT 'domain', quote_ident(t.typname), 'pg_type'::regclass, t.oid,
           concat_ws(' ', format('CREATE DOMAIN %I AS %s', t.typname, format_type(t.typbasetype, t.typtypmod)),
               CASE WHEN t.typcollation <> b.typcollation THEN 'COLLATE ' || t.typcollation::regcollation::text END,
               'DEFAULT ' || coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault),
               CASE WHEN t.typnotnull THEN 'NOT NULL' END, (
               SELECT string_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)),
                   ' ' ORDER BY k.conname)
               FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
    FROM pg_type t JOIN wanted w ON w.oid = t.typnamespace JOIN pg_type b ON b.oid = t.typbasetype
    WHERE t.typtype = 'd'
    UNION ALL
    SELECT 'domain constraint', quote_ident(t.typname) || '.' || quote_ident(k.conname), 'pg_constraint'::regclass,
        k.oid,
           format('ALTER DOMAIN %I ADD CONSTRAINT %I %s', t.typname, k.conname, pg_get_constraintdef(k.oid))
    FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN wanted w ON w.oid = t.typnamespace
    WHERE k.contype = 'c'
    UNION ALL
    SELECT 'type', c.object, 'pg_class'::regclass, c.oid, format('CREATE TYPE %I AS (%s)', c.relname, (
        SELECT string_agg(a.definition, ', ' ORDER BY a.attnum) FROM columns a WHERE a.attrelid = c.oid))
    FROM relations c WHERE c.relkind = 'c'
    UNION ALL
    SELECT 'sequence', c.object, 'pg_class'::regclass, c.oid,
           format('CREATE %sSEQUENCE %I AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s CACHE %s%s',
                  CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' END, c.relname, format_type(s.seqtypid, NULL),
                      s.seqstart,
                  s.seqincrement, s.seqmin, s.seqmax, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' END)
    FROM relations c JOIN pg_sequence s ON s.seqrelid = c.oid
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.deptype = 'i')
    UNION ALL
    SELECT 'function', quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')',
           'pg_proc'::regclass, p.oid,
           regexp_replace(rtrim(pg_get_functiondef(p.oid), E' \n'),
               '^(CREATE OR REPLACE (?:FUNCTION|PROCEDURE) )' || regexp_replace(quote_ident(w.name), '([^\w"])',
                   '\\\1', 'g')
                   || '\.', '\1')
    FROM pg_proc p JOIN wanted w ON w.oid = p.pronamespace
    WHERE p.prokind <> 'a' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
        AND d.objid = p.oid AND d.deptype = 'i' AND d.refclassid = 'pg_type'::regclass)
    UNION ALL
    SELECT 'table', c.object, 'pg_class'::regclass, c.oid, concat(
        'CREATE ', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' END, 'TABLE ', c.object, ' (',
        (SELECT string_agg(a.definition, ', ' ORDER BY a.attnum) FROM columns a
         WHERE a.attrelid = c.oid AND (a.attislocal OR c.relispartition)), ')',
        CASE WHEN NOT c.relispartition THEN ' INHERITS (' || (
            SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) FROM pg_inherits
                WHERE inhrelid = c.oid)
            || ')' END,
        ' PARTITION BY ' || pg_get_partkeydef(c.oid), ' WITH (' || array_to_string(c.reloptions, ', ') || ')')
    FROM relations c WHERE c.relkind IN ('r', 'p')
    UNION ALL
    SELECT 'partition', c.object, 'pg_inherits'::regclass, c.oid,
           format('ALTER TABLE %s ATTACH PARTITION %s %s', h.inhparent::regclass, c.object,
               pg_get_expr(c.relpartbound, c.oid))
    FROM relations c JOIN pg_inherits h ON h.inhrelid = c.oid WHERE c.relispartition AND c.relkind IN ('r', 'p')
    UNION ALL
    SELECT 'column', c.object || '.' || a.name, 'pg_attribute'::regclass, c.oid,
           format('ALTER TABLE %s ADD COLUMN %s', c.object, a.definition)
    FROM columns a JOIN relations c ON c.oid = a.attrelid WHERE c.relkind <> 'c' AND (a.attislocal OR c.relispartition)
    UNION ALL
    SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialised view' END, c.object, 'pg_class'::regclass, c.oid,
           format('CREATE %sVIEW %s%s AS %s%s', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED ' END, c.object,
               ' WITH (' || array_to_string(c.reloptions, ', ') || ')', rtrim(pg_get_viewdef(c.oid), ';'),
               CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN ' WITH NO DATA' END)
    FROM relations c WHERE c.relkind IN ('v', 'm')
    UNION ALL
    SELECT CASE k.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END, c.object || '.' || quote_ident(k.conname),
           'pg_constraint'::regclass, k.oid,
           format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.object, k.conname, pg_get_constraintdef(k.oid))
    FROM pg_constraint k JOIN relations c ON c.oid = k.conrelid
    WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.conislocal
    UNION ALL
    SELECT 'index', c.object || '.' || i.object, 'pg_class'::regclass, i.oid, pg_get_indexdef(i.oid, 0, true)
    FROM relations i JOIN pg_index x ON x.indexrelid = i.oid JOIN relations c ON c.oid = x.indrelid
    WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.oid AND k.contype IN ('p', 'u', 'x'))
    UNION ALL
    SELECT 'rule', c.object || '.' || quote_ident(r.rulename), 'pg_rewrite'::regclass, r.oid,
           rtrim(pg_get_ruledef(r.oid, true), ';')
    FROM pg_rewrite r JOIN relations c ON c.oid = r.ev_class WHERE r.rulename <> '_RETURN'
    UNION ALL
    SELECT 'trigger', c.object || '.' || quote_ident(t.tgname), 'pg_trigger'::regclass, t.oid,
        pg_get_triggerdef(t.oid, true)
    FROM pg_trigger t JOIN relations c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgparentid = 0
    UNION ALL
    SELECT 'policy', c.object || '.' || quote_ident(p.polname), 'pg_policy'::regclass, p.oid, concat(
        format('CREATE POLICY %I ON %s AS %s FOR %s TO {roles}', p.polname, c.object,
            CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
            CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                ELSE 'ALL' END),
        ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
        ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
    FROM pg_policy p JOIN relations c ON c.oid = p.polrelid
    UNION ALL
    SELECT 'statistics', quote_ident(s.stxname), 'pg_statistic_ext'::regclass, s.oid,
           replace(pg_get_statisticsobjdef(s.oid), 'CREATE STATISTICS ' || quote_ident(w.name) || '.',
               'CREATE STATISTICS ')
    FROM pg_statistic_ext s JOIN wanted w ON w.oid = s.stxnamespace
),
-- What stands for what in dependencies: a default for its table, a row type for its relation, an index for its
-- constraint.
stands AS (
    SELECT 'pg_attrdef'::regclass AS class, d.oid, 'pg_class'::regclass AS for_class, d.adrelid AS for_oid
    FROM pg_attrdef d JOIN relations c ON c.oid = d.adrelid
    UNION ALL
    SELECT 'pg_rewrite'::regclass, r.oid, 'pg_class'::regclass, r.ev_class
    FROM pg_rewrite r JOIN relations c ON c.oid = r.ev_class WHERE r.rulename = '_RETURN'
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, CASE WHEN e.typrelid <> 0 THEN 'pg_class'::regclass ELSE 'pg_type'::regclass END,
           CASE WHEN e.typrelid <> 0 THEN e.typrelid ELSE e.oid END
    FROM pg_type t JOIN wanted w ON w.oid = t.typnamespace
    JOIN pg_type e ON e.oid = CASE WHEN t.typelem <> 0 THEN t.typelem ELSE t.oid END
    WHERE t.typrelid <> 0 OR t.typelem <> 0
    UNION ALL
    SELECT 'pg_class'::regclass, k.conindid, 'pg_constraint'::regclass, k.oid
    FROM pg_constraint k JOIN wanted w ON w.oid = k.connamespace WHERE k.contype IN ('p', 'u', 'x')
),
edges AS (
    SELECT coalesce(a.for_class, d.classid) AS class, coalesce(a.for_oid, d.objid) AS oid,
           coalesce(b.for_class, d.refclassid)::oid || ':' || coalesce(b.for_oid, d.refobjid) AS need
    FROM pg_depend d
    LEFT JOIN stands a ON a.class = d.classid AND a.oid = d.objid
    LEFT JOIN stands b ON b.class = d.refclassid AND b.oid = d.refobjid
    -- A sequence belongs to its column, and may be what the column has as its default: it is made before, given after.
    WHERE NOT (d.classid = 'pg_class'::regclass AND d.deptype = 'a'
               AND EXISTS (SELECT FROM relations s WHERE s.oid = d.objid AND s.relkind = 'S'))
)
SELECT m.kind, m.object, m.statement, m.class::oid || ':' || m.oid AS node,
       ARRAY(SELECT DISTINCT e.need FROM edges e WHERE e.class = m.class AND e.oid = m.oid
             UNION SELECT 'pg_class'::regclass::oid || ':' || m.oid WHERE m.kind IN ('partition', 'column')
             UNION SELECT 'pg_class'::regclass::oid || ':' || h.inhparent FROM pg_inherits h
             WHERE m.kind = 'partition' AND h.inhrelid = m.oid) AS needs
FROM made m
ORDER BY m.kind, m.object
