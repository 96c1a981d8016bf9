-- pgq.uncapture(i_table, i_queue)
--
-- Removes the triggers that pgq.capture() has made on a table, or a tree of tables, for a queue. The queue need not exist
-- any more.
--
-- Returns: a row for each trigger that was dropped.
-- Rights:  those of the table's owner.

CREATE FUNCTION pgq.uncapture(
    i_table regclass, i_queue text,
    OUT action text, OUT table_name regclass, OUT trigger_name text, OUT definition text)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'uncapture_wrapper';

COMMENT ON FUNCTION pgq.uncapture(regclass, text)
IS 'Removes the triggers that pgq.capture() has made on a table for a queue; tells which.';
