-- pgq._final_tick(i_queue_name)
--
-- Internal, for pgq_node: takes the last tick of a queue that was closed and is to be ticked elsewhere. It counts one event
-- more than there are.
--
-- Returns: the tick's id.
-- Locks:   waits for who is ticking the queue.
-- Errors:  P0001 no such queue.

CREATE FUNCTION pgq._final_tick(i_queue_name text)
RETURNS bigint LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'final_tick_wrapper';

COMMENT ON FUNCTION pgq._final_tick(text) IS 'Internal: takes the last tick of a queue that is to be ticked elsewhere.';
