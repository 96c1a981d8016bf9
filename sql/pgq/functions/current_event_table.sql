-- pgq.current_event_table(x_queue_name)
--
-- The table into which a bulk writer may COPY. Only good in the calling transaction. The writer gives ev_time, may
-- leave out ev_id and must leave out ev_txid.
--
-- Returns: schema.table, unquoted.
-- Errors:  P0001 no such queue; P0001 the queue is disabled.

CREATE FUNCTION pgq.current_event_table(x_queue_name text)
RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'current_event_table_wrapper';

COMMENT ON FUNCTION pgq.current_event_table(text) IS 'The event table that a bulk writer may COPY into, in this transaction.';
