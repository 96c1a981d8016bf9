-- pgq_ext.set_event_done(a_queue, a_consumer, a_subconsumer, a_batch_id, a_event_id)
-- pgq_ext.set_event_done(a_consumer, a_subconsumer, a_batch_id, a_event_id)
-- pgq_ext.set_event_done(a_consumer, a_batch_id, a_event_id)
--
-- Remembers the event as done by the consumer. The first event of another batch makes the consumer forget those of
-- all others. The commit waits for the disk.
--
-- Parameters: a_queue, a_subconsumer  missing: ''
-- Returns:    true: do the work, in this transaction. false: it is done already.
-- Errors:     23502 a name or an id is NULL
-- Locks:      until the end of the transaction, the event; with the first event of a batch, the consumer's row, too. Of
--             two calls at a time for one event the second waits for the first, and is true only if that one is rolled
--             back.
--
-- A plan that was made while the table was small may have to do with a long batch: it must not scan the table.

CREATE FUNCTION pgq_ext.set_event_done(
    a_queue text, a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    before bigint;
BEGIN
    PERFORM pgq._keep_commit();
    -- Nearly all events are not the first of their batch: this is all for them.
    INSERT INTO pgq_ext.completed_event (consumer_id, subconsumer_id, queue_name, batch_id, event_id)
    SELECT p.consumer_id, p.subconsumer_id, p.queue_name, p.cur_batch_id, a_event_id
      FROM pgq_ext.partial_batch p
     WHERE p.consumer_id = a_consumer AND p.subconsumer_id = a_subconsumer AND p.queue_name = a_queue
       AND p.cur_batch_id = a_batch_id
        ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN true;
    ELSIF pgq_ext.is_event_done(a_queue, a_consumer, a_subconsumer, a_batch_id, a_event_id) THEN
        RETURN false;
    END IF;

    -- The row is locked before any event is touched: sessions that begin a batch together wait here, in this order.
    INSERT INTO pgq_ext.partial_batch (consumer_id, subconsumer_id, queue_name, cur_batch_id)
    VALUES (a_consumer, a_subconsumer, a_queue, a_batch_id)
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT p.cur_batch_id
          INTO before
          FROM pgq_ext.partial_batch p
         WHERE p.consumer_id = a_consumer AND p.subconsumer_id = a_subconsumer AND p.queue_name = a_queue
           FOR NO KEY UPDATE;
        IF before <> a_batch_id THEN
            -- Not of the one before alone: a session that came late with an event may have left it to one before that.
            DELETE FROM pgq_ext.completed_event e
             WHERE e.consumer_id = a_consumer AND e.subconsumer_id = a_subconsumer AND e.queue_name = a_queue
               AND e.batch_id <> a_batch_id;
            UPDATE pgq_ext.partial_batch p
               SET cur_batch_id = a_batch_id
             WHERE p.consumer_id = a_consumer AND p.subconsumer_id = a_subconsumer AND p.queue_name = a_queue;
        END IF;
    END IF;
    INSERT INTO pgq_ext.completed_event (consumer_id, subconsumer_id, queue_name, batch_id, event_id)
    VALUES (a_consumer, a_subconsumer, a_queue, a_batch_id, a_event_id)
        ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;

CREATE FUNCTION pgq_ext.set_event_done(a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN pgq_ext.set_event_done('', a_consumer, a_subconsumer, a_batch_id, a_event_id); END $$;

CREATE FUNCTION pgq_ext.set_event_done(a_consumer text, a_batch_id bigint, a_event_id bigint)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN pgq_ext.set_event_done(a_consumer, '', a_batch_id, a_event_id); END $$;

COMMENT ON FUNCTION pgq_ext.set_event_done(text, text, text, bigint, bigint)
IS 'Remembers an event of a batch of this queue as done by the sub-consumer; false if it was.';
COMMENT ON FUNCTION pgq_ext.set_event_done(text, text, bigint, bigint)
IS 'Remembers an event of a batch as done by the sub-consumer; false if it was.';
COMMENT ON FUNCTION pgq_ext.set_event_done(text, bigint, bigint)
IS 'Remembers an event of a batch as done by the consumer; false if it was.';
