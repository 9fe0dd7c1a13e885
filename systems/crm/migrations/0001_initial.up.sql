CREATE TABLE companies (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text NOT NULL CHECK (name <> ''),
    website    text,
    address    text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX companies_name_idx ON companies (lower(name));

CREATE TABLE contacts (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    company_id uuid REFERENCES companies (id) ON DELETE SET NULL,
    full_name  text NOT NULL CHECK (full_name <> ''),
    email      text,
    phone      text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX contacts_company_id_idx ON contacts (company_id);
CREATE INDEX contacts_email_idx ON contacts (lower(email));

CREATE TABLE pipelines (
    id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE
);

CREATE TABLE stages (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    pipeline_id uuid NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    name        text NOT NULL,
    position    integer NOT NULL CHECK (position > 0),
    probability numeric(3, 2) NOT NULL DEFAULT 0 CHECK (probability BETWEEN 0 AND 1),
    UNIQUE (pipeline_id, position),
    UNIQUE (pipeline_id, name)
);

CREATE TABLE deals (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    company_id  uuid NOT NULL REFERENCES companies (id) ON DELETE CASCADE,
    contact_id  uuid REFERENCES contacts (id) ON DELETE SET NULL,
    stage_id    uuid NOT NULL REFERENCES stages (id) ON DELETE RESTRICT,
    title       text NOT NULL,
    amount      numeric(14, 2) NOT NULL DEFAULT 0,
    currency    char(3) NOT NULL DEFAULT 'EUR' CHECK (currency ~ '^[A-Z]{3}$'),
    status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'won', 'lost')),
    expected_on date,
    closed_at   timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CHECK ((status = 'open') = (closed_at IS NULL))
);
CREATE INDEX deals_company_id_idx ON deals (company_id);
CREATE INDEX deals_contact_id_idx ON deals (contact_id);
CREATE INDEX deals_stage_id_status_idx ON deals (stage_id, status);

CREATE TABLE activities (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind       text NOT NULL CHECK (kind IN ('call', 'meeting', 'email', 'task')),
    deal_id    uuid REFERENCES deals (id) ON DELETE CASCADE,
    contact_id uuid REFERENCES contacts (id) ON DELETE CASCADE,
    subject    text NOT NULL,
    due_at     timestamptz,
    done_at    timestamptz,
    CHECK (deal_id IS NOT NULL OR contact_id IS NOT NULL)
);
CREATE INDEX activities_deal_id_idx ON activities (deal_id);
CREATE INDEX activities_contact_id_idx ON activities (contact_id);
CREATE INDEX activities_due_idx ON activities (due_at) WHERE done_at IS NULL;

CREATE TABLE notes (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    company_id uuid REFERENCES companies (id) ON DELETE CASCADE,
    contact_id uuid REFERENCES contacts (id) ON DELETE CASCADE,
    deal_id    uuid REFERENCES deals (id) ON DELETE CASCADE,
    body       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(company_id, contact_id, deal_id) = 1)
);
CREATE INDEX notes_company_id_idx ON notes (company_id);
CREATE INDEX notes_contact_id_idx ON notes (contact_id);
CREATE INDEX notes_deal_id_idx ON notes (deal_id);
COMMENT ON TABLE notes IS 'Each note is about one company, one contact or one deal';

CREATE TABLE tags (
    id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE
);

CREATE TABLE company_tags (
    company_id uuid NOT NULL REFERENCES companies (id) ON DELETE CASCADE,
    tag_id     uuid NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    PRIMARY KEY (company_id, tag_id)
);
CREATE INDEX company_tags_tag_id_idx ON company_tags (tag_id);
