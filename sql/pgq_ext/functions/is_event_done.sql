-- pgq_ext.is_event_done(a_queue, a_consumer, a_subconsumer, a_batch_id, a_event_id)
-- pgq_ext.is_event_done(a_consumer, a_subconsumer, a_batch_id, a_event_id)
-- pgq_ext.is_event_done(a_consumer, a_batch_id, a_event_id)
--
-- Whether the consumer has done the event in this batch, which is the last that it has begun.
--
-- Parameters: a_queue, a_subconsumer  missing: ''
--
-- A plan that was made while the table was small may have to do with a long batch: it must not scan the table.

CREATE FUNCTION pgq_ext.is_event_done(
    a_queue text, a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM pgq_ext.completed_event e
         WHERE e.consumer_id = a_consumer AND e.subconsumer_id = a_subconsumer AND e.queue_name = a_queue
           AND e.batch_id = a_batch_id AND e.event_id = a_event_id);
END
$$;

CREATE FUNCTION pgq_ext.is_event_done(a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN pgq_ext.is_event_done('', a_consumer, a_subconsumer, a_batch_id, a_event_id); END $$;

CREATE FUNCTION pgq_ext.is_event_done(a_consumer text, a_batch_id bigint, a_event_id bigint)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN pgq_ext.is_event_done(a_consumer, '', a_batch_id, a_event_id); END $$;

COMMENT ON FUNCTION pgq_ext.is_event_done(text, text, text, bigint, bigint)
IS 'Whether the sub-consumer has done an event of a batch of this queue.';
COMMENT ON FUNCTION pgq_ext.is_event_done(text, text, bigint, bigint)
IS 'Whether the sub-consumer has done an event of a batch.';
COMMENT ON FUNCTION pgq_ext.is_event_done(text, bigint, bigint)
IS 'Whether the consumer has done an event of a batch.';
