-- pgq.next_batch_custom(i_queue_name, i_consumer_name, i_min_lag, i_min_count, i_min_interval)
--
-- The consumer's open batch, or a new one; without limits up to the next tick.
--
-- Parameters: i_min_lag       nothing yet if the end tick is younger than this
--             i_min_count     at least so many events, or
--             i_min_interval  at least so much time; twice as much at most while the consumer keeps up
-- Returns:    batch_id, and of both ticks id, time and event sequence; all NULL if there is nothing yet, and then
--             nothing is written. Two sessions of one consumer get the same batch.
-- Errors:     P0001 not subscribed; P0001 the tick of the consumer's position is not there.

CREATE FUNCTION pgq.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_min_lag interval, i_min_count integer, i_min_interval interval,
    OUT batch_id bigint, OUT cur_tick_id bigint, OUT prev_tick_id bigint, OUT cur_tick_time timestamptz,
    OUT prev_tick_time timestamptz, OUT cur_tick_event_seq bigint, OUT prev_tick_event_seq bigint)
RETURNS record LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'next_batch_custom_wrapper';

COMMENT ON FUNCTION pgq.next_batch_custom(text, text, interval, integer, interval) IS 'The consumer''s open batch, or a new one of a wished size.';
