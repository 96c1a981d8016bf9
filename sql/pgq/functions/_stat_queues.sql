-- pgq._stat_queues()
--
-- What the view pgq.stat_queues shows, read from shared memory.
--
-- Returns: a row for each queue of this database that the ticker knows of, by number; known_until is the time up to
--          which all events are in ticks. last_error is NULL for who is neither pgq_admin nor pg_read_all_stats.

CREATE FUNCTION pgq._stat_queues(
    OUT queue_id integer, OUT queue_name text, OUT ticks bigint, OUT demand_ticks bigint, OUT events bigint,
    OUT last_tick bigint, OUT last_tick_time timestamptz, OUT known_until timestamptz, OUT at_rest boolean,
    OUT consumer_waits boolean, OUT rotations bigint, OUT errors bigint, OUT last_error text,
    OUT last_error_time timestamptz, OUT stats_reset timestamptz)
RETURNS SETOF record LANGUAGE c PARALLEL RESTRICTED ROWS 100 SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'stat_queues_wrapper';

COMMENT ON FUNCTION pgq._stat_queues() IS 'Internal: statistics of the queues of this database.';
