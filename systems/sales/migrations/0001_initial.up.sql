CREATE TABLE products (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    sku         text NOT NULL UNIQUE,
    name        text NOT NULL,
    description text,
    unit        text NOT NULL DEFAULT 'piece',
    active      boolean NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE price_lists (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text NOT NULL UNIQUE,
    currency   char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    valid_from date NOT NULL DEFAULT current_date,
    valid_to   date,
    CHECK (valid_to IS NULL OR valid_to >= valid_from)
);

CREATE TABLE price_list_entries (
    price_list_id uuid NOT NULL REFERENCES price_lists (id) ON DELETE CASCADE,
    product_id    uuid NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    from_quantity numeric(12, 3) NOT NULL DEFAULT 1 CHECK (from_quantity > 0),
    price         numeric(14, 4) NOT NULL CHECK (price >= 0),
    PRIMARY KEY (price_list_id, product_id, from_quantity)
);
CREATE INDEX price_list_entries_product_id_idx ON price_list_entries (product_id);

CREATE TABLE quotes (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    number         text NOT NULL UNIQUE,
    customer_name  text NOT NULL,
    customer_email text,
    currency       char(3) NOT NULL DEFAULT 'EUR' CHECK (currency ~ '^[A-Z]{3}$'),
    status         text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'sent', 'accepted', 'declined')),
    valid_until    date,
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quotes_status_idx ON quotes (status);

CREATE TABLE quote_lines (
    quote_id   uuid NOT NULL REFERENCES quotes (id) ON DELETE CASCADE,
    position   integer NOT NULL CHECK (position > 0),
    product_id uuid NOT NULL REFERENCES products (id) ON DELETE RESTRICT,
    quantity   numeric(12, 3) NOT NULL CHECK (quantity > 0),
    price      numeric(14, 4) NOT NULL CHECK (price >= 0),
    total      numeric(16, 2) GENERATED ALWAYS AS (round(quantity * price, 2)) STORED,
    PRIMARY KEY (quote_id, position)
);
CREATE INDEX quote_lines_product_id_idx ON quote_lines (product_id);

CREATE TABLE orders (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    number         text NOT NULL UNIQUE,
    quote_id       uuid REFERENCES quotes (id) ON DELETE SET NULL,
    customer_name  text NOT NULL,
    customer_email text,
    currency       char(3) NOT NULL DEFAULT 'EUR' CHECK (currency ~ '^[A-Z]{3}$'),
    status         text NOT NULL DEFAULT 'placed' CHECK (status IN ('placed', 'shipped', 'done', 'cancelled')),
    placed_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_quote_id_idx ON orders (quote_id);
CREATE INDEX orders_status_placed_at_idx ON orders (status, placed_at);

CREATE TABLE order_lines (
    order_id   uuid NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    position   integer NOT NULL CHECK (position > 0),
    product_id uuid NOT NULL REFERENCES products (id) ON DELETE RESTRICT,
    quantity   numeric(12, 3) NOT NULL CHECK (quantity > 0),
    price      numeric(14, 4) NOT NULL CHECK (price >= 0),
    total      numeric(16, 2) GENERATED ALWAYS AS (round(quantity * price, 2)) STORED,
    PRIMARY KEY (order_id, position)
);
CREATE INDEX order_lines_product_id_idx ON order_lines (product_id);

CREATE TABLE invoices (
    id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    number    text NOT NULL,
    order_id  uuid NOT NULL REFERENCES orders (id) ON DELETE RESTRICT,
    total     numeric(16, 2) NOT NULL CHECK (total >= 0),
    issued_on date NOT NULL DEFAULT current_date,
    due_on    date NOT NULL,
    paid_at   timestamptz,
    CHECK (due_on >= issued_on)
);
CREATE INDEX invoices_number_idx ON invoices (number);
CREATE INDEX invoices_order_id_idx ON invoices (order_id);
CREATE INDEX invoices_unpaid_idx ON invoices (due_on) WHERE paid_at IS NULL;
