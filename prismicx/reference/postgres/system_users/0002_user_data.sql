-- Reference: System Users Database, schema user_data.
CREATE SCHEMA user_data;

CREATE TABLE user_data.users (
    id            UUID         PRIMARY KEY,
    tenant_id     VARCHAR(50)  NOT NULL,
    username      VARCHAR(100) NOT NULL,
    email         VARCHAR(255) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    first_name    VARCHAR(100),
    last_name     VARCHAR(100),
    role          VARCHAR(50)  NOT NULL,
    status        VARCHAR(20)  NOT NULL,
    created_at    TIMESTAMP    NOT NULL,
    updated_at    TIMESTAMP    NOT NULL,
    last_login_at TIMESTAMP,
    metadata      JSONB,
    -- After a transaction that set the tenant the setting reads '', not NULL: '' must never match a row.
    CONSTRAINT users_tenant_id_not_empty CHECK (tenant_id <> ''),
    -- What other tables refer to, so that a key cannot reach into another tenant.
    CONSTRAINT users_tenant_id_id_key UNIQUE (tenant_id, id)
);

CREATE UNIQUE INDEX users_tenant_id_email_idx ON user_data.users (tenant_id, email);
CREATE INDEX users_tenant_id_idx ON user_data.users (tenant_id);
CREATE INDEX users_status_idx ON user_data.users (status);

COMMENT ON SCHEMA user_data IS 'User accounts';
COMMENT ON TABLE user_data.users IS 'Stores user account information';
COMMENT ON COLUMN user_data.users.id IS 'Unique identifier for the user';
COMMENT ON COLUMN user_data.users.tenant_id IS 'Tenant identifier for multi-tenancy';
COMMENT ON COLUMN user_data.users.username IS 'Name the user logs in with';
COMMENT ON COLUMN user_data.users.email IS 'Email address, unique within the tenant';
COMMENT ON COLUMN user_data.users.password_hash IS 'Hashed password';
COMMENT ON COLUMN user_data.users.first_name IS 'First name';
COMMENT ON COLUMN user_data.users.last_name IS 'Last name';
COMMENT ON COLUMN user_data.users.role IS 'Role, such as admin or user';
COMMENT ON COLUMN user_data.users.status IS 'State of the account, such as active or inactive';
COMMENT ON COLUMN user_data.users.created_at IS 'When the row was made, UTC';
COMMENT ON COLUMN user_data.users.updated_at IS 'When the row last changed, UTC';
COMMENT ON COLUMN user_data.users.last_login_at IS 'Last login, UTC';
COMMENT ON COLUMN user_data.users.metadata IS 'Additional user data';
