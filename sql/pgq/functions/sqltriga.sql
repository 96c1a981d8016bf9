-- pgq.sqltriga()
--
-- Trigger function: a changed row as the SQL statement that repeats the change, without its head. Used as
-- pgq.logutriga().
--
-- Writes:  ev_type I, U, D or R, ev_data what follows "insert into T ", "update T set " or "delete from T where ",
--          ev_extra1 schema.table.
-- Options, in any order: SKIP, backup, deny, keyupdate, nogenerated, ignore=COLUMNS, pkey=COLUMNS, when=EXPRESSION,
-- ev_type=EXPRESSION, ev_data=EXPRESSION, ev_extra1=EXPRESSION to ev_extra4=EXPRESSION.
--
-- Rights:  who changes the table needs EXECUTE on pgq.insert_event; that function is called as whatever it is at that
--          moment, and while it is ours the event goes the direct way.
-- Errors:  docs/errors.md; each names table and trigger.

CREATE FUNCTION pgq.sqltriga() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'sqltriga_wrapper';

COMMENT ON FUNCTION pgq.sqltriga() IS 'Trigger function: writes changes of a table into a queue as SQL without its head. Arguments: queue, options.';
