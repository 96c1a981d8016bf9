-- pgq_ext.set_last_tick(a_queue, a_consumer, a_subconsumer, a_tick_id)
-- pgq_ext.set_last_tick(a_consumer, a_subconsumer, a_tick_id)
-- pgq_ext.set_last_tick(a_consumer, a_tick_id)
--
-- Stores the tick up to which the consumer has done its work, whether it is higher or lower than the one before. The
-- commit waits for the disk.
--
-- Parameters: a_queue, a_subconsumer  missing: ''
--             a_tick_id               NULL: forgets the consumer
-- Returns:    1.
-- Errors:     23502 a name is NULL
-- Locks:      the consumer's row, until the end of the transaction.

CREATE FUNCTION pgq_ext.set_last_tick(a_queue text, a_consumer text, a_subconsumer text, a_tick_id bigint)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pgq._keep_commit();
    IF a_tick_id IS NULL THEN
        DELETE FROM pgq_ext.completed_tick t
         WHERE t.consumer_id = a_consumer AND t.subconsumer_id = a_subconsumer AND t.queue_name = a_queue;
    ELSE
        INSERT INTO pgq_ext.completed_tick (consumer_id, subconsumer_id, queue_name, last_tick_id)
        VALUES (a_consumer, a_subconsumer, a_queue, a_tick_id)
            ON CONFLICT (consumer_id, subconsumer_id, queue_name)
            DO UPDATE SET last_tick_id = excluded.last_tick_id;
    END IF;
    RETURN 1;
END
$$;

CREATE FUNCTION pgq_ext.set_last_tick(a_consumer text, a_subconsumer text, a_tick_id bigint)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN pgq_ext.set_last_tick('', a_consumer, a_subconsumer, a_tick_id); END $$;

CREATE FUNCTION pgq_ext.set_last_tick(a_consumer text, a_tick_id bigint)
RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN pgq_ext.set_last_tick(a_consumer, '', a_tick_id); END $$;

COMMENT ON FUNCTION pgq_ext.set_last_tick(text, text, text, bigint)
IS 'Stores the tick of this queue up to which the sub-consumer has done its work; NULL forgets it.';
COMMENT ON FUNCTION pgq_ext.set_last_tick(text, text, bigint)
IS 'Stores the tick up to which the sub-consumer has done its work; NULL forgets it.';
COMMENT ON FUNCTION pgq_ext.set_last_tick(text, bigint)
IS 'Stores the tick up to which the consumer has done its work; NULL forgets it.';
