-- pgq_coop._group(i_queue_name, i_consumer_name, i_subconsumer_name)
--
-- The rows of a main consumer and one of its sub-consumers, as far as they are there.
--
-- Returns: queue_id                NULL: no such queue
--          owner                   the sub_id of the group; NULL: no such consumer on the queue
--          main_id, main_batch     the main consumer and its open batch, which it should not have
--          member_id, member_batch the sub-consumer and its open batch
-- Errors:  42710 the queue has a consumer with the sub-consumer's name that is none of the group
--          42809 the main consumer is itself a sub-consumer.

CREATE FUNCTION pgq_coop._group(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    OUT queue_id integer, OUT owner integer, OUT main_id integer, OUT main_batch bigint,
    OUT member_id integer, OUT member_batch bigint)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    full_name text = i_consumer_name || '.' || i_subconsumer_name;
    member_owner integer;
    main_position bigint;
BEGIN
    SELECT q.queue_id, main.sub_id, main.sub_consumer, main.sub_batch, main.sub_last_tick,
           member.sub_consumer, member.sub_id, member.sub_batch
      INTO queue_id, owner, main_id, main_batch, main_position, member_id, member_owner, member_batch
      FROM pgq.queue q
      LEFT JOIN pgq.consumer main_name ON main_name.co_name = i_consumer_name
      LEFT JOIN pgq.subscription main ON main.sub_queue = q.queue_id AND main.sub_consumer = main_name.co_id
      LEFT JOIN pgq.consumer member_name ON member_name.co_name = full_name
      LEFT JOIN pgq.subscription member ON member.sub_queue = q.queue_id AND member.sub_consumer = member_name.co_id
     WHERE q.queue_name = i_queue_name;
    -- A main consumer between two calls has a position and no batch: then there is no need to look at the others.
    IF (main_position IS NULL OR main_batch IS NOT NULL) AND EXISTS (
            SELECT FROM pgq.subscription s
              JOIN pgq.consumer c ON c.co_id = s.sub_consumer
             WHERE s.sub_queue = _group.queue_id AND s.sub_id = owner AND s.sub_consumer <> main_id
               AND starts_with(i_consumer_name, c.co_name || '.'))
    THEN
        RAISE EXCEPTION 'consumer "%" of queue "%" is itself a sub-consumer', i_consumer_name, i_queue_name
            USING ERRCODE = 'wrong_object_type', HINT = 'Name its main consumer instead.';
    END IF;
    IF member_id IS NOT NULL AND member_owner IS DISTINCT FROM owner THEN
        RAISE EXCEPTION 'consumer "%" of queue "%" is no sub-consumer of "%"', full_name, i_queue_name, i_consumer_name
            USING ERRCODE = 'duplicate_object',
                  DETAIL = format('The sub-consumer "%s" would have the same name.', i_subconsumer_name),
                  HINT = 'Choose another name for the sub-consumer.';
    END IF;
END
$$;

COMMENT ON FUNCTION pgq_coop._group(text, text, text) IS 'Internal: the rows of a main consumer and one of its sub-consumers.';
