-- pgq.event_retry(x_batch_id, x_event_id, x_retry_time)
-- pgq.event_retry(x_batch_id, x_event_id, x_retry_seconds)
--
-- Asks for an event of an open batch to come back later, in a batch of this consumer only, with ev_retry one higher.
--
-- Returns: 1; 0 if it is waiting already.
-- Errors:  P0001 no such batch, or the event is not in it; 23502 the time is NULL.

CREATE FUNCTION pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_time timestamptz)
RETURNS integer LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS 'MODULE_PATHNAME', 'event_retry_at_wrapper';

CREATE FUNCTION pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_seconds integer)
RETURNS integer LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS 'MODULE_PATHNAME', 'event_retry_in_wrapper';

COMMENT ON FUNCTION pgq.event_retry(bigint, bigint, timestamptz) IS 'Asks for an event of an open batch to come back at a time.';
COMMENT ON FUNCTION pgq.event_retry(bigint, bigint, integer) IS 'Asks for an event of an open batch to come back in so many seconds.';
