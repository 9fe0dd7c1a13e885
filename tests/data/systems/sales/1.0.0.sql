INSERT INTO products (id, sku, name) VALUES
    ('00000000-0000-0000-0000-00000000b001', 'A-1', 'Schraube ½"'), ('00000000-0000-0000-0000-00000000b002', 'B-2', 'Œuvre');
INSERT INTO price_lists (id, name, currency) VALUES ('00000000-0000-0000-0000-00000000b101', 'Retail', 'EUR');
INSERT INTO price_list_entries (price_list_id, product_id, price) VALUES
    ('00000000-0000-0000-0000-00000000b101', '00000000-0000-0000-0000-00000000b001', 0.0333);
INSERT INTO quotes (id, number, customer_name, customer_email, created_at) VALUES
    ('00000000-0000-0000-0000-00000000b201', 'Q1', 'Müller AG', 'info@mueller.test', '2025-01-01'),
    ('00000000-0000-0000-0000-00000000b202', 'Q2', 'MÜLLER ag', 'INFO@mueller.test', '2025-01-02'),
    ('00000000-0000-0000-0000-00000000b203', 'Q3', 'Müller AG', NULL, '2025-01-03');
INSERT INTO quote_lines (quote_id, position, product_id, quantity, price) VALUES
    ('00000000-0000-0000-0000-00000000b201', 1, '00000000-0000-0000-0000-00000000b001', 3, 0.0333);
INSERT INTO orders (id, number, quote_id, customer_name, customer_email) VALUES
    ('00000000-0000-0000-0000-00000000b301', 'O1', '00000000-0000-0000-0000-00000000b201', 'Müller AG', 'info@mueller.test'),
    ('00000000-0000-0000-0000-00000000b302', 'O2', NULL, '顧客', NULL);
INSERT INTO order_lines (order_id, position, product_id, quantity, price) VALUES
    ('00000000-0000-0000-0000-00000000b301', 1, '00000000-0000-0000-0000-00000000b001', 1000, 99999.9999);
INSERT INTO invoices (id, number, order_id, total, issued_on, due_on, paid_at) VALUES
    ('00000000-0000-0000-0000-00000000b401', 'R1', '00000000-0000-0000-0000-00000000b301', 99999999.90, '2025-01-01', '2025-02-01', '2025-01-20T00:00:00Z'),
    ('00000000-0000-0000-0000-00000000b402', 'R1', '00000000-0000-0000-0000-00000000b302', 10, '2025-01-02', '2025-02-01', NULL),
    ('00000000-0000-0000-0000-00000000b403', 'R3', '00000000-0000-0000-0000-00000000b302', 0, '2025-01-02', '2025-02-01', '2025-01-03T00:00:00Z');
