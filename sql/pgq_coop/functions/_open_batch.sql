-- pgq_coop._open_batch(i_queue_id, i_consumer_id, i_batch_id)
--
-- The sub-consumer's open batch again, if it has one: it is alive, and works on it in this process now.
--
-- Returns: the batch; NULL if it had none, or another of its sessions has just finished it.

CREATE FUNCTION pgq_coop._open_batch(i_queue_id integer, i_consumer_id integer, i_batch_id bigint)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF i_batch_id IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE pgq.subscription s
       SET sub_active = now()
     WHERE s.sub_queue = i_queue_id AND s.sub_consumer = i_consumer_id AND s.sub_batch = i_batch_id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM pgq_coop._remember_process(i_queue_id, i_consumer_id);
    RETURN i_batch_id;
END
$$;

COMMENT ON FUNCTION pgq_coop._open_batch(integer, integer, bigint) IS 'Internal: the sub-consumer''s open batch again.';
