-- pgq._trigger_arguments(i_stored)
--
-- The arguments of a trigger, from pg_trigger.tgargs.

CREATE FUNCTION pgq._trigger_arguments(i_stored bytea)
RETURNS text[] LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'trigger_arguments_wrapper';

COMMENT ON FUNCTION pgq._trigger_arguments(bytea) IS 'Internal: the arguments of a trigger as an array.';
