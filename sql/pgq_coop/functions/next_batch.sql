-- pgq_coop.next_batch(i_queue_name, i_consumer_name, i_subconsumer_name)
-- pgq_coop.next_batch(i_queue_name, i_consumer_name, i_subconsumer_name, i_dead_interval)
--
-- The sub-consumer's open batch, or one for it: a sibling's that was silent for longer than the interval, or the
-- group's next one, up to the next tick. As next_batch_custom without wishes.

CREATE FUNCTION pgq_coop.next_batch(i_queue_name text, i_consumer_name text, i_subconsumer_name text)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN pgq_coop.next_batch_custom(
        i_queue_name, i_consumer_name, i_subconsumer_name, NULL::interval, NULL::integer, NULL::interval, NULL::interval);
END
$$;

CREATE FUNCTION pgq_coop.next_batch(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_dead_interval interval)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN pgq_coop.next_batch_custom(
        i_queue_name, i_consumer_name, i_subconsumer_name, NULL::interval, NULL::integer, NULL::interval, i_dead_interval);
END
$$;

COMMENT ON FUNCTION pgq_coop.next_batch(text, text, text) IS 'The sub-consumer''s open batch, or the group''s next one for it.';
COMMENT ON FUNCTION pgq_coop.next_batch(text, text, text, interval) IS 'The sub-consumer''s open batch, a silent sibling''s, or the group''s next one for it.';
