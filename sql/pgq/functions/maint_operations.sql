-- pgq.maint_operations()
--
-- What maintenance has to do now: calls to be made in this order, each in a transaction of its own.
--
-- Returns: func_name  a function, to be called again while it does not return 0; or 'vacuum'
--          func_arg   its one text argument, NULL for none; or the table to be vacuumed

CREATE FUNCTION pgq.maint_operations(OUT func_name text, OUT func_arg text)
RETURNS SETOF record LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'maint_operations_wrapper';

COMMENT ON FUNCTION pgq.maint_operations() IS 'Lists the calls that maintenance has to make now, in order.';
