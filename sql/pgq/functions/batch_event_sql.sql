-- pgq.batch_event_sql(x_batch_id)
--
-- The text of a SELECT that returns the events of a batch by id, for clients that read a batch by themselves.
-- Good until the batch is finished. Each part of it uses the index on ev_txid.
--
-- Returns: ten columns: ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4.
-- Errors:  P0001 batch not found.

CREATE FUNCTION pgq.batch_event_sql(x_batch_id bigint)
RETURNS text LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'batch_event_sql_wrapper';

COMMENT ON FUNCTION pgq.batch_event_sql(bigint) IS 'The text of a query that returns the events of a batch.';
