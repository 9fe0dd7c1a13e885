-- What schemas hold, from pg_catalog, as facts that are equal for two schemas that differ in their name and roles only.
--
-- Reading thousands of schemas is fast because nothing is deparsed twice: what is the same in the raw catalogue, such
-- as the index `i` over the same columns of the table `t` in each schema, is grouped first, and PostgreSQL is asked for
-- the text of one member of each group. The key of a group holds all that the text depends on, so that what is said
-- of a schema never depends on which others are asked about.

-- name: facts
-- $1 names of schemas, each once, $2 the roles that own them, $3 the roles that use them, $4 a random number. A fact is
-- about a place in `schemas`. A text is `literal` when the name of the schema in it is no reference.
WITH wanted AS MATERIALIZED (
    SELECT n.oid, n.nspname::text AS name, n.nspowner AS owned_by, n.nspacl AS acl, o.oid AS owner, u.oid AS user_,
           CASE WHEN quote_ident(n.nspname) = n.nspname THEN '\m' ELSE '' END
               || regexp_replace(quote_ident(n.nspname), '([^\w"])', '\\\1', 'g') || '\.' AS pattern,
           -- In the order in which default privileges give them.
           (quote_ident(u.rolname) || '=arwd/' || quote_ident(o.rolname))::aclitem || acldefault('r', o.oid)
               AS of_tables,
           (quote_ident(u.rolname) || '=rU/' || quote_ident(o.rolname))::aclitem || acldefault('s', o.oid)
               AS of_sequences,
           acldefault('n', o.oid) || (quote_ident(u.rolname) || '=U/' || quote_ident(o.rolname))::aclitem AS of_schema,
           ARRAY[(quote_ident(u.rolname) || '=arwd/' || quote_ident(o.rolname))::aclitem] AS later_tables,
           ARRAY[(quote_ident(u.rolname) || '=rU/' || quote_ident(o.rolname))::aclitem] AS later_sequences
    FROM unnest($1::text[], $2::text[], $3::text[]) AS a (name, owner, user_)
    JOIN pg_namespace n ON n.nspname = a.name
    LEFT JOIN pg_roles o ON o.rolname = a.owner
    LEFT JOIN pg_roles u ON u.rolname = a.user_
),
-- Read once: it holds what other schemas have, too, and nothing in it is found by its schema.
classes AS MATERIALIZED (
    SELECT c.oid, c.relnamespace AS schema, c.relname AS name, c.relkind, c.relowner, c.relpersistence,
           c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.relispartition, c.relpartbound, c.relreplident,
           c.reltablespace, c.relam, c.reloftype, c.relacl
    FROM pg_class c JOIN wanted w ON w.oid = c.relnamespace
),
relations AS MATERIALIZED (
    SELECT c.*, quote_ident(c.name) AS object,
           CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialised view' WHEN 'S' THEN 'sequence'
               WHEN 'c' THEN 'type' ELSE 'table' END AS kind
    FROM classes c WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c')
),
-- A column alone is a number of 64 bits here, and so are all of a table together; its indexes and its constraints, too.
-- With a seed of each look, $4, nobody can make columns that look like others.
columns_of AS MATERIALIZED (
    SELECT oid, bit_xor(number) AS number, bool_or(granted) AS granted
    FROM (
        SELECT a.attrelid AS oid, a.attacl IS NOT NULL AND NOT a.attisdropped AS granted, hash_record_extended(ROW(
                a.attnum, a.atttypid, a.atttypmod, a.attnotnull, a.attidentity, a.attgenerated, a.attstorage,
                a.attislocal, a.attcompression, a.attcollation, a.attinhcount, a.attstattarget, a.attoptions, a.attname,
                d.adbin::text
            ), $4) AS number
        FROM relations c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef d ON a.atthasdef AND d.adrelid = a.attrelid AND d.adnum = a.attnum
        OFFSET 0
    ) a
    GROUP BY oid
),
-- Methods other than btree have options of operator classes, which are kept elsewhere: those indexes stand alone.
indexes_of AS (
    SELECT oid, bit_xor(number) AS number
    FROM (
        SELECT x.indrelid AS oid, hash_record_extended(ROW(
                i.name, i.reloptions, i.relam, i.relkind, x.indkey::int2[], x.indclass, x.indoption::int2[],
                x.indcollation, x.indexprs::text, x.indpred::text, x.indisunique, x.indnullsnotdistinct,
                x.indnkeyatts, x.indisvalid AND x.indisready, x.indisclustered
            ), $4) AS number
        FROM classes i JOIN pg_index x ON x.indexrelid = i.oid
        WHERE i.relkind IN ('i', 'I')
        OFFSET 0
    ) x
    GROUP BY oid
),
-- conenforced and conperiod came with PostgreSQL 18: where a column is missing, the value beside it is meant.
constraints_of AS (
    SELECT conrelid AS oid, bit_xor(k.number) AS number
    FROM (SELECT true AS conenforced, false AS conperiod) AS missing
    CROSS JOIN LATERAL (
        SELECT conrelid, hash_record_extended(ROW(
            conname, contype, convalidated, conislocal, connoinherit, condeferrable, condeferred, conkey, conbin::text,
            conenforced, conperiod
        ), $4) AS number
        FROM wanted w JOIN pg_constraint ON connamespace = w.oid
        WHERE contype IN ('p', 'u', 'c', 'x') OR (contype = 'n' AND (NOT convalidated OR connoinherit))
    ) k
    GROUP BY conrelid
),
-- Tables of the same name, columns, dropped ones included, indexes and constraints; what refers to other things stands
-- alone.
layouts AS MATERIALIZED (
    SELECT min(c.oid) AS oid, c.name, c.relkind, array_agg(c.oid) AS members, array_agg(c.schema) AS schemas
    FROM relations c
    LEFT JOIN columns_of a USING (oid) LEFT JOIN indexes_of i USING (oid) LEFT JOIN constraints_of k USING (oid)
    WHERE c.relkind NOT IN ('v', 'S')
    GROUP BY c.name, c.relkind, a.number, i.number, k.number, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
             c.reloptions, c.relreplident, c.reltablespace, c.relam,
             CASE WHEN c.relkind = 'r' AND NOT c.relispartition AND c.relreplident <> 'i' AND c.reloftype = 0
                 THEN 0 ELSE c.oid END
),
placed AS MATERIALIZED (
    SELECT l.oid AS layout, l.name, m.oid, m.schema
    FROM layouts l, unnest(l.members, l.schemas) AS m (oid, schema)
),
columns AS (
    SELECT l.oid AS layout, c.relnamespace AS schema, l.relkind, a.*, t.typcollation, t.typstorage,
           pg_get_expr(d.adbin, d.adrelid) AS expression
    FROM layouts l
    -- There are few layouts, which the planner does not know.
    CROSS JOIN LATERAL (SELECT * FROM pg_attribute WHERE attrelid = l.oid OFFSET 0) a
    CROSS JOIN LATERAL (SELECT typcollation, typstorage FROM pg_type WHERE oid = a.atttypid OFFSET 0) t
    CROSS JOIN LATERAL (SELECT relnamespace FROM pg_class WHERE oid = l.oid OFFSET 0) c
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE l.relkind <> 'm' AND a.attnum > 0 AND NOT a.attisdropped
),
indexes AS (
    SELECT i.oid, x.table_name, i.relnamespace AS schema, i.relname AS name, i.reloptions,
           x.indisvalid AND x.indisready AS valid, x.indisclustered AS clustered, coalesce((
               SELECT true FROM pg_constraint k
               WHERE k.conrelid = x.indrelid AND k.conindid = i.oid AND k.contype IN ('p', 'u', 'x') LIMIT 1
           ), false) AS constrains, x.schemas
    FROM (
        SELECT x.*, l.name AS table_name, l.schemas, true AS btree
        FROM layouts l CROSS JOIN LATERAL (SELECT * FROM pg_index WHERE indrelid = l.oid OFFSET 0) x
        UNION ALL
        SELECT x.*, p.name, ARRAY[p.schema], false
        FROM classes i JOIN pg_index x ON x.indexrelid = i.oid JOIN placed p ON p.oid = x.indrelid
        WHERE i.relkind IN ('i', 'I') AND i.relam <> 403
    ) x
    CROSS JOIN LATERAL (SELECT * FROM pg_class WHERE oid = x.indexrelid OFFSET 0) i
    WHERE (i.relam = 403) = x.btree
),
-- A foreign key depends on the table that it refers to as well, and one that excludes on its operators.
constraints AS (
    SELECT k.oid, l.name AS table_name, k.conname AS name, k.convalidated AS validated, k.conislocal AS local, l.schemas
    FROM layouts l CROSS JOIN LATERAL (SELECT * FROM pg_constraint WHERE conrelid = l.oid OFFSET 0) k
    WHERE k.contype IN ('p', 'u', 'c') OR (k.contype = 'n' AND (NOT k.convalidated OR k.connoinherit))
    UNION ALL
    SELECT min(k.oid), p.name, k.conname, k.convalidated, k.conislocal, array_agg(p.schema)
    FROM (SELECT true AS conenforced, false AS conperiod) AS missing
    CROSS JOIN LATERAL (
        SELECT oid, conname, contype, conrelid, confrelid, convalidated, conislocal, connoinherit, condeferrable,
               condeferred, conkey, confkey, confupdtype, confdeltype, confmatchtype, confdelsetcols, conenforced,
               conperiod
        FROM pg_constraint WHERE contype IN ('f', 'x')
    ) k
    JOIN placed p ON p.oid = k.conrelid
    LEFT JOIN placed f ON f.oid = k.confrelid AND f.schema = p.schema AND k.confrelid <> 0
    GROUP BY p.layout, p.name, k.conname, coalesce(f.layout, k.confrelid), f.layout IS NULL,
             k.convalidated, k.conislocal, k.connoinherit, k.condeferrable, k.condeferred, k.conkey,
             k.confkey, k.confupdtype, k.confdeltype, k.confmatchtype, k.confdelsetcols, k.conenforced, k.conperiod,
             CASE WHEN k.contype = 'x' THEN k.oid END
),
types AS (
    SELECT t.*, w.oid AS schema, quote_ident(t.typname) AS object
    FROM pg_type t JOIN wanted w ON w.oid = t.typnamespace
    WHERE t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'b' AND t.typelem = 0)
        OR (t.typtype = 'b' AND t.typsubscript = 'raw_array_subscript_handler'::regproc)
),
functions AS (
    SELECT p.*, w.oid AS schema,
           quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS object
    FROM pg_proc p JOIN wanted w ON w.oid = p.pronamespace
    -- The functions that build a range belong to its type.
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                      AND d.deptype = 'i' AND d.refclassid = 'pg_type'::regclass)
),
-- Whoever may do what, where it is not what the owner has and the user is given everywhere. What tables and sequences
-- that come later will give the user is said once for all schemas where it is as usual; where it is missing, so is that.
rights AS (
    SELECT oid AS schema, 'schema' AS kind, '' AS object, 'grants' AS aspect, owned_by AS owner,
           coalesce(acl, acldefault('n', owned_by)) AS acl, of_schema AS usual, ARRAY[oid] AS schemas
    FROM wanted WHERE acl IS DISTINCT FROM of_schema
    UNION ALL
    SELECT c.schema, c.kind, c.object, 'grants', c.relowner,
           coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)),
           CASE c.relkind WHEN 'S' THEN w.of_sequences ELSE w.of_tables END, ARRAY[c.schema]
    FROM relations c JOIN wanted w ON w.oid = c.schema
    WHERE c.relkind <> 'c' AND c.relacl IS DISTINCT FROM CASE c.relkind WHEN 'S' THEN w.of_sequences
        ELSE w.of_tables END
    UNION ALL
    SELECT c.schema, 'column', c.object || '.' || quote_ident(a.attname), 'grants', c.relowner, a.attacl, '{}',
           ARRAY[c.schema]
    FROM columns_of o
    CROSS JOIN LATERAL (SELECT * FROM pg_attribute WHERE attrelid = o.oid OFFSET 0) a
    JOIN relations c ON c.oid = o.oid
    WHERE o.granted AND a.attacl IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT schema, 'function', object, 'grants', proowner, proacl, acldefault('f', proowner), ARRAY[schema]
    FROM functions WHERE proacl IS NOT NULL
    UNION ALL
    SELECT schema, CASE typtype WHEN 'd' THEN 'domain' ELSE 'type' END, object, 'grants', typowner, typacl,
           acldefault('T', typowner), ARRAY[schema]
    FROM types WHERE typacl IS NOT NULL
    UNION ALL
    SELECT w.oid, 'default privileges',
           CASE WHEN d.defaclrole = w.owner THEN '{owner}' ELSE quote_ident(pg_get_userbyid(d.defaclrole)) END
               || CASE d.defaclobjtype WHEN 'r' THEN ' tables' WHEN 'S' THEN ' sequences' WHEN 'f' THEN ' functions'
                  WHEN 'T' THEN ' types' ELSE ' other objects' END,
           'grants', d.defaclrole, d.defaclacl, NULL, g.schemas
    FROM (
        SELECT min(d.oid) AS oid, array_agg(w.oid) AS schemas
        FROM pg_default_acl d JOIN wanted w ON w.oid = d.defaclnamespace
        GROUP BY d.defaclobjtype, CASE WHEN d.defaclrole = w.owner AND d.defaclacl = CASE d.defaclobjtype
            WHEN 'r' THEN w.later_tables WHEN 'S' THEN w.later_sequences END THEN 0 ELSE d.oid END
    ) g
    JOIN pg_default_acl d ON d.oid = g.oid JOIN wanted w ON w.oid = d.defaclnamespace
),
said_rights AS (
    SELECT r.schema, r.schemas, r.kind, r.object, r.aspect, coalesce((
        SELECT string_agg(g.said, '; ' ORDER BY g.said COLLATE "C")
        FROM (
            SELECT who.grantee || ': ' || string_agg(
                       a.privilege_type || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END,
                       ', ' ORDER BY a.privilege_type, a.is_grantable) || who.by AS said
            FROM aclexplode(r.acl) a, LATERAL (
                SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' WHEN w.owner THEN '{owner}' WHEN w.user_ THEN '{user}'
                           ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
                       CASE a.grantor WHEN r.owner THEN '' WHEN w.owner THEN ' by {owner}'
                           ELSE ' by ' || quote_ident(pg_get_userbyid(a.grantor)) END AS by
            ) who
            GROUP BY who.grantee, who.by
        ) g), 'nobody') AS value
    FROM rights r JOIN wanted w ON w.oid = r.schema
    WHERE ARRAY(SELECT i::text FROM unnest(r.acl) i ORDER BY 1)
        IS DISTINCT FROM ARRAY(SELECT i::text FROM unnest(r.usual) i ORDER BY 1) OR r.usual IS NULL
),
owners AS (
    SELECT oid AS schema, 'schema' AS kind, '' AS object, owned_by AS owner FROM wanted
    UNION ALL SELECT schema, kind, object, relowner FROM relations WHERE relkind <> 'c'
    UNION ALL SELECT schema, 'function', object, proowner FROM functions
    UNION ALL SELECT schema, CASE typtype WHEN 'd' THEN 'domain' ELSE 'type' END, object, typowner FROM types
    UNION ALL SELECT s.stxnamespace, 'statistics', quote_ident(s.stxname), s.stxowner
    FROM pg_statistic_ext s JOIN wanted w ON w.oid = s.stxnamespace
),
comments AS (
    SELECT w.oid AS schema, 'schema' AS kind, '' AS object, d.description
    FROM pg_description d JOIN wanted w ON w.oid = d.objoid WHERE d.classoid = 'pg_namespace'::regclass
    UNION ALL
    SELECT c.schema, CASE WHEN d.objsubid = 0 THEN c.kind WHEN c.relkind = 'c' THEN 'attribute' ELSE 'column' END,
           c.object || coalesce('.' || quote_ident(a.attname), ''), d.description
    FROM pg_description d JOIN relations c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
    LEFT JOIN pg_attribute a ON d.objsubid > 0 AND a.attrelid = d.objoid AND a.attnum = d.objsubid
    UNION ALL
    SELECT t.relnamespace, 'index', quote_ident(t.relname) || '.' || quote_ident(i.relname), d.description
    FROM pg_description d JOIN pg_index x ON x.indexrelid = d.objoid AND d.classoid = 'pg_class'::regclass
    JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
        JOIN wanted w ON w.oid = t.relnamespace
    UNION ALL
    SELECT k.connamespace, CASE WHEN k.contypid <> 0 THEN 'domain constraint' ELSE 'constraint' END,
           coalesce(quote_ident(c.relname), quote_ident(t.typname)) || '.' || quote_ident(k.conname), d.description
    FROM pg_description d JOIN pg_constraint k ON k.oid = d.objoid AND d.classoid = 'pg_constraint'::regclass
    JOIN wanted w ON w.oid = k.connamespace
    LEFT JOIN pg_class c ON c.oid = k.conrelid LEFT JOIN pg_type t ON t.oid = k.contypid
    UNION ALL
    SELECT f.schema, 'function', f.object, d.description
    FROM pg_description d JOIN functions f ON f.oid = d.objoid AND d.classoid = 'pg_proc'::regclass
    UNION ALL
    SELECT w.oid, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, quote_ident(t.typname), d.description
    FROM pg_description d JOIN pg_type t ON t.oid = d.objoid AND d.classoid = 'pg_type'::regclass
    JOIN wanted w ON w.oid = t.typnamespace
    UNION ALL
    SELECT c.schema, o.kind, c.object || '.' || quote_ident(o.name), d.description
    FROM pg_description d JOIN (
        SELECT 'pg_trigger'::regclass AS class, oid, tgrelid AS relation, 'trigger' AS kind, tgname AS name
            FROM pg_trigger
        UNION ALL SELECT 'pg_policy'::regclass, oid, polrelid, 'policy', polname FROM pg_policy
        UNION ALL SELECT 'pg_rewrite'::regclass, oid, ev_class, 'rule', rulename FROM pg_rewrite
    ) o ON o.class = d.classoid AND o.oid = d.objoid
    JOIN relations c ON c.oid = o.relation
    UNION ALL
    SELECT w.oid, 'statistics', quote_ident(s.stxname), d.description
    FROM pg_description d JOIN pg_statistic_ext s ON s.oid = d.objoid AND d.classoid = 'pg_statistic_ext'::regclass
    JOIN wanted w ON w.oid = s.stxnamespace
),
texts (schema, literal, kind, object, aspect, value, schemas, layout, place) AS (
    -- Columns and attributes of types, one group for each layout.
    SELECT c.schema, c.literal, CASE c.relkind WHEN 'c' THEN 'attributes' ELSE 'columns' END, c.name, c.aspect, c.value,
           NULL::oid[], c.layout, c.attnum
    FROM (
        SELECT a.schema, a.relkind, a.layout, a.attnum, a.attname::text AS name, v.*
        FROM columns a, LATERAL (VALUES
            (false, 'type', format_type(a.atttypid, a.atttypmod)),
            (false, 'required', CASE WHEN a.attnotnull THEN 'yes' END),
            (false, 'default', CASE WHEN a.attgenerated = '' THEN a.expression END),
            (false, 'generated', CASE a.attgenerated WHEN 's' THEN a.expression || ' STORED'
                                 WHEN 'v' THEN a.expression || ' VIRTUAL' END),
            (false, 'identity', CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END),
            (false, 'collation', CASE WHEN a.attcollation <> a.typcollation
                THEN a.attcollation::regcollation::text END),
            (false, 'storage', CASE WHEN a.attstorage <> a.typstorage THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN'
                               WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' ELSE 'MAIN' END END),
            (false, 'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END),
            (false, 'inherited', CASE WHEN a.attinhcount > 0 THEN CASE WHEN a.attislocal THEN 'too'
                ELSE 'only' END END),
            (true, 'options', array_to_string(a.attoptions, ', ')),
            (false, 'statistics target', CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::text END)
        ) AS v (literal, aspect, value)
        WHERE v.value IS NOT NULL
    ) c
    UNION ALL
    -- Relations.
    SELECT c.schema, v.literal, c.kind, c.object, v.aspect, v.value, coalesce(l.schemas, ARRAY[c.schema]), NULL, 0
    FROM relations c LEFT JOIN layouts l ON l.oid = c.oid, LATERAL (VALUES
        (false, 'definition', CASE c.relkind
            WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table BY ' || pg_get_partkeydef(c.oid)
            WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'composite'
            WHEN 'S' THEN (
                SELECT concat(format_type(s.seqtypid, NULL), ' START ', s.seqstart, ' INCREMENT ', s.seqincrement,
                              ' MINVALUE ', s.seqmin, ' MAXVALUE ', s.seqmax, ' CACHE ', s.seqcache,
                              CASE WHEN s.seqcycle THEN ' CYCLE' END)
                FROM pg_sequence s WHERE s.seqrelid = c.oid)
            ELSE rtrim(pg_get_viewdef(c.oid), ';') END),
        (false, 'unlogged', CASE WHEN c.relpersistence <> 'p' THEN 'yes' END),
        (false, 'row security', CASE WHEN c.relrowsecurity THEN 'yes' END),
        (false, 'forced row security', CASE WHEN c.relforcerowsecurity THEN 'yes' END),
        (true, 'options', array_to_string(c.reloptions, ', ')),
        (false, 'replica identity', CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'i' THEN (
            SELECT 'USING INDEX ' || quote_ident(i.relname) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
            WHERE x.indrelid = c.oid AND x.indisreplident)
            WHEN 'n' THEN CASE WHEN c.relkind IN ('r', 'p') THEN 'NOTHING' END END),
        (false, 'bounds', CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END),
        (false, 'of type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END),
        (true, 'tablespace', CASE WHEN c.reltablespace <> 0 THEN (
            SELECT spcname::text FROM pg_tablespace WHERE oid = c.reltablespace) END),
        (true, 'access method', CASE WHEN c.relam NOT IN (0, 2) THEN (
            SELECT amname::text FROM pg_am WHERE oid = c.relam) END)
    ) AS v (literal, aspect, value)
    WHERE v.value IS NOT NULL AND (l.oid IS NOT NULL OR c.relkind IN ('v', 'S'))
    UNION ALL
    SELECT c.schema, false, c.kind, c.object, 'parents', string_agg(h.inhparent::regclass::text,
        ', ' ORDER BY h.inhseqno),
           ARRAY[c.schema], NULL, 0
    FROM pg_inherits h JOIN relations c ON c.oid = h.inhrelid
    GROUP BY c.schema, c.kind, c.object
    UNION ALL
    SELECT s.schema, false, 'sequence', s.object, CASE d.deptype WHEN 'i' THEN 'identity of' ELSE 'owned by' END,
           d.refobjid::regclass::text || '.' || quote_ident(a.attname), ARRAY[s.schema], NULL, 0
    FROM relations s
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')
        AND d.refclassid = 'pg_class'::regclass
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE s.relkind = 'S'
    UNION ALL
    -- Indexes; of those behind a constraint only what the constraint does not say.
    SELECT x.schema, v.literal, 'index',
           quote_ident(x.table_name) || '.' || quote_ident(x.name), v.aspect, v.value, x.schemas, NULL, 0
    FROM indexes x
    , LATERAL (VALUES
        (false, 'definition', CASE WHEN NOT x.constrains THEN pg_get_indexdef(x.oid) END),
        (true, 'options', array_to_string(x.reloptions, ', ')),
        (true, 'valid', CASE WHEN NOT x.valid THEN 'no' END),
        (true, 'clustered', CASE WHEN x.clustered THEN 'yes' END)
    ) AS v (literal, aspect, value)
    WHERE v.value IS NOT NULL
    UNION ALL
    SELECT t.relnamespace, false, 'index', quote_ident(t.relname) || '.' || quote_ident(i.relname), 'partition of',
           h.inhparent::regclass::text, ARRAY[t.relnamespace], NULL, 0
    FROM pg_inherits h JOIN pg_index x ON x.indexrelid = h.inhrelid JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_class t ON t.oid = x.indrelid JOIN wanted w ON w.oid = t.relnamespace
    UNION ALL
    SELECT k.schema, v.literal, 'constraint', quote_ident(k.table_name) || '.' || quote_ident(k.name), v.aspect,
           v.value, k.schemas, NULL, 0
    FROM (
        SELECT c.connamespace AS schema, g.*
        FROM constraints g CROSS JOIN LATERAL (SELECT connamespace FROM pg_constraint WHERE oid = g.oid OFFSET 0) c
    ) k, LATERAL (VALUES
        (false, 'definition', regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')),
        (true, 'validated', CASE WHEN NOT k.validated THEN 'no' END),
        (true, 'inherited', CASE WHEN NOT k.local THEN 'yes' END)
    ) AS v (literal, aspect, value)
    WHERE v.value IS NOT NULL
    UNION ALL
    -- Foreign keys whose own triggers somebody switched off are not kept.
    SELECT k.connamespace, true, 'constraint', quote_ident(c.relname) || '.' || quote_ident(k.conname), 'triggers',
           'not enabled', ARRAY[k.connamespace], NULL, 0
    FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint JOIN pg_class c ON c.oid = k.conrelid
    JOIN wanted w ON w.oid = k.connamespace
    WHERE t.tgisinternal AND t.tgenabled <> 'O' AND t.tgparentid = 0
    GROUP BY k.connamespace, c.relname, k.conname
    UNION ALL
    SELECT t.schema, v.literal, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, t.object, v.aspect, v.value,
           ARRAY[t.schema], NULL, 0
    FROM types t, LATERAL (VALUES
        (true, 'labels', CASE t.typtype WHEN 'e' THEN (
            SELECT coalesce(string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder), '')
            FROM pg_enum WHERE enumtypid = t.oid) END),
        (false, 'definition', CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)
            WHEN 'b' THEN concat_ws(' ', 'base type', t.typinput, t.typoutput, t.typlen, t.typalign, t.typstorage)
            ELSE (
            SELECT concat('range of ', format_type(r.rngsubtype, NULL), ', operator class ', quote_ident(o.opcname),
                          ', collation ' || nullif(r.rngcollation, 0)::regcollation::text,
                          ', canonical ' || nullif(r.rngcanonical::oid, 0)::regproc::text,
                          ', difference ' || nullif(r.rngsubdiff::oid, 0)::regproc::text,
                          ', multirange ' || format_type(r.rngmultitypid, NULL))
            FROM pg_range r JOIN pg_opclass o ON o.oid = r.rngsubopc WHERE r.rngtypid = t.oid) END),
        (false, 'default', CASE WHEN t.typtype = 'd' THEN coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault) END),
        (true, 'required', CASE WHEN t.typnotnull THEN 'yes' END),
        (false, 'collation', CASE WHEN t.typtype = 'd' AND t.typcollation <> (
            SELECT typcollation FROM pg_type WHERE oid = t.typbasetype) THEN t.typcollation::regcollation::text END)
    ) AS v (literal, aspect, value)
    WHERE v.value IS NOT NULL
    UNION ALL
    SELECT t.schema, v.literal, 'domain constraint', t.object || '.' || quote_ident(k.conname), v.aspect, v.value,
           ARRAY[t.schema], NULL, 0
    FROM types t JOIN pg_constraint k ON k.contypid = t.oid AND k.contype = 'c', LATERAL (VALUES
        (false, 'definition', regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')),
        (true, 'validated', CASE WHEN NOT k.convalidated THEN 'no' END)
    ) AS v (literal, aspect, value)
    WHERE v.value IS NOT NULL
    UNION ALL
    SELECT p.schema, v.literal, 'function', p.object, v.aspect, v.value, ARRAY[p.schema], NULL, 0
    FROM functions p JOIN pg_language l ON l.oid = p.prolang JOIN wanted w ON w.oid = p.schema, LATERAL (VALUES
        (false, 'definition', concat(
            CASE p.prokind WHEN 'f' THEN 'function' WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate'
                ELSE 'window function' END,
            '(', pg_get_function_arguments(p.oid), ')', ' RETURNS ' || pg_get_function_result(p.oid))),
        (true, 'language', l.lanname::text),
        (p.prosqlbody IS NULL, 'body', coalesce(pg_get_function_sqlbody(p.oid), concat_ws(' ', p.probin, p.prosrc))),
        (false, 'aggregate', CASE WHEN p.prokind = 'a' THEN (
            SELECT to_jsonb(g)::text FROM (
                SELECT a.aggkind, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, format_type(a.aggtranstype, NULL)
                    AS state,
                       a.agginitval, a.aggsortop::regoperator, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn
                FROM pg_aggregate a WHERE a.aggfnoid = p.oid) g) END),
        (true, 'volatility', CASE p.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' END),
        (true, 'security', CASE WHEN p.prosecdef THEN 'DEFINER' END),
        (true, 'strict', CASE WHEN p.proisstrict THEN 'yes' END),
        (true, 'leakproof', CASE WHEN p.proleakproof THEN 'yes' END),
        (true, 'parallel', CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' END),
        (true, 'cost', p.procost::text || ' ' || p.prorows::text),
        (false, 'support', CASE WHEN p.prosupport::oid <> 0 THEN p.prosupport::text END),
        (true, 'settings', regexp_replace(array_to_string(p.proconfig, '; '),
            left(w.pattern, -2) || CASE WHEN quote_ident(w.name) = w.name THEN '\M' ELSE '' END, '{schema}', 'g'))
    ) AS v (literal, aspect, value)
    WHERE v.value IS NOT NULL
    UNION ALL
    SELECT c.schema, v.literal, 'trigger', c.object || '.' || quote_ident(t.tgname), v.aspect, v.value,
           ARRAY[c.schema], NULL, 0
    FROM pg_trigger t JOIN relations c ON c.oid = t.tgrelid, LATERAL (VALUES
        (false, 'definition', pg_get_triggerdef(t.oid)),
        (true, 'inherited', CASE WHEN t.tgparentid <> 0 THEN 'yes' END),
        (true, 'enabled', CASE t.tgenabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' END)
    ) AS v (literal, aspect, value)
    WHERE NOT t.tgisinternal AND v.value IS NOT NULL
    UNION ALL
    SELECT c.schema, v.literal, 'rule', c.object || '.' || quote_ident(r.rulename), v.aspect, v.value,
           ARRAY[c.schema], NULL, 0
    FROM pg_rewrite r JOIN relations c ON c.oid = r.ev_class, LATERAL (VALUES
        (false, 'definition', rtrim(pg_get_ruledef(r.oid), ';')),
        (true, 'enabled', CASE r.ev_enabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' END)
    ) AS v (literal, aspect, value)
    WHERE r.rulename <> '_RETURN' AND v.value IS NOT NULL
    UNION ALL
    SELECT c.schema, v.literal, 'policy', c.object || '.' || quote_ident(p.polname), v.aspect, v.value,
           ARRAY[c.schema], NULL, 0
    FROM pg_policy p JOIN relations c ON c.oid = p.polrelid JOIN wanted w ON w.oid = c.schema, LATERAL (VALUES
        (true, 'definition', concat(
            CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, ' FOR ',
            CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                ELSE 'ALL' END)),
        (true, 'roles', (
            SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' WHEN w.owner THEN '{owner}' WHEN w.user_ THEN '{user}'
                ELSE quote_ident(pg_get_userbyid(r)) END, ', ' ORDER BY CASE r WHEN w.owner THEN '' WHEN w.user_
                    THEN ' '
                ELSE pg_get_userbyid(r)::text END COLLATE "C")
            FROM unnest(p.polroles) r)),
        (false, 'condition', pg_get_expr(p.polqual, p.polrelid)),
        (false, 'check', pg_get_expr(p.polwithcheck, p.polrelid))
    ) AS v (literal, aspect, value)
    WHERE v.value IS NOT NULL
    UNION ALL
    SELECT w.oid, v.literal, 'statistics', quote_ident(s.stxname), v.aspect, v.value, ARRAY[w.oid], NULL, 0
    FROM pg_statistic_ext s JOIN wanted w ON w.oid = s.stxnamespace, LATERAL (VALUES
        (false, 'definition', pg_get_statisticsobjdef(s.oid)),
        (true, 'statistics target', CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget::text END)
    ) AS v (literal, aspect, value)
    WHERE v.value IS NOT NULL
    UNION ALL
    -- What a migration cannot make is noticed by its name.
    SELECT w.oid, true, o.kind, quote_ident(o.name), 'definition', 'present', ARRAY[w.oid], NULL, 0
    FROM (
        SELECT 'operator' AS kind, oprname AS name, oprnamespace AS schema FROM pg_operator
        UNION ALL SELECT 'operator class', opcname, opcnamespace FROM pg_opclass
        UNION ALL SELECT 'operator family', opfname, opfnamespace FROM pg_opfamily
        UNION ALL SELECT 'collation', collname, collnamespace FROM pg_collation
        UNION ALL SELECT 'conversion', conname, connamespace FROM pg_conversion
        UNION ALL SELECT 'text search configuration', cfgname, cfgnamespace FROM pg_ts_config
        UNION ALL SELECT 'text search dictionary', dictname, dictnamespace FROM pg_ts_dict
        UNION ALL SELECT 'text search parser', prsname, prsnamespace FROM pg_ts_parser
        UNION ALL SELECT 'text search template', tmplname, tmplnamespace FROM pg_ts_template
        UNION ALL SELECT 'extension', extname, extnamespace FROM pg_extension
    ) o JOIN wanted w ON w.oid = o.schema
    UNION ALL
    SELECT o.schema, true, o.kind, o.object, 'owner', quote_ident(pg_get_userbyid(o.owner)), ARRAY[o.schema], NULL, 0
    FROM owners o JOIN wanted w ON w.oid = o.schema
    WHERE o.owner IS DISTINCT FROM w.owner
    UNION ALL
    SELECT schema, true, kind, object, aspect, value, schemas, NULL, 0 FROM said_rights
    UNION ALL
    SELECT schema, true, kind, object, 'comment', description, ARRAY[schema], NULL, 0 FROM comments
),
-- References to the schema, outside of literals and inside those that name something, get a mark for its name: the
-- second pattern takes whole literals and quoted names on its way to the next reference, or to the end, where the
-- marks are taken away again. So it never begins within a literal.
named AS (
    SELECT t.kind, o.said AS object, t.aspect, v.said AS value, t.schemas, t.layout, t.place
    FROM texts t JOIN wanted w ON w.oid = t.schema
    , LATERAL (SELECT CASE
        WHEN t.literal OR strpos(t.value, replace(w.name, '"', '""')) = 0 THEN t.value
        ELSE regexp_replace(regexp_replace(
            regexp_replace(t.value, '''' || w.pattern || '((?:[^'']|'''')*''::reg)', '''{schema}.\1', 'g'),
            '((?:''(?:[^'']|'''')*''|"(?:[^"]|"")*"|[^''"])*?)(?:' || w.pattern || '|$)', '\1{schema}.', 'g'),
            '(?:\{schema\}\.)+$', '') END AS said) v
    , LATERAL (SELECT CASE
        WHEN t.kind <> 'function' OR strpos(t.object, replace(w.name, '"', '""')) = 0 THEN t.object
        ELSE regexp_replace(t.object, w.pattern, '{schema}.', 'g') END AS said) o
)
SELECT kind, object, aspect, value, schemas FROM named WHERE layout IS NULL
UNION ALL
SELECT n.kind, quote_ident(l.name), 'columns',
       -- A table's columns by name: their order cannot be mended, and going back to a version does not give it back.
       json_agg(json_build_array(quote_ident(n.object), n.aspect, n.value)
                ORDER BY CASE WHEN n.kind = 'attributes' THEN n.place END, n.object COLLATE "C", n.aspect)::text,
       l.schemas
FROM named n JOIN layouts l ON l.oid = n.layout
GROUP BY n.kind, l.oid, l.name, l.schemas

-- name: hashes
-- Of the facts above: one hash for each schema. Those that hold the same are told from others by a number first, and one
-- of them is hashed.
, digests AS MATERIALIZED (
    SELECT md5(ROW(kind, object, aspect, value)::text) AS digest, schemas FROM facts
),
held AS (
    SELECT s.schema, sum(hashtextextended(d.digest, $4)) AS number
    FROM digests d, unnest(d.schemas) AS s (schema)
    GROUP BY s.schema
),
alike AS MATERIALIZED (
    SELECT min(schema) AS schema, array_agg(schema) AS schemas FROM held GROUP BY number
)
SELECT n.nspname AS schema, h.hash
FROM (
    SELECT a.schemas, md5(string_agg(d.digest, '' ORDER BY d.digest COLLATE "C")) AS hash
    FROM digests d, unnest(d.schemas) AS s (schema) JOIN alike a ON a.schema = s.schema
    GROUP BY a.schema, a.schemas
) h, unnest(h.schemas) AS s (schema) JOIN pg_namespace n ON n.oid = s.schema

-- name: details
-- Of the facts above: each, for one schema.
SELECT kind, object, aspect, value FROM facts

-- name: settings
-- With an empty search path every name of the schema comes with the schema. How many schemas there are is known when
-- the plan is made. Where there are many, several connections look at once: workers of each would be in their way.
SET LOCAL search_path = ''; SET LOCAL work_mem = '128MB'; SET LOCAL jit = off; SET LOCAL enable_mergejoin = off;
SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL max_parallel_workers_per_gather = 0

-- name: begin
BEGIN READ ONLY

-- name: end
ROLLBACK

-- name: begin_inside
SAVEPOINT prismicx_reading

-- name: end_inside
ROLLBACK TO SAVEPOINT prismicx_reading; RELEASE SAVEPOINT prismicx_reading
