-- pgq.queue_channel(i_queue_name)
--
-- The channel on which each tick of the queue is told, with the tick's id as payload: LISTEN "pgq.orders" for a queue
-- named orders. A consumer that heard of a tick asks next_batch. Who only listens hears of every tick; who asked
-- next_batch and got nothing gets the next tick at once.
--
-- Parameters: i_queue_name  the queue, which need not exist
-- Returns:    'pgq.' and the name; one that is longer than 59 bytes is cut and ends with ~ and a hash. NULL for NULL.

CREATE FUNCTION pgq.queue_channel(i_queue_name text)
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'queue_channel_wrapper';

COMMENT ON FUNCTION pgq.queue_channel(text) IS 'Name of the channel on which ticks of the queue are told.';
