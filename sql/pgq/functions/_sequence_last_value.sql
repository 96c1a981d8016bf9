-- pgq._sequence_last_value(i_sequence)
--
-- What get_queue_info asks a queue's sequence. It waits for who is dropping the queue, and takes no offence.
--
-- Returns: the value that was handed out last; 0 if there is none yet; NULL if there is no such sequence.
-- Errors:  42501 the caller has no right on the sequence.

CREATE FUNCTION pgq._sequence_last_value(i_sequence text)
RETURNS bigint LANGUAGE c STRICT SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'sequence_last_value_wrapper';

COMMENT ON FUNCTION pgq._sequence_last_value(text) IS 'Internal: the last value of a sequence; 0 if it was never called.';
