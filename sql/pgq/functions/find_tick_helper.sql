-- pgq.find_tick_helper(i_queue_id, i_prev_tick_id, i_prev_tick_time, i_prev_tick_seq, i_min_count, i_min_interval)
--
-- The tick at which a batch with these limits would end. Without limits there is none.
--
-- Returns: the tick's id, time and event sequence; all NULL if there is none yet.

CREATE FUNCTION pgq.find_tick_helper(
    i_queue_id integer, i_prev_tick_id bigint, i_prev_tick_time timestamptz, i_prev_tick_seq bigint,
    i_min_count bigint, i_min_interval interval,
    OUT next_tick_id bigint, OUT next_tick_time timestamptz, OUT next_tick_seq bigint)
RETURNS record LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'find_tick_helper_wrapper';

COMMENT ON FUNCTION pgq.find_tick_helper(integer, bigint, timestamptz, bigint, bigint, interval) IS 'The tick at which a batch of a wished size ends.';
