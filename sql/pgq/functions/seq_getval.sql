-- pgq.seq_getval(i_seq_name)
--
-- Parameters: i_seq_name  schema.name, split at the first dot, taken literally; without a dot the schema is public
-- Returns:    the sequence's last value. Has no side effect.
-- Errors:     42P01 no such sequence.
-- Rights:     the caller needs SELECT on the sequence.

CREATE FUNCTION pgq.seq_getval(i_seq_name text)
RETURNS bigint LANGUAGE c STRICT SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'seq_getval_wrapper';

COMMENT ON FUNCTION pgq.seq_getval(text) IS 'The last value of a sequence.';
