-- pgq_coop._take_over(i_queue_id, i_owner, i_consumer_name, i_member_id, i_dead_interval)
--
-- Removes a sibling that is gone, and gives the batch that it had open to the sub-consumer, which has none.
--
-- Gone is one whose batch is open and whose server process is known to run no more, or one that was silent for longer
-- than the interval. The batch of the first gets a new id: should its client live and finish it over another connection,
-- it learns that it was late. That of the second keeps its id, as in PgQ 3.5.
--
-- Where somebody holds its rows the sibling is not gone: it is just finishing, or being unregistered. So nobody is waited
-- for, as all others would have to wait too.
--
-- Returns: the batch; NULL if nobody was gone, or who was had none.

CREATE FUNCTION pgq_coop._take_over(
    i_queue_id integer, i_owner integer, i_consumer_name text, i_member_id integer, i_dead_interval interval)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    gone_id integer;
    batch bigint;
    batch_start bigint;
    batch_end bigint;
BEGIN
    IF EXISTS (
            SELECT FROM pgq_coop.process p
              JOIN pgq.subscription s ON s.sub_queue = p.sub_queue AND s.sub_consumer = p.sub_consumer
             WHERE p.sub_queue = i_queue_id AND s.sub_id = i_owner AND s.sub_batch IS NOT NULL)
    THEN
        -- What this transaction has seen of processes may be older than some of them.
        PERFORM pg_stat_clear_snapshot();
        SELECT s.sub_consumer, s.sub_last_tick, s.sub_next_tick
          INTO gone_id, batch_start, batch_end
          FROM pgq.subscription s
          JOIN pgq.consumer c ON c.co_id = s.sub_consumer
          JOIN pgq_coop.process p ON p.sub_queue = s.sub_queue AND p.sub_consumer = s.sub_consumer
         WHERE s.sub_queue = i_queue_id AND s.sub_id = i_owner AND s.sub_batch IS NOT NULL
           AND NOT EXISTS (
                SELECT FROM pg_stat_get_activity(p.pid) a
                 WHERE a.backend_start = p.backend_start OR a.backend_start IS NULL)
         ORDER BY s.sub_active
         LIMIT 1
           FOR UPDATE OF c, s SKIP LOCKED;
        IF FOUND THEN
            batch = nextval('pgq.batch_id_seq');
        END IF;
    END IF;
    IF gone_id IS NULL AND i_dead_interval IS NOT NULL THEN
        SELECT s.sub_consumer, s.sub_batch, s.sub_last_tick, s.sub_next_tick
          INTO gone_id, batch, batch_start, batch_end
          FROM pgq.subscription s
          JOIN pgq.consumer c ON c.co_id = s.sub_consumer
         WHERE s.sub_queue = i_queue_id AND s.sub_id = i_owner AND s.sub_consumer <> i_member_id
           AND starts_with(c.co_name, i_consumer_name || '.')
           AND s.sub_active < now() - i_dead_interval
         ORDER BY s.sub_batch IS NULL, s.sub_active
         LIMIT 1
           FOR UPDATE OF c, s SKIP LOCKED;
    END IF;
    IF gone_id IS NULL THEN
        RETURN NULL;
    END IF;

    -- First away there, then here: batches are unique.
    DELETE FROM pgq.subscription s WHERE s.sub_queue = i_queue_id AND s.sub_consumer = gone_id;
    PERFORM pgq_coop._forget_name(gone_id);
    IF batch IS NOT NULL THEN
        PERFORM pgq_coop._hand_out(i_queue_id, i_member_id, batch, batch_start, batch_end);
    END IF;
    RETURN batch;
END
$$;

COMMENT ON FUNCTION pgq_coop._take_over(integer, integer, text, integer, interval) IS 'Internal: removes a sibling that is gone, and gives its batch to the sub-consumer.';
