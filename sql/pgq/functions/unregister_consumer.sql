-- pgq.unregister_consumer(x_queue_name, x_consumer_name)
--
-- Ends a subscription and forgets its retry events. A main consumer of pgq_coop takes its sub-consumers along; a
-- sub-consumer goes alone, and leaves the retry events to the others.
--
-- Returns: the number of subscriptions that ended; 0 if there was none.
-- Errors:  55006 a node of pgq_node reads from this one by way of the consumer.

CREATE FUNCTION pgq.unregister_consumer(x_queue_name text, x_consumer_name text)
RETURNS integer LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'unregister_consumer_wrapper';

COMMENT ON FUNCTION pgq.unregister_consumer(text, text) IS 'Ends a subscription; returns the number of those that ended.';
