-- pgq._idle_until(i_queue_id, i_tick_id)
--
-- What the information functions ask about a queue at rest, which gets no ticks: until when the ticker has known that
-- no event came after this tick.
--
-- Returns: a time not after now(); NULL where nothing is known but the tick: the queue does not rest, or not at this
--          tick, or there has been no ticker in this server since its start (a standby, say).

CREATE FUNCTION pgq._idle_until(i_queue_id integer, i_tick_id bigint)
RETURNS timestamptz LANGUAGE c STRICT SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'idle_until_wrapper';

COMMENT ON FUNCTION pgq._idle_until(integer, bigint) IS 'Internal: until when a queue at rest was known to be idle.';
