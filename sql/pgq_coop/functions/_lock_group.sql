-- pgq_coop._lock_group(i_queue_name, i_consumer_name, i_subconsumer_name)
--
-- Lets the sub-consumers of a consumer wait for each other until the transaction ends.
--
-- It is no row that is locked: who then finds nothing to do has written nothing.
--
-- Errors: 22004 a name is NULL.

CREATE FUNCTION pgq_coop._lock_group(i_queue_name text, i_consumer_name text, i_subconsumer_name text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF i_queue_name IS NULL OR i_consumer_name IS NULL OR i_subconsumer_name IS NULL THEN
        RAISE EXCEPTION '% name is NULL', CASE
                WHEN i_queue_name IS NULL THEN 'queue'
                WHEN i_consumer_name IS NULL THEN 'consumer'
                ELSE 'sub-consumer' END
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM pgq._lock(format('pgq_coop %I.%I', i_queue_name, i_consumer_name));
END
$$;

COMMENT ON FUNCTION pgq_coop._lock_group(text, text, text) IS 'Internal: lets the sub-consumers of a consumer wait for each other.';
