-- pgq.next_batch_info(i_queue_name, i_consumer_name)
--
-- The consumer's open batch, or a new one up to the next tick.
--
-- Returns: as pgq.next_batch_custom.
-- Errors:  as pgq.next_batch_custom.

CREATE FUNCTION pgq.next_batch_info(
    i_queue_name text, i_consumer_name text,
    OUT batch_id bigint, OUT cur_tick_id bigint, OUT prev_tick_id bigint, OUT cur_tick_time timestamptz,
    OUT prev_tick_time timestamptz, OUT cur_tick_event_seq bigint, OUT prev_tick_event_seq bigint)
RETURNS record LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS 'SELECT batch_id, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time, cur_tick_event_seq, prev_tick_event_seq
      FROM pgq.next_batch_custom($1, $2, NULL, NULL, NULL)';

COMMENT ON FUNCTION pgq.next_batch_info(text, text) IS 'The consumer''s open batch, or a new one, with its ticks.';
