-- pgq._stat_tickers()
--
-- What the view pgq.stat_tickers shows, read from shared memory.
--
-- Returns: a row for each database of the server that has had a ticker, by oid. last_error is NULL for who is neither
--          pgq_admin nor pg_read_all_stats.

CREATE FUNCTION pgq._stat_tickers(
    OUT datid oid, OUT pid integer, OUT started timestamptz, OUT last_look timestamptz, OUT looks bigint,
    OUT ticks bigint, OUT retried_events bigint, OUT maint_rounds bigint, OUT maint_calls bigint,
    OUT errors bigint, OUT last_error text, OUT last_error_time timestamptz, OUT stats_reset timestamptz)
RETURNS SETOF record LANGUAGE c PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'stat_tickers_wrapper';

COMMENT ON FUNCTION pgq._stat_tickers() IS 'Internal: statistics of the tickers of all databases.';
