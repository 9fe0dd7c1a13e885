DROP TABLE invoices, order_lines, orders, quote_lines, quotes, price_list_entries, price_lists, products;
