-- pgq.next_batch(i_queue_name, i_consumer_name)
--
-- The consumer's open batch, or a new one up to the next tick.
--
-- Returns: the batch's id; NULL if there is nothing yet. A batch may hold no events, and still has to be finished.
-- Errors:  as pgq.next_batch_custom.

CREATE FUNCTION pgq.next_batch(i_queue_name text, i_consumer_name text)
RETURNS bigint LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS 'SELECT batch_id FROM pgq.next_batch_custom($1, $2, NULL, NULL, NULL)';

COMMENT ON FUNCTION pgq.next_batch(text, text) IS 'The consumer''s open batch, or a new one; NULL if there is nothing yet.';
