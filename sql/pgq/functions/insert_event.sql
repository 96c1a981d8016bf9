-- pgq.insert_event(queue_name, ev_type, ev_data)
-- pgq.insert_event(queue_name, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
--
-- Inserts an event into a queue.
--
-- Returns: the event's id.
-- Rights:  EXECUTE is the right to insert; none on the tables is needed. Not SECURITY DEFINER, since it runs no
--          SQL on its hot path (0.2 us a call) and lends the table owner's rights by itself off it.
-- Errors:  42704 no such queue, 22004 queue name is NULL, 55000 queue is disabled,
--          54000 per-transaction limit exceeded.

CREATE FUNCTION pgq.insert_event(queue_name text, ev_type text, ev_data text)
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'insert_event_wrapper';

CREATE FUNCTION pgq.insert_event(
    queue_name text, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'insert_event_wrapper';

COMMENT ON FUNCTION pgq.insert_event(text, text, text) IS 'Inserts an event into a queue; returns its id.';
COMMENT ON FUNCTION pgq.insert_event(text, text, text, text, text, text, text) IS 'Inserts an event with extra fields into a queue; returns its id.';
