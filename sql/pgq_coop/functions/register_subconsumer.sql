-- pgq_coop.register_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name)
--
-- Adds a sub-consumer to a consumer, which is registered at the newest tick if it is not there.
--
-- Returns: 1 for a new sub-consumer, 0 for one that was there; then nothing is written.
-- Locks:   the group; of a new one the main consumer's rows FOR KEY SHARE, so that they stay.
-- Errors:  P0001 no such queue, or it has no tick; 22004 a name is NULL; 42710 an ordinary consumer has the
--          sub-consumer's name; 42809 the consumer is itself a sub-consumer; 40001 another session has just registered
--          or unregistered the consumer.

CREATE FUNCTION pgq_coop.register_subconsumer(i_queue_name text, i_consumer_name text, i_subconsumer_name text)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    team record;
    full_name text = i_consumer_name || '.' || i_subconsumer_name;
    main_owner integer;
    is_new boolean;
BEGIN
    PERFORM pgq_coop._lock_group(i_queue_name, i_consumer_name, i_subconsumer_name);
    SELECT g.* INTO team FROM pgq_coop._group(i_queue_name, i_consumer_name, i_subconsumer_name) g;
    IF team.member_id IS NOT NULL THEN
        RETURN 0;
    END IF;

    PERFORM pgq.register_consumer(i_queue_name, i_consumer_name);
    -- Who unregisters a consumer first locks its name: it either waits for us and finds our row too, or has gone.
    PERFORM FROM pgq.consumer c WHERE c.co_name = i_consumer_name FOR KEY SHARE;
    SELECT s.sub_id INTO main_owner
      FROM pgq.subscription s
      JOIN pgq.queue q ON q.queue_id = s.sub_queue
      JOIN pgq.consumer c ON c.co_id = s.sub_consumer
     WHERE q.queue_name = i_queue_name AND c.co_name = i_consumer_name
       FOR KEY SHARE OF s;
    IF main_owner IS NOT NULL THEN
        is_new = pgq.register_consumer(i_queue_name, full_name) = 1;
    END IF;
    IF is_new IS NOT TRUE THEN
        RAISE EXCEPTION 'could not register sub-consumer "%" on queue "%"', full_name, i_queue_name
            USING ERRCODE = 'serialization_failure',
                  DETAIL = 'Another session has just registered or unregistered a consumer of this name or of its main consumer''s.',
                  HINT = 'The transaction might succeed if retried.';
    END IF;
    UPDATE pgq.subscription s
       SET sub_id = main_owner, sub_last_tick = NULL
      FROM pgq.queue q, pgq.consumer c
     WHERE q.queue_name = i_queue_name AND c.co_name = full_name
       AND s.sub_queue = q.queue_id AND s.sub_consumer = c.co_id;
    RETURN 1;
END
$$;

COMMENT ON FUNCTION pgq_coop.register_subconsumer(text, text, text) IS 'Adds a sub-consumer to a consumer; 0 if it was there.';
