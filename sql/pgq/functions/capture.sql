-- pgq.capture(i_table, i_queue [, i_function, i_options, i_operations])
--
-- Makes the triggers that write the changes of a table, or of a tree of partitions or children, into a queue: for each
-- statement where that sees every row, for each row elsewhere. Key, options, queue and rights are checked at once. What an
-- earlier call has made for this queue is replaced where it differs.
--
-- Parameters: i_table       the table; of a partitioned one all partitions, also those to come
--             i_queue       the queue, which exists
--             i_function    logutriga, jsontriga or sqltriga
--             i_options     options of that function, one an element
--             i_operations  some of insert, update, delete, truncate
-- Returns:    a row for each trigger that was created, kept or dropped, with its definition.
-- Rights:     those of CREATE TRIGGER; to replace an earlier call's, of the table's owner.
-- Errors:     P0001 no such queue; 55000 the table has no key; 22023 an option or argument is wrong; 42703 pkey= names no
--             column; 42809 it is no table; 42710 another trigger writes it into this queue already.

CREATE FUNCTION pgq.capture(
    i_table regclass, i_queue text,
    i_function text DEFAULT 'logutriga', i_options text[] DEFAULT '{}',
    i_operations text[] DEFAULT '{insert,update,delete,truncate}',
    OUT action text, OUT table_name regclass, OUT trigger_name text, OUT definition text)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'capture_wrapper';

COMMENT ON FUNCTION pgq.capture(regclass, text, text, text[], text[])
IS 'Makes the triggers that write the changes of a table into a queue; tells which.';
