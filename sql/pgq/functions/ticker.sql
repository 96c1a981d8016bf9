-- pgq.ticker(i_queue_name)
-- pgq.ticker()
-- pgq.ticker(i_queue_name, i_tick_id, i_orig_timestamp, i_event_seq)
--
-- The first takes a tick of the queue if one is due: enough new events, or old ones, or an idle queue's next tick. The
-- second does the same for all queues that are ticked here; a queue that cannot be ticked is reported in a WARNING and
-- does not stop the others. The third stores a tick that was taken elsewhere, with the local snapshot, and raises the
-- queue's sequences to it.
--
-- Parameters: i_tick_id         id of the tick
--             i_orig_timestamp  when it was taken
--             i_event_seq       where the event sequence stood
-- Returns:    the tick's id, NULL if none was due; the second: the number of ticks taken.
-- Locks:      one ticker a queue at a time, for the moment of the tick. A tick's commit is always synchronous.
--             When no tick is due nothing is written, not even a transaction id is used.
-- Errors:     P0001 no such queue; P0001 external tick source or paused (the third: not external, or paused);
--             P0001 the transaction counter is behind the newest tick.

CREATE FUNCTION pgq.ticker(i_queue_name text)
RETURNS bigint LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'ticker_wrapper';

CREATE FUNCTION pgq.ticker()
RETURNS bigint LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'ticker_all_wrapper';

CREATE FUNCTION pgq.ticker(i_queue_name text, i_tick_id bigint, i_orig_timestamp timestamptz, i_event_seq bigint)
RETURNS bigint LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'ticker_external_wrapper';

COMMENT ON FUNCTION pgq.ticker(text) IS 'Takes a tick of the queue if one is due; returns its id.';
COMMENT ON FUNCTION pgq.ticker() IS 'Takes a tick of each queue where one is due; returns their number.';
COMMENT ON FUNCTION pgq.ticker(text, bigint, timestamptz, bigint) IS 'Stores a tick that was taken elsewhere; returns its id.';
