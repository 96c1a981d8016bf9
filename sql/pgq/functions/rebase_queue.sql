-- pgq.rebase_queue(i_queue_name)
--
-- Makes a queue work again that was restored into a cluster whose transaction ids are lower than those it came from:
-- there new events would not be delivered, the ticker and the rotation refuse to work. Call it right after the
-- restore, while no consumer of the queue is at work. Each consumer then gets what it had not finished; events that
-- were inserted between restore and call are delivered too, in doubt once more.
--
-- Ticks at which no consumer stands, and in which no open batch ends, are removed, except the newest.
--
-- Returns: 1, or 0 when nothing names a transaction that this cluster has not had yet.
-- Errors:  P0001 no such queue, P0001 a consumer stands at a tick that does not exist.

CREATE FUNCTION pgq.rebase_queue(i_queue_name text)
RETURNS integer LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'rebase_queue_wrapper';

COMMENT ON FUNCTION pgq.rebase_queue(text) IS 'Makes a queue work again that was restored into another cluster.';
