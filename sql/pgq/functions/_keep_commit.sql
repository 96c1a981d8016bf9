-- pgq._keep_commit()
--
-- Internal, for the functions of the family that store a position: the commit of this transaction waits for the disk, whatever
-- synchronous_commit says. Where the events come from, the batch is finished next and never handed out again.

CREATE FUNCTION pgq._keep_commit()
RETURNS void LANGUAGE c SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'keep_commit_wrapper';

COMMENT ON FUNCTION pgq._keep_commit() IS 'Internal: the commit of this transaction waits for the disk.';
