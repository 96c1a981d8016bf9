-- pgq.insert_event_raw(queue_name, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data, ev_extra1..4)
--
-- Inserts an event with its administrative columns given.
--
-- Parameters: ev_id     NULL: the next of the sequence, which moves in any case
--             ev_time   NULL: now()
--             ev_owner  the only subscription (sub_id) that gets it; NULL: all. A disabled queue that is a copy (external
--                       ticker) takes such events, too.
--             ev_retry  stored as given
-- Returns:    the event's id.
-- Rights:     the caller needs INSERT on the event table.

CREATE FUNCTION pgq.insert_event_raw(
    queue_name text, ev_id bigint, ev_time timestamptz, ev_owner integer, ev_retry integer,
    ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'insert_event_raw_wrapper';

COMMENT ON FUNCTION pgq.insert_event_raw(text, bigint, timestamptz, integer, integer, text, text, text, text, text, text)
IS 'Inserts an event with id, time, owner and retry count given; returns its id.';
