-- pgq_coop.next_batch_custom(i_queue_name, i_consumer_name, i_subconsumer_name, i_min_lag, i_min_count, i_min_interval)
-- pgq_coop.next_batch_custom(i_queue_name, i_consumer_name, i_subconsumer_name, i_min_lag, i_min_count, i_min_interval,
--                            i_dead_interval)
--
-- The sub-consumer's open batch; else one that a sibling will not finish; else the group's next one. Consumer and
-- sub-consumer are registered if they are not there.
--
-- Parameters: i_min_lag, i_min_count, i_min_interval  what the group's next batch should be like, as in
--                                                     pgq.next_batch_custom
--             i_dead_interval  the batch of a sibling that was silent for longer is taken over, under the id that it
--                              has; NULL: none is. Silent siblings without a batch are removed, one a call.
--                              Whatever it is, a batch whose server process is known to be gone
--                              (pgq.coop_watch_processes) is taken over, under a new id.
-- Returns:    the batch; NULL if there is nothing yet. Then nothing is written, unless somebody was registered or
--             removed.
-- Locks:      the group, until the transaction ends: commit before working on the batch. Who sits on the row of a
--             sibling (is just finishing, for one) is not waited for, and not taken for dead.
-- Errors:     P0001 the main consumer has a batch open itself; 40001 another session has just unregistered the
--             sub-consumer; those of register_subconsumer and of pgq.next_batch_custom.

CREATE FUNCTION pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_min_lag interval, i_min_count integer,
    i_min_interval interval, i_dead_interval interval)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    team record;
    batch bigint;
    opened record;
BEGIN
    PERFORM pgq_coop._lock_group(i_queue_name, i_consumer_name, i_subconsumer_name);
    SELECT g.* INTO team FROM pgq_coop._group(i_queue_name, i_consumer_name, i_subconsumer_name) g;
    IF team.member_id IS NULL THEN
        PERFORM pgq_coop.register_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name);
        SELECT g.* INTO team FROM pgq_coop._group(i_queue_name, i_consumer_name, i_subconsumer_name) g;
    END IF;

    IF team.main_batch IS NULL THEN
        batch = coalesce(
            pgq_coop._open_batch(team.queue_id, team.member_id, team.member_batch),
            pgq_coop._take_over(team.queue_id, team.owner, i_consumer_name, team.member_id, i_dead_interval));
        IF batch IS NOT NULL THEN
            RETURN batch;
        END IF;

        SELECT b.* INTO opened
          FROM pgq.next_batch_custom(i_queue_name, i_consumer_name, i_min_lag, i_min_count, i_min_interval) b;
        IF opened.batch_id IS NULL THEN
            RETURN NULL;
        END IF;
        -- Opened in this transaction. It could also be that of another session, which has used pgq.next_batch since we
        -- looked. (It must be gone from this row before it is on the other: batches are unique.)
        UPDATE pgq.subscription s
           SET sub_last_tick = opened.cur_tick_id, sub_next_tick = NULL, sub_batch = NULL
         WHERE s.sub_queue = team.queue_id AND s.sub_consumer = team.main_id AND s.sub_batch = opened.batch_id
           AND s.sub_active = now();
        IF FOUND THEN
            PERFORM pgq_coop._hand_out(
                team.queue_id, team.member_id, opened.batch_id, opened.prev_tick_id, opened.cur_tick_id);
            RETURN opened.batch_id;
        END IF;
    END IF;
    RAISE EXCEPTION 'consumer "%" of queue "%" has a batch open itself', i_consumer_name, i_queue_name
        USING DETAIL = 'It was opened by pgq.next_batch, past the sub-consumers.',
              HINT = 'Finish it with pgq.finish_batch(), then go on with pgq_coop.next_batch() alone.';
END
$$;

CREATE FUNCTION pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_min_lag interval, i_min_count integer,
    i_min_interval interval)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN pgq_coop.next_batch_custom(
        i_queue_name, i_consumer_name, i_subconsumer_name, i_min_lag, i_min_count, i_min_interval, NULL::interval);
END
$$;

COMMENT ON FUNCTION pgq_coop.next_batch_custom(text, text, text, interval, integer, interval, interval) IS 'The sub-consumer''s open batch, a silent sibling''s, or the group''s next one of a wished size for it.';
COMMENT ON FUNCTION pgq_coop.next_batch_custom(text, text, text, interval, integer, interval) IS 'The sub-consumer''s open batch, or the group''s next one of a wished size for it.';
