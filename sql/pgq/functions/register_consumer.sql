-- pgq.register_consumer(x_queue_name, x_consumer_id)
--
-- Subscribes a consumer to a queue, at its newest tick.
--
-- Returns: 1 for a new subscription, 0 if it was there; then nothing changes.
-- Errors:  those of pgq.register_consumer_at.

CREATE FUNCTION pgq.register_consumer(x_queue_name text, x_consumer_id text)
RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT pgq.register_consumer_at($1, $2, NULL)';

COMMENT ON FUNCTION pgq.register_consumer(text, text) IS 'Subscribes a consumer to a queue at its newest tick; 0 if it was subscribed.';
