-- pgq.seq_setval(i_seq_name, i_new_value)
--
-- Raises a sequence to a value, never lowers it, whoever else uses it at the same time.
--
-- Parameters: i_seq_name  as for pgq.seq_getval
-- Returns:    the resulting last value.
-- Errors:     42P01 no such sequence.
-- Rights:     the caller needs SELECT and UPDATE on the sequence.

CREATE FUNCTION pgq.seq_setval(i_seq_name text, i_new_value bigint)
RETURNS bigint LANGUAGE c STRICT SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seq_setval_wrapper';

COMMENT ON FUNCTION pgq.seq_setval(text, bigint) IS 'Raises a sequence to a value, never lowers it.';
