-- pgq_ext.is_batch_done(a_queue, a_consumer, a_subconsumer, a_batch_id)
-- pgq_ext.is_batch_done(a_consumer, a_subconsumer, a_batch_id)
-- pgq_ext.is_batch_done(a_consumer, a_batch_id)
--
-- Whether the batch is the one that the consumer has done last.
--
-- Parameters: a_queue, a_subconsumer  missing: ''
-- Returns:    false also for a consumer that has done none; NULL for a NULL batch of one that has.

CREATE FUNCTION pgq_ext.is_batch_done(a_queue text, a_consumer text, a_subconsumer text, a_batch_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_last boolean;
BEGIN
    SELECT c.last_batch_id = a_batch_id
      INTO is_last
      FROM pgq_ext.completed_batch c
     WHERE c.consumer_id = a_consumer AND c.subconsumer_id = a_subconsumer AND c.queue_name = a_queue;
    RETURN CASE WHEN FOUND THEN is_last ELSE false END;
END
$$;

CREATE FUNCTION pgq_ext.is_batch_done(a_consumer text, a_subconsumer text, a_batch_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN pgq_ext.is_batch_done('', a_consumer, a_subconsumer, a_batch_id); END $$;

CREATE FUNCTION pgq_ext.is_batch_done(a_consumer text, a_batch_id bigint)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN pgq_ext.is_batch_done(a_consumer, '', a_batch_id); END $$;

COMMENT ON FUNCTION pgq_ext.is_batch_done(text, text, text, bigint)
IS 'Whether a batch of this queue is the one that the sub-consumer has done last.';
COMMENT ON FUNCTION pgq_ext.is_batch_done(text, text, bigint)
IS 'Whether a batch is the one that the sub-consumer has done last.';
COMMENT ON FUNCTION pgq_ext.is_batch_done(text, bigint)
IS 'Whether a batch is the one that the consumer has done last.';
