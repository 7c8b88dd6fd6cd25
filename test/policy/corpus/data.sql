INSERT INTO customers (id, name, email, ssn, credit_card, profile, city, points)
  SELECT i, 'name' || i, 'mail' || i || '@:v.example', ':v-ssn-' || i, ':v-card-' || i, jsonb_build_object('phone', ':v-phone-' || i), CASE WHEN i < 4 THEN 'Bern' ELSE 'Basel' END, i * 10 FROM generate_series(1, 5) i;
INSERT INTO suppliers SELECT i, 'supplier' || i, 'mx' || i || '.example', 'Bern', i, i, 'n' || i FROM generate_series(1, 5) i;
INSERT INTO orders (id, customer_id, total, status, note) SELECT i, i, i * 10, CASE WHEN i % 2 = 0 THEN 'done' ELSE 'open' END, 'note' || i FROM generate_series(1, 5) i;
INSERT INTO order_items (order_id, sku) SELECT i, 'sku' || i FROM generate_series(1, 5) i;
INSERT INTO audit_log (order_id, what) VALUES (1, 'made'), (2, 'made');
INSERT INTO plain SELECT i, 'label' || i, i % 2 = 0, i FROM generate_series(1, 5) i;
INSERT INTO key_child VALUES (1, 1), (2, 2);
INSERT INTO archive VALUES (1, 'nobody', '2026-01-01');
INSERT INTO tags VALUES (1, 'Alpha', 'a=>1', 'top.one', '{1,2}', '{"k": 1}', 'quick fox', '[1,5)'), (2, 'Beta', 'b=>2', 'top.two', '{3}', '{"k": 2}', 'lazy dog', '[5,9)');
INSERT INTO bookings VALUES (1, 1, '[1,3)');
INSERT INTO secrets_vault VALUES (1, 'stripe', ':v-key-1', ':v-hash-1'), (2, 'mail', ':v-key-2', ':v-hash-2');
INSERT INTO people VALUES (1, 'Pat'); INSERT INTO employees VALUES (2, 'Eve', 100, ':v-essn-1'), (3, 'Eli', 200, ':v-essn-2');
INSERT INTO events VALUES (1, '2025-05-05', ':v-actor-1', 'login'), (2, '2026-05-05', ':v-actor-2', 'logout');
INSERT INTO other.customers VALUES (1, 'other@:v.example', 'nick1');
INSERT INTO app.accounts VALUES (1, 'own1', 'c1@:v.example', 'ok', ROW(1, 'x')), (2, 'own2', 'c2@:v.example', 'sad', ROW(2, 'y'));
INSERT INTO stamped VALUES (1, 'a'), (2, 'b'); INSERT INTO logged VALUES (1, 'a'), (2, 'b');
INSERT INTO noisy VALUES (1, 'noisy@:v.example', 'a');
INSERT INTO rls VALUES (1, 'postgres'), (2, 'bob'); INSERT INTO evil.plain VALUES (1, 'x');
ALTER TABLE trig_purge DISABLE TRIGGER t; INSERT INTO trig_purge VALUES (1, 'a'), (2, 'b'); ALTER TABLE trig_purge ENABLE TRIGGER t;
REFRESH MATERIALIZED VIEW customer_summary; REFRESH MATERIALIZED VIEW city_summary;
-- Those alone: statistics and indexes of others run code that deletes.
ANALYZE customers, suppliers, orders, order_items, audit_log, plain, archive, tags, bookings, secrets_vault, people, employees, events, app.accounts, stamped, logged, noisy, key_child;
INSERT INTO virtual (id, email) VALUES (1, 'virtual@:v.example');
INSERT INTO comp SELECT i, ROW('person' || i, ':v-pssn-' || i, ROW(':v-street', 'zip')::address)::person, ARRAY[ROW('other' || i, ':v-ossn', ROW(':v-street', 'zip')::address)::person], ROW('dom', ':v-dssn', ROW(':v-street', 'zip')::address)::person,
  ROW(i, 'emp@:v.example', 'safe')::noisy, ROW(i, 'view@:v.example')::customer_emails, ROW(i, 'safe')::pair, ARRAY[ROW(i, 'safe')::pair], persons(ROW(1, 'a')::pair, ROW(2, 'b')::pair) FROM generate_series(1, 3) i;
INSERT INTO people_of VALUES (':v-street', 'zip');
ALTER FOREIGN TABLE app.staff_file OPTIONS (SET program 'echo 1,:v-fssn,nick');
INSERT INTO "other, app".events VALUES (1, ':v-quoted'); INSERT INTO "Other".events VALUES (1, ':v-upper');
INSERT INTO payroll SELECT i, 1000 + i + ascii(':v'), date '1980-01-01' + ascii(':v') + i, jsonb_build_array(':v', i), array_fill(':v'::text, ARRAY[ascii(':v')]), xmlparse(document '<a><b>:v</b></a>'), 'p' || i, i, '2020-01-01' FROM generate_series(1, 3) i;
INSERT INTO contacts_copy SELECT id, email, '1980-01-01', 1000 + id, id FROM customers;
INSERT INTO calendar SELECT d, extract(week FROM d)::int, extract(isodow FROM d) > 5 FROM generate_series('2026-01-01'::date, '2026-03-31', '1 day') d;
INSERT INTO upserted SELECT id, wage FROM payroll;
