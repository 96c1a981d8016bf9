-- pgq_coop._hand_out(i_queue_id, i_consumer_id, i_batch_id, i_start, i_end)
--
-- Gives a batch to an idle sub-consumer.
--
-- The commit waits for the disk, as that of pgq.next_batch does: who stores batch ids with the results must never meet
-- one again with other contents.
--
-- Errors: 40001 the sub-consumer is gone or has a batch. What brought the batch here is undone with it.

CREATE FUNCTION pgq_coop._hand_out(
    i_queue_id integer, i_consumer_id integer, i_batch_id bigint, i_start bigint, i_end bigint)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pgq.subscription s
       SET sub_last_tick = i_start, sub_next_tick = i_end, sub_batch = i_batch_id, sub_active = now()
     WHERE s.sub_queue = i_queue_id AND s.sub_consumer = i_consumer_id AND s.sub_batch IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'could not hand out the batch: the sub-consumer has changed'
            USING ERRCODE = 'serialization_failure',
                  DETAIL = 'Another session has just unregistered it.',
                  HINT = 'The transaction might succeed if retried.';
    END IF;
    PERFORM pgq_coop._remember_process(i_queue_id, i_consumer_id);
    PERFORM pgq._keep_commit();
END
$$;

COMMENT ON FUNCTION pgq_coop._hand_out(integer, integer, bigint, bigint, bigint) IS 'Internal: gives a batch to an idle sub-consumer.';
