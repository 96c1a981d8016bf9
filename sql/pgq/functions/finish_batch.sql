-- pgq.finish_batch(x_batch_id)
--
-- Moves the consumer's position to the end of the batch.
--
-- Returns: 1; 0 and a WARNING if nobody has such a batch open.
-- Rights:  a batch has no owner: whoever may execute this may finish any batch.

CREATE FUNCTION pgq.finish_batch(x_batch_id bigint)
RETURNS integer LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'finish_batch_wrapper';

COMMENT ON FUNCTION pgq.finish_batch(bigint) IS 'Moves the consumer''s position to the end of the batch.';
