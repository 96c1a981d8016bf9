-- pgq_ext.get_last_tick(a_queue, a_consumer, a_subconsumer)
-- pgq_ext.get_last_tick(a_consumer, a_subconsumer)
-- pgq_ext.get_last_tick(a_consumer)
--
-- The tick up to which the consumer has done its work.
--
-- Parameters: a_queue, a_subconsumer  missing: ''
-- Returns:    NULL: none is stored.

CREATE FUNCTION pgq_ext.get_last_tick(a_queue text, a_consumer text, a_subconsumer text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT t.last_tick_id
          FROM pgq_ext.completed_tick t
         WHERE t.consumer_id = a_consumer AND t.subconsumer_id = a_subconsumer AND t.queue_name = a_queue);
END
$$;

CREATE FUNCTION pgq_ext.get_last_tick(a_consumer text, a_subconsumer text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN pgq_ext.get_last_tick('', a_consumer, a_subconsumer); END $$;

CREATE FUNCTION pgq_ext.get_last_tick(a_consumer text)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN pgq_ext.get_last_tick(a_consumer, ''); END $$;

COMMENT ON FUNCTION pgq_ext.get_last_tick(text, text, text)
IS 'The tick of this queue up to which the sub-consumer has done its work.';
COMMENT ON FUNCTION pgq_ext.get_last_tick(text, text)
IS 'The tick up to which the sub-consumer has done its work.';
COMMENT ON FUNCTION pgq_ext.get_last_tick(text)
IS 'The tick up to which the consumer has done its work.';
