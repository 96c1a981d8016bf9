-- pgq_coop._remember_process(i_queue_id, i_consumer_id)
--
-- Notes which server process a sub-consumer has got its batch for, if pgq.coop_watch_processes is on, else forgets it.
-- Where that is known already nothing is written.

CREATE FUNCTION pgq_coop._remember_process(i_queue_id integer, i_consumer_id integer)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Unknown while the library is not loaded, and empty where it was set for a transaction only.
    IF coalesce(nullif(current_setting('pgq.coop_watch_processes', true), ''), 'off')::boolean THEN
        INSERT INTO pgq_coop.process AS known (sub_queue, sub_consumer, pid, backend_start)
        SELECT i_queue_id, i_consumer_id, own.pid, own.backend_start
          FROM pg_stat_get_activity(pg_backend_pid()) own
         WHERE own.backend_start IS NOT NULL
           AND NOT EXISTS (
                SELECT FROM pgq_coop.process p
                 WHERE p.sub_queue = i_queue_id AND p.sub_consumer = i_consumer_id
                   AND p.pid = own.pid AND p.backend_start = own.backend_start)
            ON CONFLICT (sub_queue, sub_consumer)
            DO UPDATE SET pid = excluded.pid, backend_start = excluded.backend_start;
    ELSE
        DELETE FROM pgq_coop.process p WHERE p.sub_queue = i_queue_id AND p.sub_consumer = i_consumer_id;
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_coop._remember_process(integer, integer) IS 'Internal: notes which server process a sub-consumer has got its batch for.';
