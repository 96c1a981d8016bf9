-- pgq.register_consumer_at(x_queue_name, x_consumer_name, x_tick_pos)
--
-- Subscribes a consumer to a queue at a tick, or moves it there.
--
-- Parameters: x_tick_pos  the last tick that counts as processed; NULL: the newest for a new subscription, no change
--                         for one that is there
-- Returns:    1 for a new subscription, 0 if it was there. Moving drops a batch that it has open.
-- Locks:      the queue's row FOR SHARE, so that rotation does not remove the tick meanwhile.
-- Errors:     P0001 no such queue; P0001 no such tick; P0001 the queue has no tick; 22004 consumer name is NULL.

CREATE FUNCTION pgq.register_consumer_at(x_queue_name text, x_consumer_name text, x_tick_pos bigint)
RETURNS integer LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'register_consumer_at_wrapper';

COMMENT ON FUNCTION pgq.register_consumer_at(text, text, bigint) IS 'Subscribes a consumer to a queue at a tick, or moves it there.';
