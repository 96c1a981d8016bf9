-- pgq.drop_queue(x_queue_name, x_force)
-- pgq.drop_queue(x_queue_name)
--
-- Removes a queue with its events. Waits for the transactions that use its tables, and keeps no others out meanwhile.
--
-- Parameters: x_force  unregister its consumers first, and the nodes of pgq_node that read from it; the short form is
--                      false
-- Returns:    1.
-- Errors:     P0001 no such queue, P0001 consumers still attached; 55P03 the session's lock_timeout is over.

CREATE FUNCTION pgq.drop_queue(x_queue_name text, x_force boolean)
RETURNS integer LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'drop_queue_wrapper';

CREATE FUNCTION pgq.drop_queue(x_queue_name text)
RETURNS integer LANGUAGE sql STRICT SET search_path = pg_catalog, pg_temp
AS 'SELECT pgq.drop_queue($1, false)';

COMMENT ON FUNCTION pgq.drop_queue(text, boolean) IS 'Removes a queue; if forced, the registrations of its consumers too.';
COMMENT ON FUNCTION pgq.drop_queue(text) IS 'Removes a queue that has no consumers.';
