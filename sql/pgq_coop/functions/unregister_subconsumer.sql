-- pgq_coop.unregister_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name, i_batch_handling)
--
-- Removes a sub-consumer. Its retried events come back to the others.
--
-- Parameters: i_batch_handling  1: a batch that it has open is dropped, which nobody gets again; else that is an error
-- Returns:    1; 0 if there was none.
-- Locks:      the group.
-- Errors:     P0001 it has a batch open; 22004 a name is NULL; 42710 a consumer of this name is none of the group;
--             42809 the consumer is itself a sub-consumer.

CREATE FUNCTION pgq_coop.unregister_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_batch_handling integer)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    team record;
BEGIN
    PERFORM pgq_coop._lock_group(i_queue_name, i_consumer_name, i_subconsumer_name);
    SELECT g.* INTO team FROM pgq_coop._group(i_queue_name, i_consumer_name, i_subconsumer_name) g;
    IF team.member_batch IS NOT NULL AND i_batch_handling IS DISTINCT FROM 1 THEN
        RAISE EXCEPTION 'sub-consumer "%" of "%" on queue "%" has batch % open',
                i_subconsumer_name, i_consumer_name, i_queue_name, team.member_batch
            USING HINT = 'Finish the batch first; with i_batch_handling = 1 it is dropped, and nobody gets its events again.';
    END IF;
    -- First the name, as whoever unregisters or registers a consumer does.
    PERFORM FROM pgq.consumer c WHERE c.co_id = team.member_id FOR UPDATE;
    DELETE FROM pgq.subscription s WHERE s.sub_queue = team.queue_id AND s.sub_consumer = team.member_id;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    PERFORM pgq_coop._forget_name(team.member_id);
    RETURN 1;
END
$$;

COMMENT ON FUNCTION pgq_coop.unregister_subconsumer(text, text, text, integer) IS 'Removes a sub-consumer; 0 if there was none.';
