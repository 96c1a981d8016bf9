-- Transaction ids and snapshots, for use outside.
--
-- A transaction id is here what pgq.event_template.ev_txid holds: 64 bits that never wrap, as bigint. The server calls
-- the same number xid8. A snapshot says which transactions were finished at a moment; pgq.tick holds one per tick, so
-- with these functions anybody can tell which transactions are in a batch.
--
-- pgq.txid_current()                     id of this transaction, which gets one if it has none
-- pgq.txid_current_if_assigned()         id of this transaction, NULL if it has none
-- pgq.txid_snapshot_xmin(i_snapshot)     all transactions below it were finished
-- pgq.txid_snapshot_xmax(i_snapshot)     none from it on was finished
-- pgq.txid_snapshot_xip(i_snapshot)      those in between that ran, ascending
-- pgq.txid_in_snapshot(i_txid, i_snapshot)            whether the transaction was finished
-- pgq.txid_between(i_txid, i_older, i_newer)          whether it finished between two snapshots
-- pgq.txids_between(i_older, i_newer)                 all that finished between them, ascending
-- pgq.txid_to_xid8(i_txid), pgq.xid8_to_txid(i_xid8)  the same id in the other type
--
-- Finished is committed or rolled back. A snapshot may be given as txid_snapshot or as pg_snapshot; a literal needs its
-- type written before it. NULL in, NULL out.
--
-- Errors: 22003 a negative id, an xid8 above 9223372036854775807.

CREATE FUNCTION pgq.txid_current()
RETURNS bigint LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'txid_current_wrapper';

COMMENT ON FUNCTION pgq.txid_current() IS 'Id of this transaction, which gets one if it has none.';

CREATE FUNCTION pgq.txid_current_if_assigned()
RETURNS bigint LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'txid_current_if_assigned_wrapper';

COMMENT ON FUNCTION pgq.txid_current_if_assigned() IS 'Id of this transaction; NULL if it has none.';

CREATE FUNCTION pgq.txid_snapshot_xmin(i_snapshot txid_snapshot)
RETURNS bigint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txid_snapshot_xmin_wrapper';

COMMENT ON FUNCTION pgq.txid_snapshot_xmin(txid_snapshot) IS 'All transactions below this one were finished.';

CREATE FUNCTION pgq.txid_snapshot_xmin(i_snapshot pg_snapshot)
RETURNS bigint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txid_snapshot_xmin_wrapper';

COMMENT ON FUNCTION pgq.txid_snapshot_xmin(pg_snapshot) IS 'All transactions below this one were finished.';

CREATE FUNCTION pgq.txid_snapshot_xmax(i_snapshot txid_snapshot)
RETURNS bigint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txid_snapshot_xmax_wrapper';

COMMENT ON FUNCTION pgq.txid_snapshot_xmax(txid_snapshot) IS 'No transaction from this one on was finished.';

CREATE FUNCTION pgq.txid_snapshot_xmax(i_snapshot pg_snapshot)
RETURNS bigint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txid_snapshot_xmax_wrapper';

COMMENT ON FUNCTION pgq.txid_snapshot_xmax(pg_snapshot) IS 'No transaction from this one on was finished.';

CREATE FUNCTION pgq.txid_snapshot_xip(i_snapshot txid_snapshot)
RETURNS SETOF bigint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 50
AS 'MODULE_PATHNAME', 'txid_snapshot_xip_wrapper';

COMMENT ON FUNCTION pgq.txid_snapshot_xip(txid_snapshot) IS 'Transactions of a snapshot that ran.';

CREATE FUNCTION pgq.txid_snapshot_xip(i_snapshot pg_snapshot)
RETURNS SETOF bigint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 50
AS 'MODULE_PATHNAME', 'txid_snapshot_xip_wrapper';

COMMENT ON FUNCTION pgq.txid_snapshot_xip(pg_snapshot) IS 'Transactions of a snapshot that ran.';

CREATE FUNCTION pgq.txid_in_snapshot(i_txid bigint, i_snapshot txid_snapshot)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txid_in_snapshot_wrapper';

COMMENT ON FUNCTION pgq.txid_in_snapshot(bigint, txid_snapshot) IS 'Whether the transaction was finished in the snapshot.';

CREATE FUNCTION pgq.txid_in_snapshot(i_txid bigint, i_snapshot pg_snapshot)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txid_in_snapshot_wrapper';

COMMENT ON FUNCTION pgq.txid_in_snapshot(bigint, pg_snapshot) IS 'Whether the transaction was finished in the snapshot.';

CREATE FUNCTION pgq.txid_between(i_txid bigint, i_older txid_snapshot, i_newer txid_snapshot)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txid_between_wrapper';

COMMENT ON FUNCTION pgq.txid_between(bigint, txid_snapshot, txid_snapshot) IS 'Whether the transaction finished between two snapshots.';

CREATE FUNCTION pgq.txid_between(i_txid bigint, i_older pg_snapshot, i_newer pg_snapshot)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txid_between_wrapper';

COMMENT ON FUNCTION pgq.txid_between(bigint, pg_snapshot, pg_snapshot) IS 'Whether the transaction finished between two snapshots.';

CREATE FUNCTION pgq.txids_between(i_older txid_snapshot, i_newer txid_snapshot)
RETURNS SETOF bigint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txids_between_wrapper';

COMMENT ON FUNCTION pgq.txids_between(txid_snapshot, txid_snapshot) IS 'All transactions that finished between two snapshots.';

CREATE FUNCTION pgq.txids_between(i_older pg_snapshot, i_newer pg_snapshot)
RETURNS SETOF bigint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txids_between_wrapper';

COMMENT ON FUNCTION pgq.txids_between(pg_snapshot, pg_snapshot) IS 'All transactions that finished between two snapshots.';

CREATE FUNCTION pgq.txid_to_xid8(i_txid bigint)
RETURNS xid8 LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txid_to_xid8_wrapper';

COMMENT ON FUNCTION pgq.txid_to_xid8(bigint) IS 'The same transaction id as xid8.';

CREATE FUNCTION pgq.xid8_to_txid(i_xid8 xid8)
RETURNS bigint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'xid8_to_txid_wrapper';

COMMENT ON FUNCTION pgq.xid8_to_txid(xid8) IS 'The same transaction id as bigint.';
