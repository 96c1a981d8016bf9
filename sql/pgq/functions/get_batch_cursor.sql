-- pgq.get_batch_cursor(i_batch_id, i_cursor_name, i_quick_limit [, i_extra_where])
--
-- Declares a NO SCROLL cursor over the events of a batch, for the rest of the transaction, and returns the first
-- i_quick_limit of them, fetched from it; the caller FETCHes the rest.
--
-- Parameters: i_cursor_name  an identifier; it is quoted here
--             i_quick_limit  0 or less: only declare
--             i_extra_where  an SQL condition over the ten columns, run with the caller's rights and search_path
-- Returns:    nothing, and declares nothing, when batch, name or limit is NULL.
-- Errors:     P0001 batch not found, 42P03 there is a cursor of this name.
--
-- No search_path of its own: the condition is the caller's.

CREATE FUNCTION pgq.get_batch_cursor(
    i_batch_id bigint, i_cursor_name text, i_quick_limit integer,
    OUT ev_id bigint, OUT ev_time timestamptz, OUT ev_txid bigint, OUT ev_retry integer, OUT ev_type text,
    OUT ev_data text, OUT ev_extra1 text, OUT ev_extra2 text, OUT ev_extra3 text, OUT ev_extra4 text)
RETURNS SETOF record LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'get_batch_cursor_wrapper';

CREATE FUNCTION pgq.get_batch_cursor(
    i_batch_id bigint, i_cursor_name text, i_quick_limit integer, i_extra_where text,
    OUT ev_id bigint, OUT ev_time timestamptz, OUT ev_txid bigint, OUT ev_retry integer, OUT ev_type text,
    OUT ev_data text, OUT ev_extra1 text, OUT ev_extra2 text, OUT ev_extra3 text, OUT ev_extra4 text)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'get_batch_cursor_wrapper';

COMMENT ON FUNCTION pgq.get_batch_cursor(bigint, text, integer) IS 'Declares a cursor over the events of a batch and returns the first of them.';
COMMENT ON FUNCTION pgq.get_batch_cursor(bigint, text, integer, text) IS 'Declares a cursor over those events of a batch that meet a condition, and returns the first of them.';
