-- pgq_ext.set_batch_done(a_queue, a_consumer, a_subconsumer, a_batch_id)
-- pgq_ext.set_batch_done(a_consumer, a_subconsumer, a_batch_id)
-- pgq_ext.set_batch_done(a_consumer, a_batch_id)
--
-- Remembers the batch as the one that the consumer has done last, whether it is higher or lower than the one before. The
-- commit waits for the disk.
--
-- Parameters: a_queue, a_subconsumer  missing: ''
-- Returns:    true: do the work, in this transaction. false: it is done already.
--             An id that is NULL or not above 0 is not remembered, and true.
-- Errors:     23502 a name is NULL
-- Locks:      the consumer's row, until the end of the transaction. Of two calls at a time for one batch the second
--             waits for the first, and is true only if that one is rolled back.

CREATE FUNCTION pgq_ext.set_batch_done(a_queue text, a_consumer text, a_subconsumer text, a_batch_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF a_batch_id IS NULL OR a_batch_id <= 0 THEN
        RETURN true;
    END IF;
    PERFORM pgq._keep_commit();
    INSERT INTO pgq_ext.completed_batch AS c (consumer_id, subconsumer_id, queue_name, last_batch_id)
    VALUES (a_consumer, a_subconsumer, a_queue, a_batch_id)
        ON CONFLICT (consumer_id, subconsumer_id, queue_name)
        DO UPDATE SET last_batch_id = excluded.last_batch_id
            WHERE c.last_batch_id <> excluded.last_batch_id;
    RETURN FOUND;
END
$$;

CREATE FUNCTION pgq_ext.set_batch_done(a_consumer text, a_subconsumer text, a_batch_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN pgq_ext.set_batch_done('', a_consumer, a_subconsumer, a_batch_id); END $$;

CREATE FUNCTION pgq_ext.set_batch_done(a_consumer text, a_batch_id bigint)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN pgq_ext.set_batch_done(a_consumer, '', a_batch_id); END $$;

COMMENT ON FUNCTION pgq_ext.set_batch_done(text, text, text, bigint)
IS 'Remembers a batch of this queue as done by the sub-consumer; false if it was.';
COMMENT ON FUNCTION pgq_ext.set_batch_done(text, text, bigint)
IS 'Remembers a batch as done by the sub-consumer; false if it was.';
COMMENT ON FUNCTION pgq_ext.set_batch_done(text, bigint)
IS 'Remembers a batch as done by the consumer; false if it was.';
