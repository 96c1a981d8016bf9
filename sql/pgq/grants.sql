-- Who may do what. Whatever is not granted here is for the owner alone; the schema is open to all (tables.sql), and so
-- are the functions of txid.sql, which tell nothing that the server's own do not.
--
-- Every function that PostgreSQL opened to PUBLIC is closed first, then given to whom it is meant for.

REVOKE ALL ON FUNCTION
    pgq._batch_events(text[], text, text, integer),
    pgq._final_tick(text),
    pgq._grant_perms_from(text, text, text, text),
    pgq._idle_until(integer, bigint),
    pgq._keep_commit(),
    pgq._sequence_last_value(text),
    pgq._stat_queues(),
    pgq._stat_tickers(),
    pgq._trigger_arguments(bytea),
    pgq.batch_event_sql(bigint),
    pgq.batch_event_tables(bigint),
    pgq.batch_retry(bigint, integer),
    pgq.capture(regclass, text, text, text[], text[]),
    pgq.create_queue(text),
    pgq.current_event_table(text),
    pgq.drop_queue(text),
    pgq.drop_queue(text, boolean),
    pgq.event_retry(bigint, bigint, integer),
    pgq.event_retry(bigint, bigint, timestamptz),
    pgq.event_retry_raw(text, text, timestamptz, bigint, timestamptz, integer, text, text, text, text, text, text),
    pgq.find_tick_helper(integer, bigint, timestamptz, bigint, bigint, interval),
    pgq.finish_batch(bigint),
    pgq.force_tick(text),
    pgq.get_batch_cursor(bigint, text, integer),
    pgq.get_batch_cursor(bigint, text, integer, text),
    pgq.get_batch_events(bigint),
    pgq.get_batch_info(bigint),
    pgq.get_consumer_info(),
    pgq.get_consumer_info(text),
    pgq.get_consumer_info(text, text),
    pgq.get_queue_info(),
    pgq.get_queue_info(text),
    pgq.grant_perms(text),
    pgq.insert_event(text, text, text),
    pgq.insert_event(text, text, text, text, text, text, text),
    pgq.insert_event_raw(text, bigint, timestamptz, integer, integer, text, text, text, text, text, text),
    pgq.insert_events(text, text[], text[], text[], text[], text[], text[]),
    pgq.jsontriga(),
    pgq.logtriga(),
    pgq.logutriga(),
    pgq.maint_operations(),
    pgq.maint_retry_events(),
    pgq.maint_rotate_tables_step1(text),
    pgq.maint_rotate_tables_step2(),
    pgq.maint_tables_to_vacuum(),
    pgq.next_batch(text, text),
    pgq.next_batch_custom(text, text, interval, integer, interval),
    pgq.next_batch_info(text, text),
    pgq.queue_channel(text),
    pgq.quote_fqname(text),
    pgq.rebase_queue(text),
    pgq.register_consumer(text, text),
    pgq.register_consumer_at(text, text, bigint),
    pgq.seq_getval(text),
    pgq.seq_setval(text, bigint),
    pgq.set_queue_config(text, text, text),
    pgq.sqltriga(),
    pgq.stat_reset(),
    pgq.stat_reset(text),
    pgq.ticker(),
    pgq.ticker(text),
    pgq.ticker(text, bigint, timestamptz, bigint),
    pgq.tune_storage(text),
    pgq.uncapture(regclass, text),
    pgq.unregister_consumer(text, text),
    pgq.upgrade_schema(),
    pgq.version()
FROM PUBLIC;

-- Everybody may look.
GRANT EXECUTE ON FUNCTION
    pgq._idle_until(integer, bigint),
    pgq._sequence_last_value(text),
    pgq._stat_queues(),
    pgq._stat_tickers(),
    pgq._trigger_arguments(bytea),
    pgq.get_consumer_info(),
    pgq.get_consumer_info(text),
    pgq.get_consumer_info(text, text),
    pgq.get_queue_info(),
    pgq.get_queue_info(text),
    pgq.queue_channel(text),
    pgq.quote_fqname(text),
    pgq.seq_getval(text),
    pgq.version()
TO PUBLIC;

-- Producers.
GRANT EXECUTE ON FUNCTION
    pgq.capture(regclass, text, text, text[], text[]),
    pgq.current_event_table(text),
    pgq.insert_event(text, text, text),
    pgq.insert_event(text, text, text, text, text, text, text),
    pgq.insert_events(text, text[], text[], text[], text[], text[], text[]),
    pgq.jsontriga(),
    pgq.logtriga(),
    pgq.logutriga(),
    pgq.sqltriga(),
    pgq.uncapture(regclass, text)
TO pgq_writer;

-- Consumers.
GRANT EXECUTE ON FUNCTION
    pgq._batch_events(text[], text, text, integer),
    pgq.batch_event_sql(bigint),
    pgq.batch_event_tables(bigint),
    pgq.batch_retry(bigint, integer),
    pgq.event_retry(bigint, bigint, integer),
    pgq.event_retry(bigint, bigint, timestamptz),
    pgq.find_tick_helper(integer, bigint, timestamptz, bigint, bigint, interval),
    pgq.finish_batch(bigint),
    pgq.force_tick(text),
    pgq.get_batch_cursor(bigint, text, integer),
    pgq.get_batch_cursor(bigint, text, integer, text),
    pgq.get_batch_events(bigint),
    pgq.get_batch_info(bigint),
    pgq.next_batch(text, text),
    pgq.next_batch_custom(text, text, interval, integer, interval),
    pgq.next_batch_info(text, text),
    pgq.register_consumer(text, text),
    pgq.register_consumer_at(text, text, bigint),
    pgq.unregister_consumer(text, text)
TO pgq_reader;

-- Upkeep and settings; a pgq_admin is also reader and writer (roles.sql).
GRANT EXECUTE ON FUNCTION
    pgq._grant_perms_from(text, text, text, text),
    pgq.create_queue(text),
    pgq.drop_queue(text),
    pgq.drop_queue(text, boolean),
    pgq.event_retry_raw(text, text, timestamptz, bigint, timestamptz, integer, text, text, text, text, text, text),
    pgq.grant_perms(text),
    pgq.insert_event_raw(text, bigint, timestamptz, integer, integer, text, text, text, text, text, text),
    pgq.maint_operations(),
    pgq.maint_retry_events(),
    pgq.maint_rotate_tables_step1(text),
    pgq.maint_rotate_tables_step2(),
    pgq.maint_tables_to_vacuum(),
    pgq.rebase_queue(text),
    pgq.seq_setval(text, bigint),
    pgq.set_queue_config(text, text, text),
    pgq.stat_reset(),
    pgq.stat_reset(text),
    pgq.ticker(),
    pgq.ticker(text),
    pgq.ticker(text, bigint, timestamptz, bigint),
    pgq.tune_storage(text),
    pgq.upgrade_schema()
TO pgq_admin;

-- Positions, ticks and settings may be seen by all.
GRANT SELECT ON TABLE pgq.consumer, pgq.queue, pgq.tick, pgq.subscription TO PUBLIC, pgq_reader;
GRANT SELECT ON TABLE pgq.captured_tables, pgq.stat_queues, pgq.stat_tickers TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE
    pgq.consumer, pgq.queue, pgq.tick, pgq.subscription, pgq.retry_queue
TO pgq_admin;

-- What holds here holds for the tables of every queue. TRUNCATE is what rotation needs.
GRANT SELECT ON TABLE pgq.event_template TO pgq_reader;
GRANT SELECT, INSERT, TRUNCATE ON TABLE pgq.event_template TO pgq_admin;
