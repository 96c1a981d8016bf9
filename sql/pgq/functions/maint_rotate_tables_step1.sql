-- pgq.maint_rotate_tables_step1(i_queue_name)
--
-- Switches a queue to its next event table, which is emptied, if the rotation period is over and neither a consumer
-- nor the newest tick still needs the table before the current one. Does not wait for locks on the table.
--
-- Returns: 0, whether or not it switched.
-- Errors:  P0001 transaction ids went backwards, P0001 a consumer stands at a tick that does not exist.

CREATE FUNCTION pgq.maint_rotate_tables_step1(i_queue_name text)
RETURNS integer LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'maint_rotate_tables_step1_wrapper';

COMMENT ON FUNCTION pgq.maint_rotate_tables_step1(text) IS 'Switches a queue to its next event table, if that is due and possible.';
