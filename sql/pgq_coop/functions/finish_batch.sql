-- pgq_coop.finish_batch(i_batch_id)
--
-- Finishes the batch of a sub-consumer, which is idle then. The same as pgq.finish_batch, which tells sub-consumers from
-- others; either may be used for both.
--
-- Returns: 1; 0 and a WARNING if nobody has such a batch open: it was taken over under another id, or it was finished.

CREATE FUNCTION pgq_coop.finish_batch(i_batch_id bigint)
RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT pgq.finish_batch($1)';

COMMENT ON FUNCTION pgq_coop.finish_batch(bigint) IS 'Finishes the batch of a sub-consumer.';
