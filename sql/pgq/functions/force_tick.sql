-- pgq.force_tick(i_queue_name)
--
-- Pushes the queue's event sequence so far that a tick is due at the ticker's next look. Does not tick by itself:
-- callers repeat until the returned id grows. Event ids jump. Leaves external and paused queues alone.
--
-- Returns: the id of the newest tick; NULL for an unknown queue.

CREATE FUNCTION pgq.force_tick(i_queue_name text)
RETURNS bigint LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'force_tick_wrapper';

COMMENT ON FUNCTION pgq.force_tick(text) IS 'Makes a tick due; returns the id of the newest one.';
