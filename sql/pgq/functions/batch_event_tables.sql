-- pgq.batch_event_tables(x_batch_id)
--
-- The event tables that can hold events of a batch, the older one first.
--
-- Returns: schema.table, unquoted.
-- Errors:  P0001 batch not found.

CREATE FUNCTION pgq.batch_event_tables(x_batch_id bigint)
RETURNS SETOF text LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'batch_event_tables_wrapper';

COMMENT ON FUNCTION pgq.batch_event_tables(bigint) IS 'The event tables that can hold events of a batch.';
