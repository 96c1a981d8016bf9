-- pgq.stat_reset()
-- pgq.stat_reset(i_queue_name)
--
-- Lets the counts in pgq.stat_queues and pgq.stat_tickers begin anew: those of this database, or those of a queue. What
-- they say of the present (newest tick, last look, whether at rest) stays. Effective at once, whatever becomes of the
-- transaction.
--
-- Parameters: i_queue_name  the queue
-- Errors:     P0001 there is no such queue.

CREATE FUNCTION pgq.stat_reset()
RETURNS void LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'stat_reset_wrapper';

CREATE FUNCTION pgq.stat_reset(i_queue_name text)
RETURNS void LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'stat_reset_queue_wrapper';

COMMENT ON FUNCTION pgq.stat_reset() IS 'Resets the statistics of this database.';
COMMENT ON FUNCTION pgq.stat_reset(text) IS 'Resets the statistics of a queue.';
