-- pgq.logutriga()
--
-- Trigger function: a changed row as db-urlencoded event.
--
--   CREATE TRIGGER … AFTER INSERT OR UPDATE OR DELETE ON … FOR EACH ROW
--   EXECUTE FUNCTION pgq.logutriga('queue' [, 'option', …]);
--
-- Writes:  ev_type I:KEY, U:KEY, D:KEY (R for TRUNCATE), ev_data name=value&name2=value2 (NULL: the name alone),
--          ev_extra1 schema.table.
-- Options, in any order: SKIP, backup, deny, keyupdate, nogenerated, ignore=COLUMNS, pkey=COLUMNS, when=EXPRESSION,
-- ev_type=EXPRESSION, ev_data=EXPRESSION, ev_extra1=EXPRESSION to ev_extra4=EXPRESSION.
--
-- Rights:  who changes the table needs EXECUTE on pgq.insert_event; that function is called as whatever it is at that
--          moment, and while it is ours the event goes the direct way.
-- Errors:  docs/errors.md; each names table and trigger.

CREATE FUNCTION pgq.logutriga() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'logutriga_wrapper';

COMMENT ON FUNCTION pgq.logutriga() IS 'Trigger function: writes changes of a table into a queue as db-urlencoded rows. Arguments: queue, options.';
