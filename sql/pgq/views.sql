-- Statistics, from shared memory: no table is read for them but pg_database, for the names.

CREATE VIEW pgq.stat_queues AS
    SELECT s.queue_id, s.queue_name, s.ticks, s.demand_ticks, s.events, s.last_tick, s.last_tick_time,
           pg_catalog.clock_timestamp() - s.known_until AS lag,
           s.at_rest, s.consumer_waits, s.rotations, s.errors, s.last_error, s.last_error_time, s.stats_reset
      FROM pgq._stat_queues() s;
COMMENT ON VIEW pgq.stat_queues IS 'What the ticker in the server has done for the queues of this database.';
COMMENT ON COLUMN pgq.stat_queues.queue_id IS 'Number of the queue.';
COMMENT ON COLUMN pgq.stat_queues.queue_name IS 'Name of the queue, up to 127 bytes of it.';
COMMENT ON COLUMN pgq.stat_queues.ticks IS 'Ticks that the ticker took.';
COMMENT ON COLUMN pgq.stat_queues.demand_ticks IS 'Those of them that were taken because a consumer was waiting.';
COMMENT ON COLUMN pgq.stat_queues.events IS 'Events that these ticks cover, counted by the sequence of event ids.';
COMMENT ON COLUMN pgq.stat_queues.last_tick IS 'The newest tick that the ticker knows of.';
COMMENT ON COLUMN pgq.stat_queues.last_tick_time IS 'Its time.';
COMMENT ON COLUMN pgq.stat_queues.lag IS 'How long ago it was known that all events are in ticks: by the newest tick or, at rest, by the last look.';
COMMENT ON COLUMN pgq.stat_queues.at_rest IS 'Whether the queue gets no ticks because there is nothing to tell.';
COMMENT ON COLUMN pgq.stat_queues.consumer_waits IS 'Whether a consumer found nothing and waits for the next tick (or one of a queue with the same number modulo 1024 does).';
COMMENT ON COLUMN pgq.stat_queues.rotations IS 'Switches to the next event table.';
COMMENT ON COLUMN pgq.stat_queues.errors IS 'Ticks and maintenance calls for this queue that failed.';
COMMENT ON COLUMN pgq.stat_queues.last_error IS 'What failed last, and why; for pgq_admin and pg_read_all_stats.';
COMMENT ON COLUMN pgq.stat_queues.last_error_time IS 'When that was.';
COMMENT ON COLUMN pgq.stat_queues.stats_reset IS 'When the counting began.';

CREATE VIEW pgq.stat_tickers AS
    SELECT s.datid, d.datname, s.pid, s.started, s.last_look, s.looks, s.ticks, s.retried_events, s.maint_rounds,
           s.maint_calls, s.errors, s.last_error, s.last_error_time, s.stats_reset
      FROM pgq._stat_tickers() s
      LEFT JOIN pg_catalog.pg_database d ON d.oid = s.datid;
COMMENT ON VIEW pgq.stat_tickers IS 'What the tickers in the server have done in all databases.';
COMMENT ON COLUMN pgq.stat_tickers.datid IS 'The database.';
COMMENT ON COLUMN pgq.stat_tickers.datname IS 'Its name.';
COMMENT ON COLUMN pgq.stat_tickers.pid IS 'The process that serves it now, as in pg_stat_activity; NULL if there is none.';
COMMENT ON COLUMN pgq.stat_tickers.started IS 'When the process started that serves it, or served it last.';
COMMENT ON COLUMN pgq.stat_tickers.last_look IS 'When the ticker last knew which queues are due.';
COMMENT ON COLUMN pgq.stat_tickers.looks IS 'Looks at the tables for that; while all queues rest there are hardly any.';
COMMENT ON COLUMN pgq.stat_tickers.ticks IS 'Ticks taken.';
COMMENT ON COLUMN pgq.stat_tickers.retried_events IS 'Events put back into their queues.';
COMMENT ON COLUMN pgq.stat_tickers.maint_rounds IS 'Rounds of maintenance.';
COMMENT ON COLUMN pgq.stat_tickers.maint_calls IS 'Calls, and vacuums, that these consisted of.';
COMMENT ON COLUMN pgq.stat_tickers.errors IS 'Pieces of work that failed.';
COMMENT ON COLUMN pgq.stat_tickers.last_error IS 'What failed last, and why; for pgq_admin and pg_read_all_stats.';
COMMENT ON COLUMN pgq.stat_tickers.last_error_time IS 'When that was.';
COMMENT ON COLUMN pgq.stat_tickers.stats_reset IS 'When the counting began.';
