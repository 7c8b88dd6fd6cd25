create role app login password 'app-secret';
grant usage, create on schema public to app;
set role app;
create table customers (id int primary key, name text, email text unique, ssn text, salary int, dob date, doc jsonb);
insert into customers values
  (1, 'Qqalice', 'qqmail@secret.example', '999-88-7777', 7654321, '1971-03-04', '{"k": "Qqdoc"}'),
  (2, 'Qqbob', 'qqother@secret.example', '888-77-6666', 8765432, '1972-05-06', '{"k": "Qqdoc2"}');
create table orders (id int primary key, customer int references customers, note text not null, total numeric check (total >= 0), window_ int4range,
  constraint no_overlap exclude using gist (window_ with &&));
insert into orders values (1, 1, 'first', 10, '[1,5)'), (2, 2, 'second', 20, '[10,20)');
create table plain (id int primary key, label text not null, n int check (n > 0));
insert into plain values (1, 'one', 1), (2, 'two', 2);
create table parted (id int, key text) partition by list (key);
create table parted_a partition of parted for values in ('a');
create table uniq (v text primary key);
insert into uniq select email from customers;
create table strict (v text check (v ~ '^x'), at date, n smallint);
create table short (v varchar(3));
create table spans (r int4range, exclude using gist (r with &&));
insert into spans select int4range(salary, salary + 1) from customers;
create table deferred (v text, unique (v) deferrable initially deferred);
insert into deferred select email from customers;
create table contacts (id int, email text references customers (email));
create table ledger (id int);
create type mood as enum ('sad', 'happy');
create type pair as (a int, b int);

create function first_name() returns text language sql stable as 'select name from customers where id = 1';
create function cast_name() returns int language sql stable as 'select name::int from customers where id = 1';
create function tell(code text) returns void language plpgsql as $$
  declare s text; begin
    select ssn into s from customers where id = 1;
    raise exception 'found %', s using errcode = code, detail = s, hint = s, column = s, constraint = s, datatype = s, table = s, schema = s;
  end $$;
create function whisper(code text) returns void language plpgsql as $$
  declare s text; begin
    select ssn into s from customers where id = 1;
    raise warning 'found %', s using errcode = code, detail = s, hint = s;
  end $$;
create function coded() returns void language plpgsql as $$
  declare s text; begin
    select upper(replace(right(ssn, 4), '-', '')) into s from customers where id = 1;
    raise exception 'x' using errcode = 'H' || s;
  end $$;
create function asserts() returns void language plpgsql as $$
  declare s text; begin select email into s from customers where id = 1; assert false, s; end $$;
create function dynamic() returns void language plpgsql as $$
  declare s text; begin select name into s from customers where id = 1; execute format('select %I', s); end $$;
create function dynamic_syntax() returns void language plpgsql as $$
  declare s text; begin select name into s from customers where id = 1; execute 'select 1 ' || s || ' from ('; end $$;
create function sets_name() returns void language plpgsql as $$
  declare s text; begin select name into s from customers where id = 1; perform set_config('application_name', s, false); end $$;
create function notifies() returns void language plpgsql as $$
  declare s text; begin select name into s from customers where id = 1; perform pg_notify('news', s); end $$;
create function strict_into() returns void language plpgsql as $$
  #print_strict_params on
  declare s text; n int; begin select name into s from customers where id = 1; select id into strict n from customers where name <> s and name <> s || '!' and id > 0 and name <> s limit 0; end $$;
create function fires() returns trigger language plpgsql as $$
  declare s text; begin
    select ssn into s from customers where id = 1;
    raise exception 'no %', s using errcode = '23514', constraint = s, table = s, column = s;
  end $$;
create trigger fires before insert on ledger for each row execute function fires();
create table late (id int);
create function fires_late() returns trigger language plpgsql as $$
  declare s text; begin
    select ssn into s from customers where id = 1;
    raise warning 'late %', s;
    raise exception 'late %', s using errcode = '23503', constraint = s;
  end $$;
create constraint trigger fires_late after insert on late deferrable initially deferred for each row execute function fires_late();
create domain checked as text check (value = 'fine' or cast_name() > 0);
create view names as select name::int from customers;
create view counted as select count(name::int) from customers;
create materialized view kept as select id from orders where id > 0;
create rule ruled as on insert to strict where new.v = 'xruled' do also select name::int from customers;
create table policed (id int);
insert into policed values (1);
alter table policed enable row level security;
alter table policed force row level security;
create policy reads on policed using (cast_name() > 0);
create table parent (id int primary key);
insert into parent values (1);
create table child (id int primary key references parent on delete cascade, ssn text);
insert into child values (1, '999-88-7777');
create function no_child() returns trigger language plpgsql as $$ begin raise exception 'child %', old.ssn; end $$;
create trigger no_child before delete on child for each row execute function no_child();

reset role;
create table closed (id int);
