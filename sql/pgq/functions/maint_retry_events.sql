-- pgq.maint_retry_events()
--
-- Moves events whose time has come from the retry queue back into their queues: at most ten a call, the oldest first.
-- Events of disabled queues wait, unless the queue is a copy (external ticker), which is never opened. One that cannot be inserted is reported in a WARNING and tried again in a minute; it
-- does not stop the others.
--
-- Returns: how many; callers repeat until it is 0.
-- Rights:  the caller's, as pgq.insert_event_raw.
-- Locks:   pgq.retry_queue in SHARE UPDATE EXCLUSIVE mode, if there is something to do: one mover at a time.

CREATE FUNCTION pgq.maint_retry_events()
RETURNS integer LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'maint_retry_events_wrapper';

COMMENT ON FUNCTION pgq.maint_retry_events() IS 'Moves due retry events back into their queues, ten at most; returns how many.';
