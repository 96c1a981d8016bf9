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

CREATE VIEW pgq.captured_tables AS
    SELECT s.relid::pg_catalog.regclass AS table_name, s.queue_name, s.function_name, s.level, s.operations, s.options,
           s.trigger_names,
           CASE WHEN s.queue_name IS NOT NULL
                     AND NOT EXISTS (SELECT FROM pgq.queue q WHERE q.queue_name = s.queue_name)
                    THEN 'there is no such queue'
                WHEN s.is_disabled THEN 'a trigger is disabled'
                WHEN s.level = 'statement' AND s.operations <> '{truncate}' AND s.is_of_family
                    THEN 'changes through another table of its tree are not seen'
                WHEN NOT s.has_key AND s.operations && '{update,delete}'
                    THEN 'updates and deletes are refused, since there is no key'
                WHEN 'truncate' = ANY (s.operations) AND EXISTS (
                    SELECT FROM pg_catalog.pg_partition_tree(s.relid) p
                      JOIN pg_catalog.pg_class c ON c.oid = p.relid
                     WHERE c.relkind <> 'f' AND NOT EXISTS (
                        SELECT FROM pg_catalog.pg_trigger g
                         WHERE g.tgrelid = p.relid AND g.tgtype & 32 <> 0
                           AND s.queue_name = ANY (pgq._trigger_arguments(g.tgargs))))
                    THEN 'a partition has no trigger for TRUNCATE'
                WHEN s.level = 'row' AND EXISTS (
                    SELECT FROM pg_catalog.pg_inherits i
                     WHERE i.inhparent = s.relid AND NOT EXISTS (
                        SELECT FROM pg_catalog.pg_trigger g
                         WHERE g.tgrelid = i.inhrelid AND g.tgtype & 29 > 1
                           AND s.queue_name = ANY (pgq._trigger_arguments(g.tgargs))))
                    THEN 'a child table is not captured'
                WHEN s.level = 'statement' AND s.operations <> '{truncate}' AND EXISTS (
                    SELECT FROM pg_catalog.pg_trigger g
                      JOIN pg_catalog.pg_proc f ON f.oid = g.tgfoid
                      JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
                     WHERE g.tgrelid = s.relid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
                       AND g.tgtype & 66 = 0 AND g.tgtype & 28 <> 0
                       AND NOT (n.nspname = 'pgq' AND f.proname LIKE '%triga'))
                    THEN 'what another trigger changes is written before the change that made it fire'
                WHEN s.level = 'statement' AND s.operations <> '{truncate}' AND EXISTS (
                    SELECT FROM pg_catalog.pg_constraint k
                     WHERE k.conrelid = s.relid AND k.confrelid = s.relid
                       AND pg_catalog.concat(k.confdeltype, k.confupdtype) ~ '[cnd]')
                    THEN 'what a foreign key of the table to itself changes may be written too late'
           END AS problem
      FROM (SELECT g.tgrelid AS relid, a.queue_name, f.proname::text AS function_name,
                   CASE WHEN pg_catalog.bool_or(g.tgtype & 1 <> 0) THEN 'row' ELSE 'statement' END AS level,
                   pg_catalog.array_remove(ARRAY[
                       CASE WHEN pg_catalog.bit_or(g.tgtype) & 4 <> 0 THEN 'insert' END,
                       CASE WHEN pg_catalog.bit_or(g.tgtype) & 16 <> 0 THEN 'update' END,
                       CASE WHEN pg_catalog.bit_or(g.tgtype) & 8 <> 0 THEN 'delete' END,
                       CASE WHEN pg_catalog.bit_or(g.tgtype) & 32 <> 0 THEN 'truncate' END], NULL) AS operations,
                   -- A trigger for TRUNCATE has fewer than the others.
                   pg_catalog.max(a.options) AS options,
                   pg_catalog.array_agg(g.tgname::text ORDER BY g.tgname) AS trigger_names,
                   -- In ordinary sessions; copies in partitions may be disabled by themselves.
                   pg_catalog.bool_or(g.tgenabled IN ('D', 'R') OR EXISTS (
                       SELECT FROM pg_catalog.pg_partition_tree(g.tgrelid) p
                         JOIN pg_catalog.pg_trigger c ON c.tgrelid = p.relid
                        WHERE c.tgname = g.tgname AND c.tgparentid <> 0 AND c.tgenabled IN ('D', 'R')))
                       AS is_disabled,
                   EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE g.tgrelid IN (i.inhrelid, i.inhparent))
                       AS is_of_family,
                   f.proname = 'logtriga'
                       OR pg_catalog.bool_or(a.options::text LIKE '%pkey=%')
                       OR EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = g.tgrelid AND x.indisprimary)
                       OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = g.tgrelid) AS has_key
              FROM pg_catalog.pg_trigger g
              JOIN pg_catalog.pg_proc f ON f.oid = g.tgfoid
              JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
             CROSS JOIN LATERAL (
                SELECT CASE WHEN f.proname <> 'logtriga' OR t.arguments[2] ~ '^[kvi]*$' THEN t.arguments[1] END,
                       t.arguments[2:]
                  FROM (SELECT pgq._trigger_arguments(g.tgargs)) t (arguments)) a (queue_name, options)
             WHERE n.nspname = 'pgq' AND f.proname IN ('logutriga', 'jsontriga', 'sqltriga', 'logtriga')
               AND NOT g.tgisinternal AND g.tgparentid = 0
             GROUP BY g.tgrelid, a.queue_name, f.proname
            -- Partitions have triggers for TRUNCATE of their own, but are captured with their parent.
            HAVING pg_catalog.bit_or(g.tgtype) & 29 <> 0
                OR NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = g.tgrelid)) s;
COMMENT ON VIEW pgq.captured_tables IS 'Tables whose changes triggers write into queues.';
COMMENT ON COLUMN pgq.captured_tables.table_name IS 'The table; partitions are captured with the table that they belong to.';
COMMENT ON COLUMN pgq.captured_tables.queue_name IS 'The queue; NULL: a statement of the trigger''s own gets the changes.';
COMMENT ON COLUMN pgq.captured_tables.function_name IS 'The trigger function, which decides about the format.';
COMMENT ON COLUMN pgq.captured_tables.level IS 'row: triggers for each row; statement: with all the rows that a statement changed.';
COMMENT ON COLUMN pgq.captured_tables.operations IS 'What is captured: some of insert, update, delete, truncate.';
COMMENT ON COLUMN pgq.captured_tables.options IS 'The triggers'' options.';
COMMENT ON COLUMN pgq.captured_tables.trigger_names IS 'The triggers. Names that begin with _pgq_capture_ are those that pgq.capture() makes.';
COMMENT ON COLUMN pgq.captured_tables.problem IS 'Why changes are missed or refused, as far as can be told; pgq.capture() again, or what it says, is the remedy.';
