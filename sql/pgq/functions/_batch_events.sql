-- pgq._batch_events(i_tables, i_start, i_end, i_owner)
--
-- What the cursor of pgq.get_batch_cursor reads: the events of a batch given by its description, so that the cursor
-- stays readable when the batch is finished first.
--
-- Parameters: i_tables  the event tables, schema.name, the older one first
--             i_start   snapshot of the tick before the batch
--             i_end     snapshot of the tick at its end
--             i_owner   the reading subscription (sub_id)

CREATE FUNCTION pgq._batch_events(
    i_tables text[], i_start text, i_end text, i_owner integer,
    OUT ev_id bigint, OUT ev_time timestamptz, OUT ev_txid bigint, OUT ev_retry integer, OUT ev_type text,
    OUT ev_data text, OUT ev_extra1 text, OUT ev_extra2 text, OUT ev_extra3 text, OUT ev_extra4 text)
RETURNS SETOF record LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'batch_events_wrapper';

COMMENT ON FUNCTION pgq._batch_events(text[], text, text, integer)
IS 'Internal: the events between two snapshots.';
