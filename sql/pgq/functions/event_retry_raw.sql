-- pgq.event_retry_raw(x_queue, x_consumer, x_retry_after, x_ev_id, x_ev_time, x_ev_retry, x_ev_type, x_ev_data,
--                     x_ev_extra1..4)
--
-- Puts any event into the retry queue, for this consumer.
--
-- Parameters: x_ev_id     NULL: the next of the queue's sequence
--             x_ev_retry  stored as given
-- Returns:    the event's id.
-- Errors:     P0001 not subscribed; 23502 a time is NULL; 23505 an event of this id waits for this consumer already.

CREATE FUNCTION pgq.event_retry_raw(
    x_queue text, x_consumer text, x_retry_after timestamptz, x_ev_id bigint, x_ev_time timestamptz,
    x_ev_retry integer, x_ev_type text, x_ev_data text,
    x_ev_extra1 text, x_ev_extra2 text, x_ev_extra3 text, x_ev_extra4 text)
RETURNS bigint LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'event_retry_raw_wrapper';

COMMENT ON FUNCTION pgq.event_retry_raw(text, text, timestamptz, bigint, timestamptz, integer, text, text, text, text, text, text)
IS 'Puts any event into the retry queue of a consumer; returns its id.';
