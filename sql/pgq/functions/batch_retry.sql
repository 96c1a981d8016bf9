-- pgq.batch_retry(i_batch_id, i_retry_seconds)
--
-- Asks for all events of an open batch to come back, as pgq.event_retry does.
--
-- Returns: how many; those that are waiting already do not count.
-- Errors:  P0001 no such batch; 23502 the seconds are NULL.

CREATE FUNCTION pgq.batch_retry(i_batch_id bigint, i_retry_seconds integer)
RETURNS integer LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS 'MODULE_PATHNAME', 'batch_retry_wrapper';

COMMENT ON FUNCTION pgq.batch_retry(bigint, integer) IS 'Asks for all events of an open batch to come back in so many seconds.';
