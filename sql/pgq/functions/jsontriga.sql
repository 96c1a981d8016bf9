-- pgq.jsontriga()
--
-- Trigger function: a changed row as JSON event. Used as pgq.logutriga().
--
-- Writes:  ev_type {"op":"INSERT","table":["schema","table"],"pkey":["id"]}, ev_data an object with a member a column,
--          ev_extra1 schema.table.
-- Options, in any order: SKIP, backup, deny, keyupdate, nogenerated, ignore=COLUMNS, pkey=COLUMNS, when=EXPRESSION,
-- ev_type=EXPRESSION, ev_data=EXPRESSION, ev_extra1=EXPRESSION to ev_extra4=EXPRESSION.
--
-- Rights:  who changes the table needs EXECUTE on pgq.insert_event; that function is called as whatever it is at that
--          moment, and while it is ours the event goes the direct way.
-- Errors:  docs/errors.md; each names table and trigger.

CREATE FUNCTION pgq.jsontriga() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'jsontriga_wrapper';

COMMENT ON FUNCTION pgq.jsontriga() IS 'Trigger function: writes changes of a table into a queue as JSON. Arguments: queue, options.';
