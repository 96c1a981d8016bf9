-- pgq.get_batch_events(x_batch_id)
--
-- The events of a batch, by id. The caller needs SELECT on the event tables. Reads by the index on ev_txid without
-- the planner; memory stays within work_mem, temporary files take the rest.
--
-- Errors: P0001 batch not found (also for NULL).

CREATE FUNCTION pgq.get_batch_events(
    x_batch_id bigint,
    OUT ev_id bigint, OUT ev_time timestamptz, OUT ev_txid bigint, OUT ev_retry integer, OUT ev_type text,
    OUT ev_data text, OUT ev_extra1 text, OUT ev_extra2 text, OUT ev_extra3 text, OUT ev_extra4 text)
RETURNS SETOF record LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'get_batch_events_wrapper';

COMMENT ON FUNCTION pgq.get_batch_events(bigint) IS 'The events of a batch, by id.';
