-- pgq.maint_tables_to_vacuum()
--
-- Returns: the tables that change much, if the server's autovacuum is off; else nothing.

CREATE FUNCTION pgq.maint_tables_to_vacuum()
RETURNS SETOF text LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT wanted.name
      FROM unnest(ARRAY[
            'pgq.subscription', 'pgq.consumer', 'pgq.queue', 'pgq.tick', 'pgq.retry_queue',
            'pgq_ext.completed_tick', 'pgq_ext.completed_batch', 'pgq_ext.completed_event', 'pgq_ext.partial_batch',
            'pgq_node.local_state', 'londiste.seq_info', 'txid.epoch', 'londiste.completed'
           ]) WITH ORDINALITY AS wanted (name, position)
     WHERE current_setting('autovacuum') = 'off'
       AND to_regclass(wanted.name) IS NOT NULL
     ORDER BY wanted.position
$$;

COMMENT ON FUNCTION pgq.maint_tables_to_vacuum() IS 'Lists the tables that maintenance should vacuum because autovacuum is off.';
