-- pgq.maint_rotate_tables_step2()
--
-- Completes the switches of all queues. Must be called in another transaction than step 1; in the same it leaves them.
--
-- Returns: 0.

CREATE FUNCTION pgq.maint_rotate_tables_step2()
RETURNS integer LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'maint_rotate_tables_step2_wrapper';

COMMENT ON FUNCTION pgq.maint_rotate_tables_step2() IS 'Completes the table switches that other transactions made.';
