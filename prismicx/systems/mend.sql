-- Statements that set or take away one aspect of an object, or drop it: {table}, {name}, {object}, {value}, {literal}.

-- name: set_table_unlogged
ALTER TABLE {object} SET UNLOGGED

-- name: unset_table_unlogged
ALTER TABLE {object} SET LOGGED

-- name: set_table_row_security
ALTER TABLE {object} ENABLE ROW LEVEL SECURITY

-- name: unset_table_row_security
ALTER TABLE {object} DISABLE ROW LEVEL SECURITY

-- name: set_table_forced_row_security
ALTER TABLE {object} FORCE ROW LEVEL SECURITY

-- name: unset_table_forced_row_security
ALTER TABLE {object} NO FORCE ROW LEVEL SECURITY

-- name: set_table_replica_identity
ALTER TABLE {object} REPLICA IDENTITY {value}

-- name: unset_table_replica_identity
ALTER TABLE {object} REPLICA IDENTITY DEFAULT

-- name: set_column_required
ALTER TABLE {table} ALTER COLUMN {name} SET NOT NULL

-- name: unset_column_required
ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL

-- name: set_column_default
ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {value}

-- name: unset_column_default
ALTER TABLE {table} ALTER COLUMN {name} DROP DEFAULT

-- name: set_column_type
ALTER TABLE {table} ALTER COLUMN {name} TYPE {value}

-- name: set_column_collation
ALTER TABLE {table} ALTER COLUMN {name} TYPE {type} COLLATE {value}

-- name: unset_column_collation
ALTER TABLE {table} ALTER COLUMN {name} TYPE {type}

-- name: set_column_identity
ALTER TABLE {table} ALTER COLUMN {name} ADD GENERATED {value} AS IDENTITY

-- name: change_column_identity
ALTER TABLE {table} ALTER COLUMN {name} SET GENERATED {value}

-- name: unset_column_identity
ALTER TABLE {table} ALTER COLUMN {name} DROP IDENTITY

-- name: set_column_storage
ALTER TABLE {table} ALTER COLUMN {name} SET STORAGE {value}

-- name: unset_column_storage
ALTER TABLE {table} ALTER COLUMN {name} SET STORAGE DEFAULT

-- name: set_column_compression
ALTER TABLE {table} ALTER COLUMN {name} SET COMPRESSION {value}

-- name: unset_column_compression
ALTER TABLE {table} ALTER COLUMN {name} SET COMPRESSION DEFAULT

-- name: set_column_statistics_target
ALTER TABLE {table} ALTER COLUMN {name} SET STATISTICS {value}

-- name: unset_column_statistics_target
ALTER TABLE {table} ALTER COLUMN {name} SET STATISTICS -1

-- name: set_column_options
ALTER TABLE {table} ALTER COLUMN {name} SET ({value})

-- name: unset_column_options
ALTER TABLE {table} ALTER COLUMN {name} RESET ({keys})

-- name: set_relation_options
ALTER {what} {object} SET ({value})

-- name: unset_relation_options
ALTER {what} {object} RESET ({keys})

-- name: set_constraint_triggers
ALTER TABLE {table} DISABLE TRIGGER ALL

-- name: unset_constraint_triggers
ALTER TABLE {table} ENABLE TRIGGER ALL

-- name: unset_constraint_validated
ALTER TABLE {table} VALIDATE CONSTRAINT {name}

-- name: unset_domain_constraint_validated
ALTER DOMAIN {table} VALIDATE CONSTRAINT {name}

-- name: set_domain_default
ALTER DOMAIN {object} SET DEFAULT {value}

-- name: unset_domain_default
ALTER DOMAIN {object} DROP DEFAULT

-- name: set_domain_required
ALTER DOMAIN {object} SET NOT NULL

-- name: unset_domain_required
ALTER DOMAIN {object} DROP NOT NULL

-- name: set_index_clustered
ALTER TABLE {table} CLUSTER ON {name}

-- name: unset_index_clustered
ALTER TABLE {table} SET WITHOUT CLUSTER

-- name: unset_index_valid
REINDEX INDEX {name}

-- name: set_index_partition_of
ALTER INDEX {value} ATTACH PARTITION {name}

-- name: set_sequence_definition
ALTER SEQUENCE {object} AS {value}{cycle}

-- name: set_sequence_owned_by
ALTER SEQUENCE {object} OWNED BY {value}

-- name: unset_sequence_owned_by
ALTER SEQUENCE {object} OWNED BY NONE

-- name: set_trigger_enabled
ALTER TABLE {table} {enabling} TRIGGER {name}

-- name: unset_trigger_enabled
ALTER TABLE {table} ENABLE TRIGGER {name}

-- name: set_rule_enabled
ALTER TABLE {table} {enabling} RULE {name}

-- name: unset_rule_enabled
ALTER TABLE {table} ENABLE RULE {name}

-- name: set_statistics_statistics_target
ALTER STATISTICS {object} SET STATISTICS {value}

-- name: unset_statistics_statistics_target
ALTER STATISTICS {object} SET STATISTICS -1

-- name: add_label
ALTER TYPE {object} ADD VALUE {value}

-- name: set_comment
COMMENT ON {what} {place} IS {literal}

-- name: unset_comment
COMMENT ON {what} {place} IS NULL

-- name: set_owner
ALTER {what} {place} OWNER TO {value}

-- name: unset_owner
ALTER {what} {place} OWNER TO {owner}

-- name: revoke
REVOKE ALL{columns} ON {what} {place} FROM {value} CASCADE

-- name: grant
GRANT {privileges} ON {what} {place} TO {value}{option}

-- name: default_revoke
ALTER DEFAULT PRIVILEGES FOR ROLE {role} IN SCHEMA {schema} REVOKE ALL ON {what} FROM {value}

-- name: default_grant
ALTER DEFAULT PRIVILEGES FOR ROLE {role} IN SCHEMA {schema} GRANT {privileges} ON {what} TO {value}{option}

-- name: drop_part
DROP {what} {name} ON {table}

-- name: drop_constraint
ALTER TABLE {table} DROP CONSTRAINT {name}

-- name: drop_domain_constraint
ALTER DOMAIN {table} DROP CONSTRAINT {name}

-- name: drop_column
ALTER TABLE {table} DROP COLUMN {name}

-- name: drop_attribute
ALTER TYPE {table} DROP ATTRIBUTE {name}

-- name: drop_index
DROP INDEX {name}

-- name: drop_object
DROP {what} {object}

-- name: begin
BEGIN

-- name: commit
COMMIT

-- name: as_owner
SET LOCAL ROLE {owner}

-- name: in_schema
SET LOCAL search_path = {schema}

-- name: bodies_unchecked
SET LOCAL check_function_bodies = off
